// Simulated clients that speak HTTP/2 by prior knowledge: several requests at a time on one
// connection, each with a window that opens as it is wide, in trickles, or not for long; uploads
// within the gateway's windows; resets, GOAWAY and ends of the connection at any time. It keeps
// the account of both sides' windows, so that a byte too many, or one credited that was not sent,
// is a violation.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/sim/asker.h"
#include "tests/sim/body_check.h"
#include "tests/sim/http2_fields.h"
#include "tests/unit/http2/frames_testing.h"

namespace sluice::sim {

struct Http2Traits {
  size_t streams_max = 1;           // at a time
  uint32_t window = 65535;          // of a stream that begins
  bool wide = true;                 // the connection's window never holds anything up
  double trickles = 0;              // streams whose windows open a little at a time
  double shuts = 0;                 // streams whose windows do not open, for long or for good
  double leaves = 0;                // streams that are reset
  uint64_t goes_away_after_ns = 0;  // GOAWAY, on each connection; 0: it does not
  uint64_t vanishes_after_ns = 0;   // 0: it does not
  uint64_t resizes_after_ns = 0;    // the window of streams is another one from then on; 0: no
  bool chatters = false;            // PING, PRIORITY_UPDATE and frames of unknown types
  size_t read_max = SIZE_MAX;
  uint64_t read_pause_ns = 0;
  uint64_t stands_still_ns = 0;  // after its first read; 0: it does not
  size_t write_max = SIZE_MAX;
  uint64_t write_pause_ns = 0;
  uint64_t rests_ns = 0;  // in the middle of an upload; 0: it does not
};
Http2Traits make_http2_traits(Random& random, bool crowded);

class Http2Client final : public Asker {
 public:
  Http2Client(Scene& scene, int listener, const Http2Traits& traits, std::vector<unsigned> scripts);

  void start() override;
  bool stays() const override;
  void on_change() override;

 private:
  enum class Opens : uint8_t { kWide, kTrickle, kShut };
  // A request on this connection.
  struct Ask {
    size_t request;  // of scripts_
    uint32_t id;
    Opens opens = Opens::kWide;
    int64_t window = 0;          // what the gateway may send
    int64_t upload_window = 0;   // and what this client may
    uint64_t owed = 0;           // bytes that the window does not have back
    bool pauses = false;         // before it gives them back
    std::string_view rest = {};  // of its body
    bool waits = false;          // to be told to go on
    bool end_written = true;     // or about to be
    bool head_seen = false;
    bool ended = false;  // by the gateway
    bool over = false;   // it is settled what has become of it
    unsigned interim_heads = 0;
    std::optional<uint64_t> length = {};  // as its head says
    uint64_t body_bytes = 0;
    std::optional<BodyCheck> check = {};
    std::string problem = {};
    int status = 0;
  };
  enum class Kind : uint8_t { kOther, kHead, kBody, kReset };
  struct Frame {
    Kind kind;
    size_t request;
    std::string bytes;
    size_t written = 0;
  };

  // What leaves.
  void connect();
  void later(uint64_t delay_ns, void (Http2Client::*what)());
  void ask_more();
  void ask(size_t request);
  FieldList fields_for(const Script& script, bool waits);
  void push(Kind kind, size_t request, std::string bytes);
  void say(std::string bytes) { push(Kind::kOther, 0, std::move(bytes)); }
  void write();
  void note_written(const Frame& frame);
  void frame_body();
  bool took_too_much(const Ask& ask);
  void check_upload(uint32_t id);
  void go_on(uint32_t id);
  void open_window(uint32_t id, uint64_t bytes);
  void give_back(uint32_t id);
  void give_connection_back();
  void resize();
  void chatter();
  void go_away();
  void leave(uint32_t id);
  void vanish();

  // What comes.
  void read();
  void on_frame(const test::SeenFrame& frame);
  void on_settings(const test::SeenFrame& frame);
  void on_window_update(const test::SeenFrame& frame);
  void on_goaway(const test::SeenFrame& frame);
  void on_reset(Ask& ask, uint32_t code);
  void on_data(Ask& ask, const test::SeenFrame& frame);
  void on_fields(Ask& ask, bool ends);
  void on_head(Ask& ask, const FieldList& fields);
  void on_complete(Ask& ask);
  void on_aborted(Ask& ask, bool by_end_of_connection);
  void on_end(bool reset);
  void settle(Ask& ask, Outcome outcome);
  void again(Ask& ask);
  void next();
  void reconnect(uint64_t after_ns);

  Ask* find(uint32_t id) {
    auto found = asks_.find(id);
    return found == asks_.end() ? nullptr : &found->second;
  }
  const Script& script_of(const Ask& ask) const { return scene_.scripts[scripts_[ask.request]]; }
  Exchange& exchange_of(const Ask& ask) { return scene_.exchanges[scripts_[ask.request]]; }
  [[noreturn]] void wrong(const Ask& ask, const std::string& what) const;

  int listener_;
  Http2Traits traits_;
  std::deque<size_t> pending_;  // requests
  std::vector<unsigned> attempts_;
  uint64_t asks_again_ns_ = 0;  // but alone, since there was no place for one beside others
  bool left_ = false;           // streams, or the connection

  // Of the present connection.
  std::shared_ptr<Connection> connection_;
  uint64_t connections_ = 0;  // names it
  std::unique_ptr<Http2Fields> fields_;
  std::map<uint32_t, Ask> asks_;  // those that are over, too
  size_t active_ = 0;             // of these
  uint32_t next_id_ = 1;
  std::deque<Frame> out_;
  std::string in_;
  std::string block_;
  uint32_t block_of_ = 0;  // the stream whose fields are not complete
  bool block_ends_ = false;
  int64_t window_ = 0;
  uint64_t owed_ = 0;
  int64_t upload_window_ = 0;
  int64_t upload_window_first_ = 0;  // of a stream that begins
  int64_t upload_window_most_ = 0;   // of the connection
  uint32_t stream_window_ = 0;
  uint32_t shrinks_by_ = 0;  // once the gateway has acknowledged it
  uint32_t shrinks_before_ = 0;
  unsigned acknowledged_ = 0;  // of its settings
  unsigned pings_ = 0;
  bool heard_ = false;  // the gateway's settings
  bool goes_away_ = false;
  bool end_announced_ = false;  // by the gateway
  bool writing_ = false;
  bool reading_ = false;
};

}  // namespace sluice::sim

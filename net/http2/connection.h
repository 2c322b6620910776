// An HTTP/2 connection from a client: the codec, the socket, and many streams. Frames of all
// streams that have something leave in one send a turn; each stream gives at most one DATA frame to
// it, so that none waits behind another's bulk. A stream whose window is closed stops its own
// upstream only. Nothing that the peer may send is without a bound (FloodGuard, the limits of
// heads, windows). Owned by whoever takes clients in, used on its worker's thread; deletes itself
// once closed.
//
// A batch is a list of parts: bytes of our own (frame headers, frames without a body), and bytes of
// streams' outboxes by reference. It is made once the one before has left.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "net/base/address.h"
#include "net/base/http2.h"
#include "net/http2/client_stream.h"
#include "net/http2/flood_guard.h"
#include "net/http2/request_head.h"
#include "net/http2/session.h"
#include "net/stream/streams.h"
#include "net/transport/accepted_conn.h"

namespace sluice {

class Http2ClientConn final : public AcceptedConn, private Http2Session::Handler {
 public:
  // `first`: what has been read before, the preface at least as far as it has come.
  Http2ClientConn(AcceptedKeeper& keeper, Streams& streams, ConnStart start,
                  std::string_view first);
  ~Http2ClientConn() override;

  // AcceptedConn
  void drain() override;
  void shut_down() override;
  void drop() override { end_all(Ending::kClientLeft, CloseMode::kReset); }

  // TimerOwner
  void on_timer() override;

  // --- called by its streams ---

  WorkerContext& context() const { return streams_.context(); }
  Http2Session& session() { return session_; }
  uint64_t now_ms() const { return loop().now_ms(); }
  // The number of the batch under way, or made last.
  uint32_t batch() const { return batch_; }
  // Of each stream's request; it was told that, whatever a reload makes of the setting.
  uint64_t stream_window() const { return stream_window_; }
  uint64_t body_bytes_sent() const { return body_bytes_sent_; }
  // It has something to frame.
  void has_work(Http2Stream& stream);
  void release(Http2Stream& stream);
  void wake_up() { wake(); }
  // It has gone, and bytes of it are in the batch under way. Nobody else would give their slots
  // back where they are wanted and the client takes nothing.
  void has_orphans();
  std::string client_ip();
  bool client_trusted();
  bool client_secured() const { return secured(); }
  uint16_t https_port() const { return redirect_port(); }
  std::string client_subject() const { return peer_subject(); }

 private:
  struct Part {
    Http2Stream* stream;  // null: of own_
    size_t size;          // of what has not left; a stream's part without bytes is its end
  };
  struct EarlyPriority {
    int32_t id;
    int urgency;
  };
  static constexpr int8_t kLeastUrgent = 7;
  enum class Drain : uint8_t { kNone, kNoticed, kRefusing };

  // Conn
  void on_bytes(const Lease& lease, std::string_view bytes, uint64_t after_ms) override;
  void on_receive_end(int error) override;
  void on_sent(uint64_t bytes) override;
  void on_send_error(int error) override;
  void on_hang_up(uint32_t events) override;
  void on_closed() override;
  void prepare_flush() override;
  bool has_output() override;
  size_t build_batch(std::span<iovec> pieces) override;
  uint64_t receive_credit() override;
  SlotPool& receive_pool() override { return memory_.http_message; }
  uint32_t watch_events() override;

  // Http2Session::Handler
  void on_frame_begun(const Http2FrameHeader& frame, bool late) override;
  void on_frame_forbidden(Http2Code code) override;
  void on_head_begun(int32_t id, bool trailers) override;
  void on_field(std::string_view name, std::string_view value) override;
  void on_head(int32_t id, bool ends) override;
  void on_bad_head() override;
  void on_body(Http2Stream& stream, std::string_view bytes) override;
  void on_request_end(Http2Stream& stream) override { stream.on_request_end(); }
  void on_stream_closed(Http2Stream& stream, uint32_t code) override { stream.on_closed(code); }
  void on_padding_only() override { flood(Http2Flood::kEmptyData); }
  void on_ping_answered() override;
  void on_peer_ends(uint32_t code) override;
  void on_priority(Http2Stream& stream, std::string_view priority) override;
  void on_early_priority(int32_t id, std::string_view priority) override;
  void on_reset(bool ours, uint32_t code) override;
  void on_end_said(uint32_t code) override;
  void on_output(std::string_view bytes) override;
  bool has_room() override;
  Http2Session::Body next_body(Http2Stream& stream, size_t size_max) override;
  void on_body_frame(Http2Stream& stream, std::string_view header) override;
  void on_end_framed(Http2Stream& stream, bool by_head) override;

  void feed(const Lease& lease, std::string_view bytes);
  size_t peers_bytes() const;
  bool pins_slots(uint64_t now_ms) const;
  void refuse_bytes(Http2Session::Received why);
  void frame_batch();
  void raise_one();
  void parts_left();
  bool takes_place();
  int take_urgency(int32_t id, int otherwise);
  void flood(Http2Flood kind);
  void give_up(Http2Code code);
  void end_all(Ending ending, CloseMode mode);
  void leave_all(Ending ending);
  void refuse_further();
  void check_stream(Http2Stream& stream, uint64_t now_ms, uint64_t* next_ms);
  void schedule(uint64_t deadline_ms) { loop().timers().schedule_earlier(timer_, deadline_ms); }

  AcceptedKeeper& keeper_;
  Streams& streams_;
  const uint32_t stream_window_;
  uint32_t places_ = 0;  // that requests beside the first have taken
  Http2Session session_;
  FloodGuard guard_;
  std::vector<std::unique_ptr<Http2Stream>> all_;
  std::vector<Http2Stream*> ready_;
  std::vector<Http2Stream*> framing_;  // those of this batch
  std::vector<EarlyPriority> early_;   // of streams that have not begun

  std::vector<Part> parts_;  // of the batch under way
  size_t part_at_ = 0;       // the first that has not left
  std::string own_;
  size_t own_at_ = 0;
  size_t batch_bytes_ = 0;
  size_t batch_pieces_ = 0;
  uint32_t batch_ = 0;
  uint8_t urgent_batches_ = 0;         // since raise_one(), that had not all that could have left
  int8_t most_urgent_ = kLeastUrgent;  // of those that have a frame in the batch
  int8_t holds_back_ = kLeastUrgent;   // of those of them that have more
  bool held_back_ = false;             // somebody less urgent
  uint64_t body_bytes_sent_ = 0;
  size_t promised_ = 0;                    // by next_body(), for the frame that follows
  Http2Stream* ends_with_head_ = nullptr;  // whose end is in the head that follows

  const Lease* lease_ = nullptr;  // that the bytes being fed lie in
  std::unique_ptr<Http2RequestHead> head_;
  uint64_t batch_since_ms_ = 0;
  uint64_t idle_since_ms_;
  uint64_t head_since_ms_ = 0;
  uint64_t noticed_ms_ = 0;
  uint64_t given_up_ms_ = 0;
  Drain drain_ = Drain::kNone;
  bool orphans_ = false;  // of the batch under way
  bool served_ = false;
  bool touched_ = true;    // the codec may have something to say
  bool given_up_ = false;  // nothing more is heard
};

}  // namespace sluice

// One source of a hub: an upstream's event stream that a stream of the hub is fed from, over one
// connection for all subscribers. It is the client's half of an ordinary stream, so routes,
// endpoints, TLS, time-outs, decoding and the log are the stream's; what arrives is published at
// the hub's home, one batch at a time. While the hub takes nothing, nothing is read: the upstream
// waits, and nothing is lost. It connects anew by itself, behind the last id. Owned by HubSources,
// used on the thread of the hub's home.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/loop.h"
#include "core/timer_wheel.h"
#include "net/base/hub_counts.h"
#include "net/config/config.h"
#include "net/hub/exchange.h"
#include "net/hub/source_reader.h"
#include "net/stream/halves.h"

namespace sluice {

class Hubs;
class LocalHub;
class Stream;
class Streams;
struct WorkerContext;

class SourceFeed final : public ClientHalf, public HomeAsker, public FlushTask, public TimerOwner {
 public:
  SourceFeed(WorkerContext& context, Streams& streams, Hubs& hubs, const Route& route);
  ~SourceFeed() override;
  SourceFeed(const SourceFeed&) = delete;
  SourceFeed& operator=(const SourceFeed&) = delete;

  // The configuration is another one, and still has it. Another URL is another source.
  void reload(const Route& route);
  // Opens it where somebody wants it, and closes it where nobody has for long.
  void look();
  // It is not read any more.
  void stop();
  HubSourceCounts counts() const;

  // ClientHalf
  void response_ready() override;
  void request_window_opened() override {}
  void response_aborted() override;
  void drop() override;
  std::string client_ip() override { return "hub:" + feeds_.hub; }
  bool client_trusted() override { return false; }
  bool client_secured() const override { return false; }
  std::string_view own_route() const override { return path_; }
  const ResponseWriter& writer() const override { return writer_; }
  std::string_view protocol() const override { return "HTTP/1.1"; }

  // HomeAsker
  void on_home_answer(HomeCall& call) override;

  void on_flush() override;
  void on_timer() override;

 private:
  enum class State : uint8_t {
    kClosed,   // nobody wants it
    kOpen,     // there is a stream
    kWaiting,  // for the next attempt
    kOver,     // the upstream has said so (204), until somebody wants it anew
  };

  // Writes nothing: it sees what the upstream has answered.
  class Answer final : public ResponseWriter {
   public:
    explicit Answer(SourceFeed& feed) : feed_(feed) {}
    WrittenHead write_head(const Head& head, const ResponseRewrite& rewrite,
                           std::string& out) const override;
    WrittenHead write_early_head(bool, std::string_view, std::string&) const override { return {}; }
    bool knows_interim() const override { return false; }
    void write_interim_head(const Head&, std::string&) const override {}
    bool write_problem(const ProblemResponse&, std::string&) const override { return true; }

   private:
    SourceFeed& feed_;
  };

  bool wanted() const;
  void open();
  void close();
  void await(uint64_t due_ms);
  // Takes what the stream has. False: that is nothing.
  bool take();
  void pump();
  bool publish();
  // `why`: for the operator; null: it is not worth a word.
  void wait_for_hub(uint64_t ms, const char* why = nullptr);
  bool stream_is_over() const;
  void let_go_of_stream();
  void on_answer(const Head& head, bool event_stream);
  void on_attempt_over();
  std::string loss(Ending ending, std::string_view reason) const;
  void tell(LogLevel level, std::string_view what) const;
  uint64_t now_ms() const;

  WorkerContext& context_;
  Streams& streams_;
  Hubs& hubs_;
  LocalHub& hub_;
  const std::string path_;  // of its route
  HubFeed feeds_;
  std::string url_;
  size_t event_bytes_max_ = 0;
  uint64_t linger_ms_ = 0;
  bool always_ = false;

  Answer writer_;
  Timer timer_;
  SourceReader reader_;
  SourceBatch batch_;          // that the hub has not taken yet
  HomeCall* asked_ = nullptr;  // with it
  uint64_t ask_again_ms_ = 0;  // 0: at once
  Stream* stream_ = nullptr;

  State state_ = State::kClosed;
  uint64_t due_ms_ = 0;             // of the next attempt
  uint64_t unwanted_since_ms_ = 0;  // 0: somebody wants it
  bool stopped_ = false;
  bool is_another_ = false;  // than the one whose ids are remembered
  bool pumping_ = false;
  // Of the attempt.
  int status_ = 0;  // of the answer; 0: none has come
  std::optional<uint64_t> retry_after_ms_;
  bool brings_events_ = false;
  bool aborted_ = false;
  bool dropped_ = false;
  // Of which the operator has been told.
  bool told_open_ = false;
  bool told_lost_ = false;
  bool told_waiting_ = false;
  uint64_t told_refused_ = 0;

  uint64_t attempts_ = 0;
  uint64_t events_ = 0;
};

}  // namespace sluice

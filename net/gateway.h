// Everything that one worker's clients and upstreams share: listeners, connections, streams,
// upstream pools, counters. Owned by the worker, used on its thread only. It makes objects and
// lets go of them; what they do is theirs.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/log.h"
#include "core/loop.h"
#include "core/timer_wheel.h"
#include "net/access_log.h"
#include "net/address.h"
#include "net/client_limit.h"
#include "net/config.h"
#include "net/http1_head.h"
#include "net/http1_parser.h"
#include "net/metrics.h"
#include "net/upstream_pool.h"
#include "pool/chain.h"

namespace sluice {

class ClientConn;
class Stream;

// Accepts on one socket; rests for a moment when that fails, or the process has no room for another
// client.
class Listener final : public OpTarget, public TimerOwner, public FlushTask {
 public:
  Listener(Gateway& gateway, int fd);
  ~Listener() override;
  // No connection is accepted from here on; deletes itself once its operation has ended.
  void close();
  // Where it rests for want of room, it looks again at once.
  void client_left();
  // Takes one at a time, where others have taken the room for whole backlogs.
  void check_room();
  void on_completion(OpKind kind, const Completion& completion) override;
  void on_timer() override;
  void on_flush() override;

 private:
  void arm();
  void rest();
  void cancel();

  Gateway& gateway_;
  Timer timer_;
  int fd_;
  uint32_t index_;
  bool armed_ = false;
  bool multishot_ = false;
  bool backlog_reserved_ = false;
  bool awaits_room_ = false;
  bool closing_ = false;
};

// A live stream, as /streams shows it.
struct StreamInfo {
  uint64_t id;
  std::string request_id;
  unsigned worker;
  std::string route;
  std::string upstream;
  std::string method;
  std::string target;
  std::string client;
  std::string phase;
  int status;
  uint64_t age_ms;
  uint64_t events;
  uint64_t bytes;
  uint64_t window;
  uint64_t backlog;
  uint64_t held;
  bool event_stream;
  bool stalled;
};

class Gateway final : public TurnHook, public TimerOwner {
 public:
  // `listeners` are listening fds, owned from here on.
  Gateway(Loop& loop, Memory& memory, PoolBudget& budget, const Config& config,
          const std::vector<int>& listeners, MessageLog& messages, AccessLog* access_log,
          ClientLimit& client_limit, unsigned worker);
  ~Gateway();
  Gateway(const Gateway&) = delete;
  Gateway& operator=(const Gateway&) = delete;

  Loop& loop() { return loop_; }
  Memory& memory() { return memory_; }
  const Config& config() const { return config_; }
  // What applies before a route is known: the default route's, else the global ones.
  const StreamSettings& default_settings() const { return default_settings_; }
  const Http1Limits& http1_limits() const { return http1_limits_; }
  Metrics& metrics() { return metrics_; }
  HeadPool& heads() { return heads_; }
  UpstreamPools& upstreams() { return upstreams_; }
  // An empty string for building a head in; the next call empties it again.
  std::string& scratch();
  const Route* find_route(std::string_view path) const;
  bool trusts(const Address& client) const;
  bool draining() const { return draining_; }
  // More than half of --pool-max is mapped: no stream gets a larger window.
  bool memory_tight() const { return budget_.bytes * 2 > budget_.bytes_max; }

  // What our Via calls this process, in requests; and an id for a request that came without.
  std::string_view via() const { return via_; }
  std::string request_id(const Stream& stream) const;
  // The time as a Date field has it.
  std::string_view http_date();
  // There is an access log, which tells more of a request than /streams does.
  bool logs_requests() const { return access_log_ != nullptr; }

  // A warning to the operator.
  void warn(std::string_view text);

  ClientLimit& client_limit() { return client_limit_; }
  // A listener has found no room for another client; its accept has failed. It rests.
  void on_full();
  void on_accept_error(int error);
  void accepted(int fd);
  void client_closed(ClientConn& conn);
  Stream* new_stream(ClientConn& conn);
  // The stream's response is framed from here on.
  void event_stream_begun();
  void stream_ended(Stream& stream);
  // Deletes the stream at the end of the turn.
  void bury(Stream* stream);

  // From now on answers say that their connection ends, so that few are idle when the drain begins.
  void say_close() { says_close_ = true; }
  bool says_close() const { return says_close_ || draining_; }
  // Stops accepting, closes idle connections; the loop stops when the last client is gone.
  void drain();
  // Drains, and ends what is left, spread over kEndingMs.
  void end_all();
  // The same at once.
  void abort_all();

  // A copy of counters, whatever the number of streams.
  void snapshot(WorkerSnapshot& into) const;
  // The newest, up to kStreamsListed.
  void list_streams(std::vector<StreamInfo>& into) const;

  void on_turn_end() override;
  void on_timer() override;

  // A connection has closed: while draining, the last one stops the loop.
  void stop_if_done();

 private:
  void log_ending(const Stream& stream);
  void relieve_memory();
  void end_some();
  void warn_seldom(uint64_t& due_ms, std::string_view text);

  Loop& loop_;
  Memory& memory_;
  PoolBudget& budget_;
  const Config& config_;
  const StreamSettings& default_settings_;
  Http1Limits http1_limits_;
  MessageLog& messages_;
  AccessLog* access_log_;
  ClientLimit& client_limit_;
  unsigned worker_;
  Timer timer_;  // once a second: housekeeping; in the end: end_some()
  Metrics metrics_;
  HeadPool heads_;
  UpstreamPools upstreams_;
  std::string scratch_;
  std::vector<Listener*> listeners_;
  std::vector<ClientConn*> clients_;
  Stream* streams_ = nullptr;
  size_t live_streams_ = 0;  // in that list
  size_t live_event_streams_ = 0;
  std::vector<std::unique_ptr<Stream>> graveyard_;
  Stream* relieved_to_ = nullptr;  // the next of streams_ to be asked for memory, during a round
  uint64_t relieve_again_ms_ = 0;  // no other round before
  std::string via_;
  std::string date_;
  uint64_t date_of_s_ = 0;
  uint64_t streams_made_ = 0;
  uint64_t full_warning_due_ms_ = 0;
  uint64_t accept_warning_due_ms_ = 0;
  uint64_t ending_steps_ = 0;  // done, of end_some(); 0: the end has not come
  size_t to_end_ = 0;          // when it began
  size_t not_ended_ = 0;       // the first so many of clients_
  bool says_close_ = false;
  bool draining_ = false;
};

}  // namespace sluice

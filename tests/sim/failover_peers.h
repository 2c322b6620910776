// The peers of simulate_failover(): a client for each request, and the connections of the scripted
// servers, each of which treats a request as its server's mood says when the first byte arrives.
// They check what they read byte by byte: a body that was replayed is the client's, no request
// reaches a server that may not have it. What a client was answered is for the judge.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "tests/sim/failover_scene.h"
#include "tests/sim/http.h"

namespace sluice::sim {

class ServerConnection final : public Peer {
 public:
  ServerConnection(FailoverScene& scene, size_t server, std::shared_ptr<Connection> connection);
  void on_change() override;

  size_t server() const { return server_; }
  // Its server dies.
  void kill();

 private:
  void read();
  void on_first_bytes();
  void on_request();
  void note_reader();
  void write_answer(int status);
  void write_text(std::string text, bool ends);
  void step();
  void close(bool reset);
  void finish();

  FailoverScene& scene_;
  size_t server_;
  std::shared_ptr<Connection> connection_;
  MessageReader reader_{false};
  Mood mood_ = Mood::kWell;  // for the request that is arriving
  std::string line_;         // the beginning of it, until its number is known
  FailoverRequest* request_ = nullptr;
  FailoverRequest* answered_ = nullptr;  // before it, until the next one arrives
  size_t place_ = 0;                     // of that, or of this, among the readers
  size_t body_read_ = 0;
  size_t reads_max_ = SIZE_MAX;  // bytes of this request
  std::string wire_;
  size_t written_ = 0;
  size_t head_bytes_ = 0;
  FailoverAnswer* answer_ = nullptr;  // the latest
  bool doomed_ = false;               // is reset before anything of it is read
  bool reading_ = false;
  bool answering_ = false;
  bool begun_ = false;
  bool used_ = false;  // has answered before
  bool ends_ = false;  // with this answer
  bool ends_by_reset_ = false;
  bool closed_ = false;
};

// What a client has had of an answer.
struct FailoverOutcome {
  int status = 0;           // 0: no head
  std::string answer = {};  // the server's name for it; empty: it is the gateway's own
  bool whole = false;
  bool left = false;
};

class FailoverClient final : public Peer {
 public:
  using OnEnd = std::function<void(FailoverRequest&, const FailoverOutcome&)>;

  FailoverClient(FailoverScene& scene, FailoverRequest& request, int listener, OnEnd on_end);
  void on_change() override;
  bool over() const { return over_; }

 private:
  void send();
  void read();
  void end();

  FailoverScene& scene_;
  FailoverRequest& request_;
  OnEnd on_end_;
  std::shared_ptr<Connection> connection_;
  MessageReader reader_{true};
  std::string wire_;
  size_t written_ = 0;
  std::string body_;
  FailoverOutcome outcome_;
  uint64_t pause_ns_max_;
  bool reading_ = false;
  bool over_ = false;
};

}  // namespace sluice::sim

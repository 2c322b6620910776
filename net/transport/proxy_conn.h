// A client's connection until its PROXY header has been read, on listeners that want one. It comes
// before all else, TLS's and HTTP/2's first bytes included. Then it hands its socket over with the
// client's address and with what it has read beyond; one that says something else is closed. Owned
// by nobody, used on its worker's thread; deletes itself when it has handed over or closed.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "net/base/limits.h"
#include "net/transport/accepted_conn.h"
#include "net/transport/proxy_header.h"

namespace sluice {

class ProxyConn;

// Where such connections are kept.
class ProxyKeeper {
 public:
  // Others wait for this one's end, where TLS follows.
  virtual bool handshakes_are_crowded() const { return false; }
  // The connection that follows begins with `start` and, read already, `first`.
  virtual void proxy_header_done(ProxyConn& conn, ConnStart start, std::string_view first) = 0;
  // It has closed instead, and is deleted at the turn's end.
  virtual void proxy_closed(ProxyConn& conn) = 0;

 protected:
  ~ProxyKeeper() = default;
};

class ProxyConn final : public AcceptedConn {
 public:
  // It closes when it takes longer than `timeout_ms`; 0: it may take its time. `tls`: TLS follows,
  // so where others wait for handshakes it is waited for no longer than a silent one (Handshake).
  ProxyConn(Memory& memory, ProxyKeeper& keeper, ConnStart start, uint64_t timeout_ms, bool tls)
      : AcceptedConn(memory, std::move(start)),
        keeper_(keeper),
        until_ms_(timeout_ms == 0 ? UINT64_MAX : loop().now_ms() + timeout_ms),
        tls_(tls) {
    schedule_look();
    wake();
  }

  bool tls() const { return tls_; }
  ProxyResult result() const { return result_; }

  // AcceptedConn
  void drain() override { close(CloseMode::kOrderly); }
  void shut_down() override { close(CloseMode::kOrderly); }
  void drop() override { close(CloseMode::kOrderly); }

  // TimerOwner
  void on_timer() override {
    bool silent = tls_ && loop().now_ms() >= waiting_since_ms() + limits::kSilentHandshakeMs;
    if (loop().now_ms() >= until_ms_ || (silent && keeper_.handshakes_are_crowded()))
      refuse(ProxyResult::kTimedOut);
    else
      schedule_look();
  }

 private:
  void schedule_look() {
    uint64_t look_ms = tls_ ? loop().now_ms() + limits::kSilentHandshakeMs : until_ms_;
    if (uint64_t due_ms = std::min(look_ms, until_ms_); due_ms != UINT64_MAX)
      loop().timers().schedule(timer_, due_ms);
  }
  void on_bytes(const Lease& /*lease*/, std::string_view bytes, uint64_t /*after_ms*/) override {
    size_t used = header_.done() ? 0 : header_.feed(bytes);
    beyond_.append(bytes.substr(used));  // for a turn, and one receive at most
    if (!header_.done() || leaving_ || closing()) return;
    result_ = header_.result();
    if (result_ != ProxyResult::kAddress && result_ != ProxyResult::kLocal) {
      close(CloseMode::kOrderly);
      return;
    }
    if (header_.client().known()) set_peer(header_.client());
    leaving_ = true;
    leave();
  }
  // Behind the header it is for the next connection to hear of.
  void on_receive_end(int /*error*/) override {
    if (!leaving_) refuse(ProxyResult::kAbandoned);
  }
  void refuse(ProxyResult result) {
    result_ = result;
    close(CloseMode::kOrderly);
  }
  void on_closed() override { keeper_.proxy_closed(*this); }
  void on_handed_over(ConnStart start) override {
    keeper_.proxy_header_done(*this, std::move(start), beyond_);
  }
  uint64_t receive_credit() override { return leaving_ ? 0 : limits::kHandshakeReceiveBytes; }
  SlotPool& receive_pool() override { return memory_.http_message; }

  // Nothing is said.
  void on_sent(uint64_t) override {}
  void on_send_error(int) override {}
  bool has_output() override { return false; }
  size_t build_batch(std::span<iovec>) override { return 0; }

  ProxyKeeper& keeper_;
  ProxyHeader header_;
  ProxyResult result_ = ProxyResult::kAbandoned;
  std::string beyond_;
  const uint64_t until_ms_;
  const bool tls_;
  bool leaving_ = false;
};

}  // namespace sluice

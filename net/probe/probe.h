// One question to an upstream: a plain GET on a connection of its own, judged by the status of the
// answer. No more than the answer's head is read, within a head's limits and the check's time-out,
// and then the connection is closed. It tells its owner how that went, once, and later that it has
// closed; in between it deletes itself through the loop, as connections do. Made by the prober,
// used on its worker's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "net/base/address.h"
#include "net/config/health_check.h"
#include "net/context/worker_context.h"
#include "net/http1/parser.h"
#include "net/transport/conn.h"
#include "net/transport/connect_race.h"

namespace sluice {

// Told of probes, by the upstreams' numbers.
class ProbeOwner {
 public:
  virtual void on_probe_answered(uint32_t id, int status) = 0;
  virtual void on_probe_failed(uint32_t id, EjectReason reason) = 0;
  // Where neither came before, nothing was learnt: it was cancelled, or we had no memory to listen.
  virtual void on_probe_closed(uint32_t id) = 0;
  // One of several addresses, maybe: it has failed, or did not answer.
  virtual void on_address_failed(uint32_t id, const Address& address) = 0;

 protected:
  ~ProbeOwner() = default;
};

class Probe final : public Conn, public ConnectRace::Owner {
 public:
  // Starts to connect; it may fail within the call.
  Probe(WorkerContext& context, ProbeOwner& owner, const HealthCheck& check,
        std::vector<Address> addresses, std::unique_ptr<WireQueue> wire);
  ~Probe() override;

  // What it learns is of no interest any more.
  void cancel();

  // TimerOwner
  void on_timer() override;

  // ConnectRace::Owner
  void on_race_won(int fd, const Address& to) override;
  void on_race_lost() override;
  void on_address_failed(const Address& address) override {
    owner_.on_address_failed(id_, address);
  }

 private:
  void on_connected(int error) override;
  void on_bytes(const Lease& lease, std::string_view bytes, uint64_t after_ms) override;
  void on_receive_end(int error) override;
  void on_sent(uint64_t bytes) override { sent_ += bytes; }
  // It may have been answered before; the receive tells.
  void on_send_error(int /*error*/) override { sent_ = request_.size(); }
  void on_closed() override;
  bool has_output() override { return sent_ < request_.size(); }
  size_t build_batch(std::span<iovec> pieces) override;
  uint64_t receive_credit() override;
  SlotPool& receive_pool() override { return memory_.http_message; }

  void answered(int status);
  void failed(EjectReason reason);

  WorkerContext& context_;
  ProbeOwner& owner_;
  const uint32_t id_;  // of the upstream
  std::unique_ptr<ConnectRace> race_;
  std::string request_;
  uint64_t sent_ = 0;
  Http1Parser parser_;
  std::unique_ptr<Head> head_;  // of the message that is arriving
  unsigned interim_heads_ = 0;
  bool reached_ = false;    // there is a socket
  bool connected_ = false;  // and, where there is TLS, its handshake is done
};

}  // namespace sluice

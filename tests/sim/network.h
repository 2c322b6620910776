// Simulated TCP between the gateway's sockets and the peers' ends: bytes travel, arrive after a
// while, fill buffers of bounded size; connections end by a FIN or a reset. The kernel
// (tests/sim/kernel.h) sees fds, a peer sees its end of a Connection. A reset is told once, as a
// real socket does: who hears it first consumes it; behind a FIN only a send hears it, as EPIPE.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "tests/sim/world.h"

namespace sluice::sim {

class Connection;

// The other end of a connection. Calls come from the world's time, never from within a call that
// the peer itself made.
class Peer {
 public:
  virtual ~Peer() = default;
  // Bytes or the end of them have arrived, or there is room to write, or all is over.
  virtual void on_change() = 0;
};

// One direction.
class Pipe {
 public:
  explicit Pipe(size_t capacity) : capacity_(capacity) {}

  size_t room() const { return bytes_.size() >= capacity_ ? 0 : capacity_ - bytes_.size(); }
  size_t readable() const { return arrived_; }
  size_t travelling() const { return bytes_.size() - arrived_; }
  bool fin_arrived() const { return fin_arrived_; }
  std::string_view front(size_t size) const { return std::string_view(bytes_).substr(0, size); }
  void drop_front(size_t size) {
    bytes_.erase(0, size);
    arrived_ -= size;
  }

 private:
  friend class Connection;

  std::string bytes_;  // sent and not read; the first arrived_ of them may be read
  size_t arrived_ = 0;
  size_t capacity_;
  bool fin_ = false;
  bool fin_arrived_ = false;
  uint64_t last_arrival_ns_ = 0;
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(World& world, uint64_t latency_ns, size_t capacity)
      : to_gateway(capacity), to_peer(capacity), world_(world), latency_ns_(latency_ns) {}

  Pipe to_gateway;
  Pipe to_peer;
  Peer* peer = nullptr;  // outlives the simulation's time
  bool local = false;    // a unix socket's: what is on its way when it is reset still arrives
  uint64_t accepted_ns = 0;
  uint64_t last_send_ns = 0;  // of the gateway's
  uint64_t send_gap_ns = 0;   // the longest between two of them
  uint64_t sent_bytes = 0;    // in all of them

  uint64_t latency_ns() const { return latency_ns_; }

  // --- the gateway's end ---
  void send_to_peer(std::string_view bytes) {
    if (last_send_ns != 0) send_gap_ns = std::max(send_gap_ns, world_.now_ns() - last_send_ns);
    last_send_ns = world_.now_ns();
    sent_bytes += bytes.size();
    send(to_peer, bytes);
  }
  void finish_to_peer() { finish(to_peer); }
  void read_by_gateway(size_t size);
  // The gateway's end is closed: in order, or so that the peer is reset.
  void close_gateway_end(bool reset);
  // Bytes, their end, or a reset.
  bool has_news_for_gateway() const {
    return to_gateway.readable() > 0 || to_gateway.fin_arrived() || reset_at_gateway_;
  }
  // A reset has arrived; the error that is still to be told, which is forgotten thereby.
  bool reset_at_gateway() const { return reset_at_gateway_; }
  int take_error();

  // --- the peer's end ---
  size_t write(std::string_view bytes);  // the number taken
  std::string read(size_t most);
  void shut_down_writing() { finish(to_gateway); }
  // With bytes unread: a reset. Bytes that are yet to come are answered with one, behind the FIN.
  void close_peer_end();
  void reset_peer_end();
  // Nothing more will come; in order, or by a reset.
  bool finished_at_peer() const { return to_peer.fin_arrived() && to_peer.readable() == 0; }
  bool reset_at_peer() const { return reset_at_peer_ && to_peer.readable() == 0; }
  bool gateway_end_closed() const { return gateway_closed_; }

 private:
  void send(Pipe& pipe, std::string_view bytes);
  void finish(Pipe& pipe);
  void arrive(Pipe& pipe, std::function<void()> arrival);
  void reset_gateway_end();
  void tell_peer();

  World& world_;
  uint64_t latency_ns_;
  bool peer_closed_ = false;
  bool gateway_closed_ = false;
  bool reset_at_gateway_ = false;
  bool reset_at_peer_ = false;
  bool tells_peer_ = false;
  int error_ = 0;
};

}  // namespace sluice::sim

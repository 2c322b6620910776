#include "tests/sim/network.h"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace sluice::sim {

void Connection::arrive(Pipe& pipe, std::function<void()> arrival) {
  // What was sent first arrives first.
  uint64_t jitter_ns = world_.random.between(0, latency_ns_ / 4);
  pipe.last_arrival_ns_ =
      std::max(pipe.last_arrival_ns_, world_.now_ns() + latency_ns_ + jitter_ns);
  world_.after(pipe.last_arrival_ns_ - world_.now_ns(),
               [self = shared_from_this(), arrival = std::move(arrival)] { arrival(); });
}

void Connection::send(Pipe& pipe, std::string_view bytes) {
  pipe.bytes_ += bytes;
  size_t size = bytes.size();
  arrive(pipe, [this, &pipe, size] {
    pipe.arrived_ = std::min(pipe.arrived_ + size, pipe.bytes_.size());
    if (&pipe == &to_peer) tell_peer();
    // A closed socket answers data with a reset.
    if (&pipe == &to_gateway && gateway_closed_ && !reset_at_peer_) {
      reset_at_peer_ = true;
      tell_peer();
    }
    if (&pipe == &to_peer && peer_closed_) arrive(to_gateway, [this] { reset_gateway_end(); });
  });
}

void Connection::finish(Pipe& pipe) {
  if (std::exchange(pipe.fin_, true)) return;
  arrive(pipe, [this, &pipe] {
    pipe.fin_arrived_ = true;
    if (&pipe == &to_peer) tell_peer();
  });
}

void Connection::close_gateway_end(bool reset) {
  gateway_closed_ = true;
  if (!reset && to_gateway.bytes_.empty()) {
    finish(to_peer);
    return;
  }
  // What has not left yet is lost.
  size_t kept = world_.random.between(to_peer.arrived_, to_peer.bytes_.size());
  to_peer.bytes_.resize(kept);
  arrive(to_peer, [this] {
    reset_at_peer_ = true;
    tell_peer();
  });
}

void Connection::read_by_gateway(size_t size) {
  to_gateway.drop_front(size);
  world_.after(latency_ns_, [self = shared_from_this()] { self->tell_peer(); });
}

int Connection::take_error() {
  return std::exchange(error_, 0);
}

size_t Connection::write(std::string_view bytes) {
  if (reset_at_peer_ || to_gateway.fin_) return bytes.size();  // into the void
  bytes = bytes.substr(0, to_gateway.room());
  if (!bytes.empty()) send(to_gateway, bytes);
  return bytes.size();
}

std::string Connection::read(size_t most) {
  size_t size = std::min(most, to_peer.readable());
  std::string bytes(to_peer.front(size));
  to_peer.drop_front(size);
  return bytes;
}

void Connection::close_peer_end() {
  if (peer_closed_) return;
  if (to_peer.readable() > 0) {
    reset_peer_end();
    return;
  }
  peer_closed_ = true;
  finish(to_gateway);
}

void Connection::reset_peer_end() {
  if (std::exchange(peer_closed_, true)) return;
  if (!local)
    to_gateway.bytes_.resize(world_.random.between(to_gateway.arrived_, to_gateway.bytes_.size()));
  arrive(to_gateway, [this] { reset_gateway_end(); });
}

void Connection::reset_gateway_end() {
  if (std::exchange(reset_at_gateway_, true)) return;
  error_ = to_gateway.fin_arrived_ ? EPIPE : ECONNRESET;
  to_gateway.bytes_.resize(to_gateway.arrived_);
}

// The peer is told once for what arrives at the same time, and not from within its own calls.
void Connection::tell_peer() {
  if (!peer || peer_closed_ || std::exchange(tells_peer_, true)) return;
  world_.after(0, [self = shared_from_this()] {
    self->tells_peer_ = false;
    if (!self->peer_closed_) self->peer->on_change();
  });
}

}  // namespace sluice::sim

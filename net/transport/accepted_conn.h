// A connection that has come in through a listener, as whoever takes clients in knows it: a
// ProxyConn at first where the listener wants a PROXY header, a Handshake where it has a transform,
// then a connection of the protocol that the two have agreed on. Kept in a table, used on its
// worker's thread; deletes itself once closed.
#pragma once

#include <cstdint>
#include <utility>

#include "core/socket.h"
#include "net/base/address.h"
#include "net/transport/conn.h"

namespace sluice {

class AcceptedConn : public Conn {
 public:
  // No further request on this connection; closes now if none is under way.
  virtual void drain() = 0;
  // Ends it and what it carries, now.
  virtual void shut_down() = 0;
  // Ends the connection now.
  virtual void drop() = 0;

  // The client's address: found out once it is needed, not known where it has gone by then.
  const Ip& peer() {
    if (!arrival_.peer.known()) {
      Address address;
      address.size = peer_address(fd(), &address.storage);
      if (address.size > 0) arrival_.peer = Ip::of(address);
    }
    return arrival_.peer;
  }
  // Its requests are sent there by redirects, and 0: are served.
  uint16_t redirect_port() const { return arrival_.redirect_port; }

  // Where its keeper has it.
  uint32_t place = 0;

 protected:
  AcceptedConn(Memory& memory, ConnStart start)
      : Conn(memory, {start.fd, std::move(start.wire)}), arrival_(start.arrival) {}
  void set_peer(const Ip& peer) { arrival_.peer = peer; }

  // In the place of on_closed(), after leave(): what the connection that follows begins with.
  virtual void on_handed_over(ConnStart /*start*/) {}

 private:
  void on_left(ConnStart start) final {
    start.arrival = arrival_;
    on_handed_over(std::move(start));
  }

  Arrival arrival_;
};

class Handshake;

// Where such connections are kept.
class AcceptedKeeper {
 public:
  // What has come for it may be looked at now; else it is woken later.
  virtual bool handshake_may_step(Handshake& /*handshake*/) { return true; }
  virtual void handshake_stepped(uint64_t /*took_ns*/) {}
  // Others wait for this one's end.
  virtual bool handshakes_are_crowded() const { return false; }
  // The connection that follows begins with `start` and takes the handshake's place.
  virtual void handshake_done(Handshake& handshake, ConnStart start) = 0;
  // The handshake has closed instead, and is deleted at the turn's end.
  virtual void handshake_closed(Handshake& handshake) = 0;
  // A request beside others on its connection asks for the place of another client, since its
  // upstream needs a file descriptor. False: there is none. What is taken is given back.
  virtual bool take_place_for_request() { return true; }
  virtual void give_place_back() {}
  // It has closed, and is deleted at the turn's end.
  virtual void client_closed(AcceptedConn& conn) = 0;

 protected:
  ~AcceptedKeeper() = default;
};

}  // namespace sluice

// A connection that has come in through a listener, as whoever takes clients in knows it: a
// Handshake at first where the listener has a transform, then a connection of the protocol that the
// two have agreed on. Kept in a table, used on its worker's thread; deletes itself once closed.
#pragma once

#include <cstddef>

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
    if (!peer_.known()) {
      Address address;
      address.size = peer_address(fd(), &address.storage);
      if (address.size > 0) peer_ = Ip::of(address);
    }
    return peer_;
  }

  // Where its keeper has it.
  size_t place = 0;

 protected:
  using Conn::Conn;

 private:
  Ip peer_;
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
  // It has closed, and is deleted at the turn's end.
  virtual void client_closed(AcceptedConn& conn) = 0;

 protected:
  ~AcceptedKeeper() = default;
};

}  // namespace sluice

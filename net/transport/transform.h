// What may stand between a socket and its protocol: wire bytes in, plain bytes out, and the other
// way round (records of TLS). A transform does no I/O, knows no ring and no clock, and never waits.
// Owned by the WireQueue of one connection, used on its worker's thread. A plain connection has
// none.
//
// It keeps what it has taken from the wire and cannot open yet (a part of a record), and what it
// wants to say itself (a handshake, an alert, an answer to a key update), each bounded by its own
// protocol. Plain bytes it never keeps: seal() turns them into wire bytes at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <sys/uio.h>

#include "pool/slot_pool.h"

namespace sluice {

class Transform {
 public:
  // What the wire amounts to.
  struct Opened {
    enum class Kind : uint8_t {
      kBytes,     // `bytes`, and maybe more: open() again
      kReady,     // the handshake is done, told once; maybe more: open() again
      kNeedMore,  // all wire bytes are taken, and nothing else follows from them
      kEnd,       // the peer has ended in order; what follows on the wire is not looked at
      kBroken,    // the bytes are not valid, or the peer was refused
    };

    Kind kind = Kind::kNeedMore;
    Lease lease = {};  // of the slot that the bytes lie in
    std::string_view bytes = {};
  };

  struct Sealed {
    uint64_t plain = 0;  // bytes that were taken
    size_t wire = 0;     // bytes that were written
  };

  virtual ~Transform() = default;

  // The next plain bytes. Takes wire bytes from the front of *wire, which lies in the lease's slot
  // and may be overwritten: bytes that were opened in place need no other slot. A record that comes
  // in parts is put together in a block of `slots`, one at a time, and one of our own: were it to
  // wait for memory, it would hold what others wait for. *wire may be empty, where an earlier call
  // had more to give.
  virtual Opened open(const Lease& lease, std::span<char>* wire, SlotPool& slots) = 0;

  // There is no handshake, or it is done. Not before are there plain bytes in either direction.
  virtual bool ready() const = 0;
  // It has something to say itself that is to leave now. What may wait leaves with plain bytes.
  virtual bool has_output() const = 0;
  // Writes first what it has to say, then the plain bytes, as many as there is room for; nothing
  // where there is too little. A slot of the smallest class always takes something, unless the
  // transform is broken.
  virtual Sealed seal(std::span<const iovec> plain, std::span<char> into) = 0;
  // No plain byte follows: its ending is the last that it has to say. Nothing where the peer could
  // not read it (before the handshake is done, after bytes that were not valid).
  virtual void end() = 0;

  // What goes on in its place once the handshake is done, with all that it has to say; null:
  // itself. To be asked once, right behind kReady, and it is of no use afterwards.
  virtual std::unique_ptr<Transform> successor() { return nullptr; }

  // What the two ends have agreed to speak (ALPN), once it is ready; empty: nothing was said of it.
  virtual std::string_view protocol() const { return {}; }
  // The subject of the certificate that the peer has shown and that was verified, as RFC 2253
  // writes it, in visible ASCII and blanks; empty: it has shown none.
  virtual std::string peer_subject() const { return {}; }
  // In a word, why open() has said kBroken; empty where there is no word for it.
  virtual const char* failure() const { return ""; }
};

}  // namespace sluice

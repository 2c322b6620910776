// What a stream knows of its two sides: the connection that its client is on, the one to its
// upstream, and where the latter comes from. Small interfaces, so that a stream depends on no
// protocol, one client connection may carry many streams, and a stream may outlive an upstream
// connection.
#pragma once

#include <string>
#include <string_view>

#include "net/base/ending.h"
#include "net/http/message_writer.h"

namespace sluice {

class Stream;

// What a stream asks of the connection that its client is on.
class ClientHalf {
 public:
  // The response outbox has something to send, or its end.
  virtual void response_ready() = 0;
  // There is room for more of the request's body.
  virtual void request_window_opened() = 0;
  // The stream has failed: once the outbox is empty, end so that the client cannot take it for
  // a clean end.
  virtual void response_aborted() = 0;
  // Ends the connection now.
  virtual void drop() = 0;
  virtual std::string client_ip() = 0;
  virtual bool client_trusted() = 0;
  // Of the request that is being answered.
  virtual const ResponseWriter& writer() const = 0;

 protected:
  ~ClientHalf() = default;
};

// What a stream asks of the connection to its upstream.
class UpstreamHalf {
 public:
  // The request outbox has something to send, or its end.
  virtual void request_ready() = 0;
  // Credit is back: receive on.
  virtual void read_on() = 0;
  // Close at once; upstream_released() follows.
  virtual void cancel() = 0;
  // It is listening: silence is the upstream's.
  virtual bool receiving() const = 0;

 protected:
  ~UpstreamHalf() = default;
};

// Where streams get their upstream's half from.
class UpstreamSource {
 public:
  // Which of its route's upstreams the stream's request goes to.
  virtual void choose(Stream& stream) = 0;
  // A connection to that one; Stream::on_upstream() or another word follows, maybe at once.
  virtual void acquire(Stream& stream, bool fresh) = 0;
  // It has come to that, as far as this attempt at that upstream goes; once for each acquire().
  virtual void attempt_ended(const Stream& stream, Ending ending) = 0;
  // The stream no longer waits.
  virtual void forget(Stream& stream) = 0;
  // How requests to that one are written.
  virtual const RequestWriter& writer(const Stream& stream) const = 0;

 protected:
  ~UpstreamSource() = default;
};

}  // namespace sluice

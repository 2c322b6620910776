// A stream's view of its two sides: the connection to its client, the connection to its upstream,
// and the source of the latter. Small interfaces, so that a stream depends on no protocol, one
// client connection may carry many streams, and a stream may outlive an upstream connection.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "net/base/ending.h"
#include "net/base/limits.h"
#include "net/http/message_writer.h"

namespace sluice {

class Head;
class Stream;

// What a stream asks of the connection that its client is on.
class ClientHalf {
 public:
  // The response outbox has something to send, or its end.
  virtual void response_ready() = 0;
  // The stream has become fast, or is so no more.
  virtual void fit_send_buffer() {}
  // There is room for more of the request's body.
  virtual void request_window_opened() = 0;
  // Bytes of that which may wait for the upstream.
  virtual uint64_t request_window() const { return limits::kRequestWindow; }
  // The stream has failed: once the outbox is empty, end in a way that the client cannot take for a
  // clean end.
  virtual void response_aborted() = 0;
  // Ends the connection now.
  virtual void drop() = 0;
  virtual std::string client_ip() = 0;
  virtual bool client_trusted() = 0;
  // It has come over TLS.
  virtual bool client_secured() const = 0;
  // Its requests are for https at that port, and get a redirect; 0: they are served.
  virtual uint16_t https_port() const { return 0; }
  // The path of the route that it names where it is a part of ours (a hub's source); empty: it is a
  // client, and its request's target says which.
  virtual std::string_view own_route() const { return {}; }
  // Of the client's certificate, where it has shown one.
  virtual std::string client_subject() const { return {}; }
  // Of the request that is being answered.
  virtual const ResponseWriter& writer() const = 0;
  // "HTTP/1.1", for the log and for Via.
  virtual std::string_view protocol() const = 0;

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
  // It is listening, so silence is the upstream's.
  virtual bool receiving() const = 0;

 protected:
  ~UpstreamHalf() = default;
};

// How an attempt at an upstream has ended, for its endpoint.
struct AttemptOutcome {
  Ending ending = Ending::kComplete;
  int status = 0;      // of its answer; 0: none came
  bool stale = false;  // a kept-alive connection was at its end: nothing is known of the upstream
};

// The source of streams' upstream halves.
class UpstreamSource {
 public:
  // The head of a request whose upstream is to be chosen.
  virtual void on_request_head(const Stream& stream, const Head& head) = 0;
  // Sets which of its route's upstreams the request goes to: none of those whose bit in `tried` is
  // set. False: none is left that an attempt after another should go to. The first finds one
  // always.
  virtual bool choose(Stream& stream, uint64_t tried) = 0;
  // The choice is still a good one: that upstream has not been ejected since, and is not tried by
  // another request.
  virtual bool stands(const Stream& stream) = 0;
  // Asks for a connection to that upstream. Stream::on_upstream() or a refusal follows, maybe at
  // once.
  virtual void acquire(Stream& stream, bool fresh) = 0;
  // That upstream has answered with that status.
  virtual void attempt_answered(const Stream& stream, int status) = 0;
  // It has come to that, as far as this attempt at that upstream goes; once for each acquire().
  virtual void attempt_ended(const Stream& stream, const AttemptOutcome& outcome) = 0;
  // The stream no longer waits.
  virtual void forget(Stream& stream) = 0;
  // The writer of requests to that upstream.
  virtual const RequestWriter& writer(const Stream& stream) const = 0;

 protected:
  ~UpstreamSource() = default;
};

}  // namespace sluice

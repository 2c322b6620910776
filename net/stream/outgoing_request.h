// A request on its way to an upstream: its bytes, and its place in the queue for a connection. Made
// when its head is written, and gone once all of it has left and none of it has to be sent again,
// so a stream that waits for events has none. Owned by the stream.
#pragma once

#include <cstdint>

#include "core/check.h"
#include "core/intrusive_list.h"
#include "net/stream/outbox.h"

namespace sluice {

class Stream;

struct OutgoingRequest {
  OutgoingRequest(Stream& its_stream, Memory& memory)
      : stream(its_stream), bytes(memory, memory.http_message) {}
  ~OutgoingRequest() { SLUICE_CHECK(!in_queue.linked()); }
  OutgoingRequest(const OutgoingRequest&) = delete;
  OutgoingRequest& operator=(const OutgoingRequest&) = delete;

  Stream& stream;
  ListLink<OutgoingRequest> in_queue;  // an upstream pool's
  bool needs_fresh = false;            // no kept-alive connection, in that queue
  uint32_t moved_ms = 0;  // since its oldest byte that has not left waits, at most; the low bits
  Outbox bytes;
};

}  // namespace sluice

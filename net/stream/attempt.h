// One try at one upstream: what of a stream begins anew with each connection that it is given. It
// can be replaced where the client has nothing yet, or whole events only
// (Stream::replace_attempt()): what is unfinished of an event is staged, and goes with it. What the
// client has been promised (its head, the framing, the ending) is the stream's. Owned by the
// stream.
#pragma once

#include <cstdint>

#include "net/stream/halves.h"
#include "net/stream/staging.h"
#include "sse/framer.h"

namespace sluice {

struct Attempt {
  Framer framer;
  UpstreamHalf* upstream = nullptr;
  StagedPtr staged;                 // what has come of an event whose end has not, or of a line
  bool under_way = false;           // asked for, and its outcome has not been told
  bool reused : 1 = false;          // the connection is kept alive from before
  bool response_begun : 1 = false;  // a byte of the response has come
  bool withheld : 1 = false;        // the rest of a torn event is dropped, since no filter sees it
  bool behind_cr : 1 = false;       // what was dropped last of that ended with one
  bool torn = false;                // inside an event (or a line) that is cut through
  uint8_t late_bom = 0;  // 1 + bytes seen of a BOM that other bytes have overtaken; 0: settled
  uint8_t interim_heads = 0;
  uint16_t status = 0;  // of the upstream's answer; 0: none has come
};

}  // namespace sluice

#include "net/stream/usage_drain.h"

#include "net/base/limits.h"
#include "net/stream/stream.h"

namespace sluice {

UsageDrain::UsageDrain(Stream& stream, const ClientHalf& gone, uint64_t until_ms)
    : stream_(stream),
      writer_(gone.writer()),
      protocol_(gone.protocol()),
      live_(stream.drains_count()),
      timer_(this) {
  ++live_;
  stream_.timers().schedule(timer_, until_ms);
}

void UsageDrain::on_body(size_t bytes) {
  bytes_ += bytes;
  if (bytes_ > limits::kUsageDrainBytes) end_soon();
}

void UsageDrain::connection_released() {
  has_connection_ = false;
  response_ready();
}

void UsageDrain::response_ready() {
  if (!has_connection_) stream_.response().abandon();
  if (stream_.response().finished()) end_soon();
}

// Not from here, where the stream is in the midst of something.
void UsageDrain::end_soon() {
  stream_.timers().schedule_earlier(timer_, 0);
}

void UsageDrain::on_timer() {
  stream_.end_drain();
}

void UsageDrain::drop() {
  stream_.end_drain();
}

}  // namespace sluice

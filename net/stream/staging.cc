#include "net/stream/staging.h"

#include "core/check.h"

namespace sluice {

void GiveBackStaged::operator()(StagedEvent* event) const {
  event->home.give_back(event);
}

Staging::~Staging() {
  SLUICE_CHECK(in_use() == 0);
}

StagedPtr Staging::take() {
  if (spare_.empty()) make_more();
  StagedPtr event(spare_.back().release());
  spare_.pop_back();
  return event;
}

void Staging::make_more() {
  made_ += kBlock;
  if (spare_.capacity() < made_) spare_.reserve(2 * made_);
  for (size_t i = 0; i < kBlock; ++i)
    spare_.emplace_back(new StagedEvent{{memory_, memory_.sse_event}, *this});
}

void Staging::give_back(StagedEvent* event) {
  event->bytes.clear();
  spare_.emplace_back(event);
}

}  // namespace sluice

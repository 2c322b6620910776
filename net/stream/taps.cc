#include "net/stream/taps.h"

#include <algorithm>
#include <sys/uio.h>
#include <utility>

#include "sse/events.h"

namespace sluice {

namespace {

// Streams are drawn by their ids, so that all taps draw alike.
bool drawn(uint64_t stream, uint32_t sample) {
  constexpr uint64_t kSpread = 0x9E3779B97F4A7C15;  // of neighbouring numbers, over all bits
  return sample == UINT32_MAX || static_cast<uint32_t>(stream * kSpread >> 32) < sample;
}

// All ends of events lie in the bytes that came last.
uint64_t count_events(std::string_view bytes) {
  uint64_t count = 0;
  EventReader events{Pieces(bytes)};
  for (Pieces event; events.next(event);) ++count;
  return count;
}

}  // namespace

Taps::~Taps() {
  each(used_, [](Tap& tap) { tap.over.store(true, std::memory_order_release); });
}

bool Taps::add(std::shared_ptr<Tap> tap) {
  for (unsigned i = 0; i < limits::kTapsMax; ++i) {
    if (taps_[i]) continue;
    taps_[i] = std::move(tap);
    used_ |= static_cast<Set>(1U << i);
    return true;
  }
  return false;
}

Taps::Set Taps::unwatched() const {
  Set set = 0;
  for (unsigned i = 0; i < limits::kTapsMax; ++i)
    if (taps_[i] && taps_[i]->unwatched.load(std::memory_order_acquire))
      set |= static_cast<Set>(1U << i);
  return set;
}

void Taps::remove(Set set) {
  used_ &= static_cast<Set>(~set);
  for (unsigned i = 0; i < limits::kTapsMax; ++i)
    if ((set >> i & 1) != 0) taps_[i].reset();
}

Taps::Set Taps::watching(uint64_t stream, uint32_t route) const {
  Set set = 0;
  for (unsigned i = 0; i < limits::kTapsMax; ++i) {
    if (!taps_[i]) continue;
    const Tap& tap = *taps_[i];
    bool watched =
        tap.stream != 0 ? tap.stream == stream : tap.route == route && drawn(stream, tap.sample);
    if (watched) set |= static_cast<Set>(1U << i);
  }
  return set;
}

void Taps::copy(Set set, uint64_t stream, const Chain* staged, std::string_view bytes,
                size_t skip) {
  uint64_t ahead = staged ? staged->bytes() : 0;
  uint64_t skipped = std::min<uint64_t>(ahead, skip);
  bytes.remove_prefix(skip - skipped);
  uint64_t size = ahead - skipped + bytes.size();
  bool tight = context_.memory_tight();
  uint64_t events = 0;  // counted where they are dropped
  each(set, [&](Tap& tap) {
    if (tight || !tap.ring.begin(sizeof(TapRecord) + size)) {
      if (events == 0) events = count_events(bytes);
      drop_from(tap, events);
      return;
    }
    write_record(tap, stream, /*end=*/false);
    std::array<iovec, 16> pieces;
    for (uint64_t covered = skipped; covered < ahead;) {
      size_t used = staged->fill(pieces, covered, ahead - covered, &covered);
      for (size_t i = 0; i < used; ++i) tap.ring.write(pieces[i].iov_base, pieces[i].iov_len);
    }
    tap.ring.write(bytes.data(), bytes.size());
    tap.ring.commit();
    context_.metrics.tapped_bytes += size;
  });
}

void Taps::drop(Set set, uint64_t events) {
  each(set, [&](Tap& tap) { drop_from(tap, events); });
}

void Taps::drop_from(Tap& tap, uint64_t events) {
  uint64_t before = tap.dropped.load(std::memory_order_relaxed);
  tap.dropped.store(before + events, std::memory_order_release);
  context_.metrics.tap_dropped_events += events;
}

void Taps::end(Set set, uint64_t stream, Ending ending) {
  std::string_view name = ending_name(ending);
  each(set, [&](Tap& tap) {
    // Of a stream that is watched alone its end is told by `over`, too, where there is no room.
    if (tap.ring.begin(sizeof(TapRecord) + name.size())) {
      write_record(tap, stream, /*end=*/true);
      tap.ring.write(name.data(), name.size());
      tap.ring.commit();
    }
    if (tap.stream != 0) tap.over.store(true, std::memory_order_release);
  });
}

void Taps::write_record(Tap& tap, uint64_t stream, bool end) {
  TapRecord record{
      .stream = stream, .dropped = tap.dropped.load(std::memory_order_relaxed), .end = end};
  tap.ring.write(&record, sizeof record);
}

}  // namespace sluice

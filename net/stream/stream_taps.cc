// What the admin port watches of a stream: copies of the whole events that its client gets, as they
// go into the outbox, behind filters and before packing. Nobody waits for a tap.
#include <array>
#include <string>

#include "net/stream/stream.h"
#include "net/stream/streams.h"
#include "sse/events.h"

namespace sluice {

namespace {

// A byte order mark counts only as the first bytes of a stream, and a tap's are others.
constexpr std::string_view kMark = "\xEF\xBB\xBF";

bool begins_with_mark(const Chain* staged, std::string_view bytes) {
  std::string begin;
  std::array<iovec, kMark.size()> pieces;
  uint64_t covered = 0;
  size_t used = staged ? staged->fill(pieces, 0, kMark.size(), &covered) : 0;
  for (size_t i = 0; i < used; ++i)
    begin.append(static_cast<const char*>(pieces[i].iov_base), pieces[i].iov_len);
  begin += bytes.substr(0, kMark.size() - begin.size());
  return begin == kMark;
}

}  // namespace

// Only whole events can be told apart, so only such streams are watched.
bool Stream::may_be_tapped() const {
  return framed_ && settings().framing == EventFraming::kEvent;
}

void Stream::join_taps() {
  if (ended_ || !may_be_tapped()) return;
  Taps::Set set = streams_.taps().watching(id_, route_->id);
  if (set == 0) return;
  if (!inspection_) inspection_ = std::make_unique<Inspection>();
  inspection_->taps |= set;
}

// Whole events, behind what is staged of the first. The rest of one that was cut through comes
// before them, and is not shown: its begin was not either.
void Stream::copy_to_taps(std::string_view run) {
  bool torn = attempt_.torn && !attempt_.staged;
  if (torn) run.remove_prefix(torn_rest(run));
  const Chain* staged = attempt_.staged ? &attempt_.staged->bytes : nullptr;
  if (run.empty() && !staged) return;
  size_t skip = events_ == 0 && begins_with_mark(staged, run) ? kMark.size() : 0;
  streams_.taps().copy(inspection_->taps, id_, staged, run, skip);
}

// Whole events before which nothing is staged: our own, or a hub's.
void Stream::copy_own_to_taps(std::string_view text) {
  streams_.taps().copy(inspection_->taps, id_, nullptr, text, 0);
}

// Also those that wait for it alone to begin.
void Stream::tell_taps_of_end() {
  Taps::Set set = tapped() ? inspection_->taps : 0;
  set |= streams_.taps().watching(id_, UINT32_MAX);
  if (set != 0) streams_.taps().end(set, id_, ending_);
}

// --- all streams of a worker

TapAnswer Streams::add_tap(std::shared_ptr<Tap> tap) {
  sweep_taps();
  Stream* watched = nullptr;
  if (tap->stream != 0) {
    for (watched = first(); watched && watched->id() != tap->stream;) watched = next(*watched);
    if (!watched) return TapAnswer::kNoStream;
    if (watched->status() != 0 && !watched->may_be_tapped()) return TapAnswer::kNoEvents;
  }
  if (!taps_.add(std::move(tap))) return TapAnswer::kNoRoom;
  if (watched) {
    watched->join_taps();
    return TapAnswer::kWatching;
  }
  for (Stream* stream = first(); stream; stream = next(*stream)) stream->join_taps();
  return TapAnswer::kWatching;
}

void Streams::sweep_taps() {
  Taps::Set gone = taps_.unwatched();
  if (gone == 0) return;
  for (Stream* stream = first(); stream; stream = next(*stream)) stream->leave_taps(gone);
  taps_.remove(gone);
}

}  // namespace sluice

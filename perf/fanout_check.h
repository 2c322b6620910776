// Checks what a subscriber of a hub gets: each event whole, unaltered, once and in order. All
// subscribers get the same events, and are open before the first one is published. An event's data
// is the mark and filler of perf/event.h, whose sequence numbers are dense. A poke says only where
// its event is: a reader of all has dense global positions, a member of a group ascending ones, and
// a group as a whole has to have each (the caller adds up). One FanoutChecker a subscriber, fed
// with body bytes however they were cut; counters are the caller's. What has no data line (a place,
// a comment, a retry) is passed over.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "perf/blocks.h"
#include "perf/event.h"
#include "perf/histogram.h"

namespace sluice::perf {

struct FanoutCounts {
  uint64_t deliveries = 0;
  uint64_t lost = 0;      // a later one came
  uint64_t repeated = 0;  // came again, or late
  uint64_t bad = 0;       // not what was published

  uint64_t wrong() const { return lost + repeated + bad; }
};

// When each event was due to be published: by stream and position, the last kKept of each.
class PublishTimes {
 public:
  static constexpr size_t kKept = 256;

  explicit PublishTimes(size_t streams) : times_(streams * kKept), next_(streams) {}

  void note(size_t stream, uint64_t ns) { times_[stream * kKept + next_[stream]++ % kKept] = ns; }
  // 0: it has not been published.
  uint64_t of(uint64_t stream, uint64_t position) const {
    if (stream >= next_.size() || position >= next_[stream]) return 0;
    return times_[stream * kKept + position % kKept];
  }

 private:
  std::vector<uint64_t> times_;
  std::vector<uint64_t> next_;
};

class FanoutChecker {
 public:
  enum class Reads : uint8_t { kEvents, kPokes, kPokesOfItsGroup };

  // `size`: of an event, as perf/event.h has it.
  FanoutChecker(Reads reads, uint32_t size, const PublishTimes& times) : times_(times) {
    reads_ = reads;
    spec_.size = size;
    if (reads != Reads::kEvents) next_ = 1;
  }

  // Of those that it is to get, how many it has got or missed.
  uint64_t seen() const { return seen_; }

  // Latencies are recorded if `latency` is not null.
  void feed(std::string_view body, uint64_t read_ns, FanoutCounts& counts, Histogram* latency) {
    blocks_.feed(body, [&](std::string_view block) { on_block(block, read_ns, counts, latency); });
  }

 private:
  static constexpr std::string_view kData = "data: ";

  void on_block(std::string_view block, uint64_t read_ns, FanoutCounts& counts,
                Histogram* latency) {
    while (!block.starts_with(kData)) {
      const size_t end = block.find('\n');
      if (end == std::string_view::npos || end + 1 == block.size()) return;
      block.remove_prefix(end + 1);
    }
    uint64_t number = 0;
    uint64_t sent_ns = 0;
    const bool good = reads_ == Reads::kEvents ? read_event(block, &number, &sent_ns)
                                               : read_poke(block, &number, &sent_ns);
    if (!good || sent_ns > read_ns) {
      ++counts.bad;
      return;
    }
    ++counts.deliveries;
    if (latency != nullptr) latency->record(read_ns - sent_ns);
    if (number < next_) {
      ++counts.repeated;
      return;
    }
    const bool all = reads_ != Reads::kPokesOfItsGroup;
    if (all) counts.lost += number - next_;
    seen_ += all ? number - next_ + 1 : 1;
    next_ = number + 1;
  }

  bool read_event(std::string_view block, uint64_t* number, uint64_t* sent_ns) const {
    Mark mark{};
    if (!read_mark(block, kData, &mark) || block.size() != spec_.size) return false;
    const EventFrame frame = event_frame(spec_, mark.sequence);
    *number = mark.sequence;
    *sent_ns = mark.ns;
    return block.substr(kData.size() + kMarkBytes, frame.filler_bytes) ==
           std::string_view(filler(mark.id, mark.sequence), frame.filler_bytes);
  }

  // {"stream":"poke-17","position":3,"globalPosition":12}
  bool read_poke(std::string_view block, uint64_t* number, uint64_t* sent_ns) const {
    uint64_t stream = 0;
    uint64_t position = 0;
    if (!skip(block, "data: {\"stream\":\"poke-") || !take(block, &stream) ||
        !skip(block, "\",\"position\":") || !take(block, &position) ||
        !skip(block, ",\"globalPosition\":") || !take(block, number) || block != "}\n\n")
      return false;
    *sent_ns = times_.of(stream, position);
    return *sent_ns != 0;
  }

  static bool skip(std::string_view& text, std::string_view expected) {
    if (!text.starts_with(expected)) return false;
    text.remove_prefix(expected.size());
    return true;
  }
  static bool take(std::string_view& text, uint64_t* number) {
    const auto result = std::from_chars(text.data(), text.data() + text.size(), *number);
    if (result.ec != std::errc()) return false;
    text.remove_prefix(static_cast<size_t>(result.ptr - text.data()));
    return true;
  }

  const PublishTimes& times_;
  StreamSpec spec_;
  Reads reads_;
  uint64_t next_ = 0;  // the number that is due
  uint64_t seen_ = 0;
  Blocks blocks_;
};

}  // namespace sluice::perf

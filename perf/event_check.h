// Checks that the events of a stream arrive as they were sent: each whole, unaltered, once and in
// order. One EventChecker per stream, fed with body bytes however they were cut; it keeps only
// the bytes of an unfinished event. Counters and histograms are the caller's, shared by all of
// its streams. An event that spans two chunks of the chunked coding is counted as split; that is
// legal, and says that the sender does not forward events whole.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "perf/blocks.h"
#include "perf/event.h"
#include "perf/histogram.h"
#include "perf/stream_spec.h"

namespace sluice::perf {

struct EventCounts {
  uint64_t events = 0;
  uint64_t bytes = 0;       // of events
  uint64_t comments = 0;    // heartbeats
  uint64_t lost = 0;        // never arrived, though a later one or a clean end did
  uint64_t duplicated = 0;  // arrived again
  uint64_t reordered = 0;   // arrived after a later one
  uint64_t torn = 0;        // not of an event's form: cut, joined or mixed with another
  uint64_t bad = 0;         // of the form, but altered or of another stream
  uint64_t split = 0;       // whole, in two or more chunks

  uint64_t wrong() const { return lost + duplicated + reordered + torn + bad; }
};

// A time without an event on one stream.
struct Stall {
  uint32_t id;  // the stream's
  uint64_t begun_ns;
  uint64_t ended_ns;
};

struct EventTimes {
  static constexpr size_t kStallsMax = 1'000'000;

  Histogram latency;      // from the time stamp to the read
  Histogram first_event;  // from the request to the first event
  Histogram gap;          // between events of a stream at the client
  Histogram origin_gap;   // the same by their time stamps
  uint64_t stall_min_ns = UINT64_MAX;
  std::vector<Stall> stalls;  // gaps at the client of at least stall_min_ns, the first kStallsMax
};

class EventChecker {
 public:
  void begin(const StreamSpec& spec, uint64_t requested_ns) {
    spec_ = spec;
    requested_ns_ = requested_ns;
    next_ = 0;
    last_read_ns_ = 0;
    last_sent_ns_ = 0;
    done_ = false;
    split_ = false;
    blocks_.clear();
    missing_.clear();
  }

  // Body bytes that were read at read_ns. Times are recorded if `times` is not null.
  void feed(std::string_view body, uint64_t read_ns, EventCounts& counts, EventTimes* times) {
    blocks_.feed(body, [&](std::string_view block) { on_block(block, read_ns, counts, times); });
    bound_partial(counts);
  }

  // A chunk of the chunked coding ends here.
  void on_chunk_end() { split_ = split_ || blocks_.partial_bytes() > 0; }

  // The response has ended cleanly: everything that the origin was to send must be here.
  void finish_clean(EventCounts& counts) {
    if (blocks_.partial_bytes() > 0) ++counts.torn;
    if (spec_.count > next_) counts.lost += spec_.count - next_;
    if (spec_.shape == StreamSpec::Shape::kLlm && !done_) ++counts.lost;
  }

 private:
  // Events of a stream that can be late at once; beyond it a late one counts as duplicated.
  static constexpr size_t kMissingMax = 4096;

  // Something that never ends must not grow without bound.
  void bound_partial(EventCounts& counts) {
    if (blocks_.partial_bytes() <= 2 * size_t{kEventBytesMax}) return;
    ++counts.torn;
    blocks_.clear();
  }

  void on_block(std::string_view block, uint64_t read_ns, EventCounts& counts, EventTimes* times) {
    const bool split = split_;
    split_ = false;
    if (block.starts_with(':')) {
      ++counts.comments;
      return;
    }
    const bool all_sent = spec_.count != 0 && next_ == spec_.count;
    if (spec_.shape == StreamSpec::Shape::kLlm && all_sent && block == kLlmDone && !done_) {
      done_ = true;
      return;
    }
    Mark mark{};
    const EventFrame due = event_frame(spec_, next_);
    const std::string_view id_line = block.substr(0, due.id_bytes);
    if (!read_mark(block.substr(id_line.size()), due.prefix, &mark)) {
      ++counts.torn;
      return;
    }
    const EventFrame frame = event_frame(spec_, mark.sequence);
    if (block.size() != frame.size() || !block.ends_with(frame.suffix)) {
      ++counts.torn;
      return;
    }
    const std::string_view text =
        block.substr(id_line.size() + frame.prefix.size() + kMarkBytes, frame.filler_bytes);
    if (mark.id != spec_.id || (spec_.ids && !is_id_line(id_line, mark.sequence)) ||
        text != std::string_view(filler(mark.id, mark.sequence), frame.filler_bytes) ||
        mark.ns > read_ns || (spec_.count != 0 && mark.sequence >= spec_.count)) {
      ++counts.bad;
      return;
    }
    ++counts.events;
    counts.bytes += block.size();
    if (split) ++counts.split;
    check_order(mark.sequence, counts);
    record_times(mark, read_ns, times);
  }

  void check_order(uint64_t sequence, EventCounts& counts) {
    if (sequence >= next_) {
      counts.lost += sequence - next_;
      for (uint64_t i = next_; i < sequence && missing_.size() < kMissingMax; ++i) {
        missing_.push_back(i);
      }
      next_ = sequence + 1;
      return;
    }
    const auto late = std::find(missing_.begin(), missing_.end(), sequence);
    if (late == missing_.end()) {
      ++counts.duplicated;
      return;
    }
    missing_.erase(late);
    --counts.lost;
    ++counts.reordered;
  }

  void record_times(const Mark& mark, uint64_t read_ns, EventTimes* times) {
    if (times != nullptr) {
      times->latency.record(read_ns - mark.ns);
      if (last_read_ns_ == 0) {
        times->first_event.record(read_ns - requested_ns_);
      } else {
        times->gap.record(read_ns - last_read_ns_);
        if (read_ns - last_read_ns_ >= times->stall_min_ns &&
            times->stalls.size() < EventTimes::kStallsMax) {
          times->stalls.push_back({spec_.id, last_read_ns_, read_ns});
        }
        if (mark.ns >= last_sent_ns_) times->origin_gap.record(mark.ns - last_sent_ns_);
      }
    }
    last_read_ns_ = read_ns;
    last_sent_ns_ = mark.ns;
  }

  StreamSpec spec_;
  uint64_t requested_ns_ = 0;
  uint64_t next_ = 0;  // the sequence number that is due
  uint64_t last_read_ns_ = 0;
  uint64_t last_sent_ns_ = 0;
  bool done_ = false;   // data: [DONE] has come
  bool split_ = false;  // a chunk ended inside the unfinished event
  Blocks blocks_;
  std::vector<uint64_t> missing_;
};

}  // namespace sluice::perf

// One worker's index of a hub's log: where each event that is held lies, by global position, by
// stream and by category. Each worker has one and feeds it with the same changes in the same order,
// so reads need no other worker and no lock. It decides nothing: the home (net/hub/home.h) says
// what is appended, evicted and forgotten. Owned by a worker's hub, used on its thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/intrusive_list.h"
#include "net/hub/block.h"
#include "net/hub/block_slots.h"
#include "net/hub/series.h"

namespace sluice {

struct Topic;

struct LogCategory {
  std::string name;
  Series events = {};
  size_t streams = 0;
  Topic* topic = nullptr;  // its subscribers; null: none
};

struct LogStream {
  LogStream(std::string its_name, LogCategory& its_category, uint32_t its_epoch);

  // The position of its first event that is held; that of the next one where none is.
  uint64_t first() const { return next - events.size(); }

  const std::string name;
  LogCategory& category;
  const uint32_t epoch;
  // Of its cardinal id, for consumer groups; nullopt: it has none.
  const std::optional<uint64_t> group;
  Series events;
  uint64_t next = 0;   // the position of its next event
  uint64_t bytes = 0;  // of its events
  Topic* topic = nullptr;
  ListLink<LogStream> in_empty;
};

class Log {
 public:
  struct Entry {
    Lease lease = {};  // of the block's text
    Block* block = nullptr;
    LogStream* stream = nullptr;
  };

  explicit Log(BlockSlots& slots) : slots_(slots) {}
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  // What was there before this process: an empty log goes on at `next`, what lies before it is lost
  // to readers, blocks follow, and then streams of which nothing is held are named.
  void restore(uint64_t next);
  void restore_stream(std::string_view name, uint32_t epoch, uint64_t next);

  // Takes over one hold on the block, which stands behind all others. `created`: its stream is new.
  LogStream& append(Block& block, bool* created);
  void evict_through(uint64_t global);
  // One of which nothing is held.
  void forget(LogStream& stream);

  // Null: it is not held.
  const Entry* at(uint64_t global) const {
    if (global < first_ || global >= next_) return nullptr;
    const Entry& entry = ring_[global & (capacity_ - 1)];
    return entry.block ? &entry : nullptr;
  }
  uint64_t first() const { return first_; }
  uint64_t next() const { return next_; }
  LogStream* stream(std::string_view name);
  LogCategory* category(std::string_view name);
  // Of streams that are not known any more, at most: what was lost with them.
  uint64_t forgotten_through() const { return forgotten_through_; }
  uint64_t forgotten_hole() const { return forgotten_hole_; }

  size_t streams() const { return streams_.size(); }
  size_t categories() const { return categories_.size(); }
  // Of which nothing has been held for longest; null: there is none.
  LogStream* longest_empty() const { return empty_.front(); }
  uint64_t events() const { return events_; }
  // Places of events that have gone from the midst.
  uint64_t holes() const { return next_ - first_ - events_; }
  // Of the events, which all workers share, and of this index of them.
  uint64_t bytes() const { return bytes_ + index_bytes(); }
  uint64_t index_bytes() const { return (next_ - first_) * kPlaceBytes + stream_bytes_; }
  // Of that: what the streams and categories themselves take.
  uint64_t stream_bytes() const { return stream_bytes_; }

 private:
  // A place here, in its stream and in its category, each in a ring that may be half empty.
  static constexpr uint64_t kPlaceBytes = 2 * (sizeof(Entry) + 2 * sizeof(uint64_t));

  template <typename T>
  using ByName = std::unordered_map<std::string_view, std::unique_ptr<T>>;

  LogStream& stream_of(const Block& block, bool* created);
  LogStream& make_stream(std::string_view name, uint32_t epoch, uint64_t next);
  void drop(Entry& entry);
  void evict_from(LogStream& stream, uint64_t global);
  void grow();

  BlockSlots& slots_;
  std::unique_ptr<Entry[]> ring_;  // by global position
  uint64_t capacity_ = 0;          // 0, or a power of two
  uint64_t first_ = 1;
  uint64_t next_ = 1;
  uint64_t events_ = 0;
  uint64_t bytes_ = 0;  // of events
  uint64_t stream_bytes_ = 0;
  uint64_t forgotten_through_ = 0;
  uint64_t forgotten_hole_ = 0;
  uint64_t holes_ = 0;  // counted
  ByName<LogStream> streams_;
  ByName<LogCategory> categories_;
  IntrusiveQueue<LogStream, &LogStream::in_empty> empty_;
};

}  // namespace sluice

// Reads an upstream's event stream into events for a hub, as a browser would: several lines of data
// are one text, bytes that are no UTF-8 become U+FFFD, and an event without data or without its
// empty line is none. It remembers the ids of what it has read, asks to go on behind the last, and
// drops what comes again. What is read and not yet taken stays over the end of a connection; what
// is unfinished does not. Bounded by the caller, who appends no more before it has taken what is
// whole, and by the largest event. Owned by a SourceFeed, used on its worker's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/filter/json_check.h"
#include "net/hub/block.h"
#include "net/stream/healing.h"
#include "sse/framer.h"

namespace sluice {

// Events on their way into a hub, in one text.
struct SourceBatch {
  struct Event {
    std::string type = {};
    std::string origin_id = {};
    size_t begin = 0;  // of its data
    size_t size = 0;
    bool json = false;
  };

  std::string text;
  std::vector<Event> events;

  bool empty() const { return events.empty(); }
  void clear() {
    text.clear();
    events.clear();
  }
  // As views of what it has.
  std::vector<EventDraft> drafts() const;
};

class SourceReader {
 public:
  SourceReader(MemoryLimit& memory, size_t ids_max) : memory_(memory), ids_max_(ids_max) {
    forget();
  }

  // What comes is of another source, which knows nothing of the ids.
  void forget() {
    healing_.emplace(memory_, ids_max_);
    restored_ = false;
    retry_ms_.reset();
  }

  // The id of the newest event that the hub has from before. It is asked for, but nothing is
  // dropped because of it: the source may have been another one then.
  void restore(std::string_view origin_id) {
    healing_->ids.remember(origin_id);
    restored_ = true;
  }

  // A connection begins, or ends.
  void begin();
  void end();
  // Of the upstream's answer. No event may be larger than `event_bytes_max`.
  void append(std::string_view bytes, size_t event_bytes_max);

  bool has_events() const { return at_ < whole_; }
  // Some of them; maybe none, where they are for nobody.
  void read(SourceBatch& into, JsonCheck& check, size_t event_bytes_max);

  Healing& healing() { return *healing_; }
  std::optional<uint64_t> retry_ms() const { return retry_ms_; }
  uint64_t duplicates() const { return duplicates_; }
  // Events that the hub cannot take, and why the latest was one.
  uint64_t refused() const { return refused_; }
  const char* refusal() const { return refusal_; }

 private:
  void skip_to_end(std::string_view& bytes, size_t& whole);
  void take(std::string_view event, SourceBatch& into, JsonCheck& check, size_t event_bytes_max);
  bool was_delivered(std::optional<std::string_view> id, bool says_something);
  void refuse(const char* why);

  MemoryLimit& memory_;
  const size_t ids_max_;
  Framer framer_;
  std::string input_;
  size_t at_ = 0;     // taken up to there
  size_t whole_ = 0;  // whole events up to there
  bool at_start_ = false;
  bool skipping_ = false;  // the rest of an event that is too large
  char last_skipped_ = 0;
  bool compares_ = false;  // nothing new has come yet
  bool restored_ = false;  // there is no other id
  std::optional<Healing> healing_;
  std::optional<uint64_t> retry_ms_;
  uint64_t duplicates_ = 0;
  uint64_t refused_ = 0;
  const char* refusal_ = "";
};

}  // namespace sluice

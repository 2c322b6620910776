// A worker's way from a hub's events to their coded forms: it finds the form that a subscriber can
// read, or makes it for all of them: behind the event which the subscriber got right before, or
// else alone. Owned by a worker's part of a hub, used on its thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "net/coding/text_coder.h"
#include "net/hub/block_slots.h"
#include "net/hub/log.h"

namespace sluice {

namespace limits {
// Forms of one event that stand behind others: readers of a stream, a category or a share of it
// each have another event before. Who reads yet otherwise gets the form that stands alone.
inline constexpr size_t kCodedBehindMax = 4;
}  // namespace limits

class EventCoder {
 public:
  struct Coded {
    Lease lease;
    CodedText text;
  };

  // `bytes`: of the forms that all workers have made and that are still there.
  EventCoder(const Log& log, BlockSlots& slots, TextCoder& coder, std::atomic<uint64_t>& bytes)
      : log_(log), slots_(slots), coder_(coder), bytes_(bytes) {}

  // `name.behind`: what the subscriber got right before; 0: something else.
  Coded code(const Log::Entry& event, const CodedForm::Name& name);
  // Of a text that goes to one reader. The bytes are there until the next call.
  CodedText code(std::string_view text) { return coder_.code(text); }
  // Forms that this worker has made.
  uint64_t made() const { return made_; }

 private:
  CodedForm& form_of(Block& block, CodedForm::Name name);
  std::string_view before(Block& block, const CodedForm::Name& name) const;

  const Log& log_;
  BlockSlots& slots_;
  TextCoder& coder_;
  std::atomic<uint64_t>& bytes_;
  uint64_t made_ = 0;
};

}  // namespace sluice

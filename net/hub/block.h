// An event of a hub in the forms in which it leaves, made once however many clients read it. Each
// of them stands between the lines of a chunk, so that it leaves in one piece over HTTP/1. The
// worker that is the hub's home makes a block; from then on nobody changes it, and all workers
// share it. Each worker that indexes it holds one count, and gives it back when it has evicted the
// event and no client of its own is being sent it. With the last one the block's memory goes back
// to where it came from.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "net/hub/coded_form.h"
#include "net/hub/hub_id.h"

namespace sluice {

// An event as it was published. The views are of the publisher's body.
struct EventDraft {
  std::string_view type = {};
  std::string_view data = {};
  std::string_view metadata = {};  // JSON; empty: none
  std::string_view message_id = {};
  std::string_view origin_id = {};  // which the hub's source gave to it; empty: none
  std::string correlation = {};     // the category that its metadata correlates it with
  bool json = true;                 // the data is; else it is text, of one line or several
};

// Where an event stands; the home decides it.
struct EventPlace {
  std::string_view stream;
  uint64_t position = 0;  // within the stream, from 0, dense
  uint64_t global = 0;    // within the hub, from 1, dense
  uint64_t time_ms = 0;   // since 1970
  uint32_t stream_epoch = 0;
  uint32_t hub_epoch = 0;
};

class BlockMemory;

class Block {
 public:
  // `scratch` is a text to build in. `holders`: the workers that will index it. `memory`: null is
  // the heap.
  static Block* make(const EventDraft& draft, const EventPlace& place, uint32_t holders,
                     std::string& scratch, BlockMemory* memory = nullptr);
  void let_go() {
    if (refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) destroy();
  }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  uint64_t position() const { return position_; }
  uint64_t global() const { return global_; }
  uint64_t time_ms() const { return time_ms_; }
  uint32_t stream_epoch() const { return stream_epoch_; }
  std::string_view stream() const { return part(0); }
  std::string_view type() const { return part(1); }
  std::string_view correlation() const { return part(2); }
  std::string_view message_id() const { return part(3); }
  std::string_view origin_id() const { return part(4); }
  // Whole events, for a subscriber of its stream alone, or of categories and several streams.
  std::string_view event() const { return part(kFirstForm); }
  std::string_view poke() const { return part(kFirstForm + 1); }
  std::string_view envelope_event() const { return part(kFirstForm + 2); }
  std::string_view envelope_poke() const { return part(kFirstForm + 3); }
  // As JSON, on one line.
  std::string_view message() const;
  std::string_view form(BlockForm form) const {
    return form == BlockForm::kMessage ? message() : part(kFirstForm + static_cast<size_t>(form));
  }
  // Whole events in content codings, as far as anybody has asked for them.
  CodedForms& coded() { return coded_; }

  // Where the parts lie, for leases.
  char* text() { return reinterpret_cast<char*>(this + 1); }
  uint32_t text_size() const { return text_size_; }
  // That it occupies.
  size_t bytes() const { return sizeof(Block) + text_size(); }

  // Of its stream, with this event: the first position that is kept. Set by the home before anybody
  // else sees the block.
  void set_stream_first(uint64_t position) { stream_first_ = position; }
  uint64_t stream_first() const { return stream_first_; }

 private:
  class Parts;

  static constexpr size_t kParts = 9;
  static constexpr size_t kFirstForm = kParts - 4;  // what comes before them is for us alone

  Block() = default;
  ~Block() = default;
  void destroy();
  std::string_view part(size_t which) const {
    size_t begin = which == 0 ? 0 : ends_[which - 1] + gaps_[which];
    return {reinterpret_cast<const char*>(this + 1) + begin, ends_[which] - begin};
  }

  std::atomic<uint32_t> refs_{0};
  uint32_t stream_epoch_ = 0;
  BlockMemory* memory_ = nullptr;
  uint64_t position_ = 0;
  uint64_t global_ = 0;
  uint64_t time_ms_ = 0;
  uint64_t stream_first_ = 0;
  uint32_t ends_[kParts] = {};
  uint8_t gaps_[kParts] = {};  // between each part and the one before it
  uint32_t text_size_ = 0;
  uint32_t message_begin_ = 0;  // within envelope_event()
  CodedForms coded_;
};

}  // namespace sluice

#include "net/hub/block.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <new>

#include "core/log.h"
#include "core/text.h"
#include "net/filter/json_text.h"
#include "net/http/chunk.h"
#include "net/hub/block_memory.h"
#include "sse/lines.h"

namespace sluice {

namespace {

void append_id_line(std::string& out, HubId id) {
  out += "id: ";
  append_hub_id(out, id);
  out += '\n';
}

// A line of its own for each of the text's.
void append_data_lines(std::string& out, std::string_view data) {
  LineReader lines(data);
  Pieces line;
  Pieces rest = data;
  for (; lines.next(line); rest = lines.rest()) out.append("data: ").append(line.first()) += '\n';
  out.append("data: ").append(rest.first()) += '\n';
}

// Between values a line end of JSON is a blank as any other.
void append_on_one_line(std::string& out, std::string_view json) {
  size_t begin = out.size();
  out += json;
  for (char line_end : {'\r', '\n'})
    for (size_t at = begin; (at = out.find(line_end, at)) != out.npos;) out[at] = ' ';
}

void append_string(std::string& out, std::string_view text) {
  out += '"';
  append_escaped(out, text);
  out += '"';
}

void append_where(std::string& out, const EventPlace& place) {
  out += "\"stream\":";
  append_string(out, place.stream);
  out += ",\"position\":";
  append_number(out, place.position);
  out += ",\"globalPosition\":";
  append_number(out, place.global);
}

void append_message(std::string& out, const EventDraft& draft, const EventPlace& place) {
  out += '{';
  append_where(out, place);
  out += ",\"type\":";
  append_string(out, draft.type);
  if (!draft.message_id.empty()) {
    out += ",\"id\":";
    append_string(out, draft.message_id);
  }
  if (!draft.origin_id.empty()) {
    out += ",\"originId\":";
    append_string(out, draft.origin_id);
  }
  out += ",\"time\":\"";
  append_timestamp(out, place.time_ms);
  out += '"';
  if (!draft.metadata.empty()) {
    out += ",\"metadata\":";
    append_on_one_line(out, draft.metadata);
  }
  out += ",\"data\":";
  if (draft.json)
    append_on_one_line(out, draft.data);
  else
    append_string(out, draft.data);
  out += '}';
}

void append_poke(std::string& out, HubId id, const EventPlace& place) {
  append_id_line(out, id);
  out += "data: {";
  append_where(out, place);
  out += "}\n\n";
}

}  // namespace

// Where the parts of a block end, while its text is built.
class Block::Parts {
 public:
  explicit Parts(std::string& text) : text_(text) { text_.clear(); }

  // What has been appended since the part before.
  void end() { ends_[count_++] = size(); }
  // The same, between the lines of a chunk.
  void end_form() {
    uint32_t before = count_ == 0 ? 0 : ends_[count_ - 1];
    uint32_t begin = count_ <= kFirstForm ? before : before + kChunkEndBytes;
    std::array<char, kChunkSizeLineMax> line;
    size_t line_size = write_chunk_size(line.data(), size() - begin);
    text_.insert(begin, line.data(), line_size);
    gaps_[count_] = static_cast<uint8_t>(begin + line_size - before);
    end();
    text_ += kChunkEnd;
  }
  uint32_t size() const { return static_cast<uint32_t>(text_.size()); }
  void copy_to(Block& block) const {
    std::ranges::copy(ends_, block.ends_);
    std::ranges::copy(gaps_, block.gaps_);
    block.text_size_ = size();
    std::memcpy(block.text(), text_.data(), text_.size());
  }

 private:
  static constexpr uint32_t kChunkEndBytes = kChunkEnd.size();

  std::string& text_;
  std::array<uint32_t, kParts> ends_{};
  std::array<uint8_t, kParts> gaps_{};
  size_t count_ = 0;
};

Block* Block::make(const EventDraft& draft, const EventPlace& place, uint32_t holders,
                   std::string& scratch, BlockMemory* memory) {
  HubId own{place.stream_epoch, place.position};
  HubId global{place.hub_epoch, place.global};
  Parts parts(scratch);
  scratch += place.stream;
  parts.end();
  scratch += draft.type;
  parts.end();
  scratch += draft.correlation;
  parts.end();
  scratch += draft.message_id;
  parts.end();
  scratch += draft.origin_id;
  parts.end();

  append_id_line(scratch, own);
  if (!draft.type.empty()) scratch.append("event: ").append(draft.type) += '\n';
  if (draft.json) {
    scratch += "data: ";
    append_on_one_line(scratch, draft.data);
    scratch += '\n';
  } else {
    append_data_lines(scratch, draft.data);
  }
  scratch += '\n';
  parts.end_form();
  append_poke(scratch, own, place);
  parts.end_form();
  uint32_t envelope = parts.size();
  append_id_line(scratch, global);
  scratch += "data: ";
  uint32_t message_begin = parts.size() - envelope;
  append_message(scratch, draft, place);
  scratch += "\n\n";
  parts.end_form();
  append_poke(scratch, global, place);
  parts.end_form();

  size_t bytes = sizeof(Block) + scratch.size();
  auto* block = new (memory ? memory->take(bytes) : ::operator new(bytes)) Block;
  block->memory_ = memory;
  block->refs_.store(holders, std::memory_order_relaxed);
  block->stream_epoch_ = place.stream_epoch;
  block->position_ = place.position;
  block->global_ = place.global;
  block->time_ms_ = place.time_ms;
  block->message_begin_ = message_begin;
  parts.copy_to(*block);
  return block;
}

std::string_view Block::message() const {
  std::string_view event = envelope_event();
  return event.substr(message_begin_, event.size() - message_begin_ - 2);
}

void Block::destroy() {
  BlockMemory* memory = memory_;
  size_t size = bytes();
  this->~Block();
  if (memory)
    memory->give_back(this, size);
  else
    ::operator delete(this);
}

}  // namespace sluice

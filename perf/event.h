// The bytes of one event of a load test. Every event carries a mark (stream id, sequence number,
// time stamp) and a filler that follows from the id and the sequence number, so that its reader
// can tell a lost, repeated, swapped, torn or altered event without having seen any other.
//
//   data: <id:8 hex> <sequence:8 hex> <ns:16 hex> <filler>\n\n
//
// With ids=on it begins with a line "id: <kFirstEventId + sequence>", whose number has eleven
// digits. LLM-shaped events are chat.completion.chunk objects with the same text in "obfuscation",
// the field that OpenAI pads its chunks with. Pure functions of any thread.
#pragma once

#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>

#include "core/text.h"
#include "perf/stream_spec.h"

namespace sluice::perf {

inline constexpr std::string_view kLlmDone = "data: [DONE]\n\n";
inline constexpr size_t kMarkBytes = 8 + 1 + 8 + 1 + 16 + 1;
// All ids have the same length, since those of a stream end with a sequence number of 32 bits.
inline constexpr uint64_t kFirstEventId = 10'000'000'000;

struct Mark {
  uint32_t id;
  uint32_t sequence;
  uint64_t ns;
};

// The parts of an event around its mark and filler.
struct EventFrame {
  size_t id_bytes;  // of the line before the prefix
  std::string_view prefix;
  std::string_view suffix;
  size_t filler_bytes;

  size_t size() const {
    return id_bytes + prefix.size() + kMarkBytes + filler_bytes + suffix.size();
  }
};

inline EventFrame event_frame(const StreamSpec& spec, uint64_t sequence) {
  if (spec.shape == StreamSpec::Shape::kEvents) {
    constexpr std::string_view kPrefix = "data: ";
    constexpr std::string_view kSuffix = "\n\n";
    const size_t id_bytes = spec.ids ? kIdLineBytes : 0;
    const size_t framing = id_bytes + kPrefix.size() + kMarkBytes + kSuffix.size();
    return {id_bytes, kPrefix, kSuffix, spec.size - framing};
  }
  constexpr std::string_view kPrefix = "data: {\"obfuscation\":\"";
  constexpr std::string_view kRole =
      "\",\"id\":\"chatcmpl-perf\",\"object\":\"chat.completion.chunk\",\"created\":0,\"model\":"
      "\"perf\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},"
      "\"finish_reason\":null}]}\n\n";
  constexpr std::string_view kDelta =
      "\",\"id\":\"chatcmpl-perf\",\"object\":\"chat.completion.chunk\",\"created\":0,\"model\":"
      "\"perf\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" token\"},"
      "\"finish_reason\":null}]}\n\n";
  return {0, kPrefix, sequence == 0 ? kRole : kDelta, 8};
}

// The filler of an event: a window into one fixed pseudo-random text.
inline const char* filler(uint32_t id, uint64_t sequence) {
  constexpr size_t kWindows = 4096;
  static const std::unique_ptr<char[]> text = [] {
    constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    auto made = std::make_unique<char[]>(kWindows + kEventBytesMax);
    uint64_t state = 1;
    for (size_t i = 0; i < kWindows + kEventBytesMax; ++i) {
      state = state * 6364136223846793005U + 1442695040888963407U;  // Knuth's MMIX generator
      made[i] = kAlphabet[state >> 58];
    }
    return made;
  }();
  const uint64_t mixed = (uint64_t{id} << 32 | sequence) * 0x9E3779B97F4A7C15U;
  return text.get() + (mixed >> 52);
}

namespace detail {

inline char* write_hex(char* out, uint64_t value, int digits) {
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) {
    *out++ = "0123456789abcdef"[value >> shift & 15];
  }
  return out;
}

inline bool read_hex(const char* in, int digits, uint64_t* value) {
  *value = 0;
  for (int i = 0; i < digits; ++i) {
    const char c = in[i];
    const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (digit < 0) return false;
    *value = *value << 4 | static_cast<uint64_t>(digit);
  }
  return true;
}

inline char* write_text(char* out, std::string_view text) {
  std::memcpy(out, text.data(), text.size());
  return out + text.size();
}

inline char* write_id_line(char* out, uint64_t sequence) {
  out = write_text(out, "id: ");
  out = std::to_chars(out, out + kIdLineBytes, kFirstEventId + sequence).ptr;
  *out++ = '\n';
  return out;
}

}  // namespace detail

// The sequence number of the event behind the one with that id. Without one of ours it is the
// first.
inline uint64_t sequence_behind(std::string_view id) {
  const uint64_t last = parse_decimal(id, kFirstEventId + UINT32_MAX - 1).value_or(0);
  return last < kFirstEventId ? 0 : last - kFirstEventId + 1;
}

// The line with its LF that an event begins with if its stream has ids.
inline bool is_id_line(std::string_view line, uint64_t sequence) {
  std::array<char, kIdLineBytes> due{};
  detail::write_id_line(due.data(), sequence);
  return line == std::string_view(due.data(), due.size());
}

// Writes the event at `out` (event_frame().size() bytes) and returns its end.
inline char* write_event(const StreamSpec& spec, uint64_t sequence, uint64_t ns, char* out) {
  const EventFrame frame = event_frame(spec, sequence);
  if (spec.ids) out = detail::write_id_line(out, sequence);
  out = detail::write_text(out, frame.prefix);
  out = detail::write_hex(out, spec.id, 8);
  *out++ = ' ';
  out = detail::write_hex(out, sequence, 8);
  *out++ = ' ';
  out = detail::write_hex(out, ns, 16);
  *out++ = ' ';
  out = detail::write_text(out, {filler(spec.id, sequence), frame.filler_bytes});
  return detail::write_text(out, frame.suffix);
}

// The mark of an event whose prefix is `prefix`. False: these bytes hold none.
inline bool read_mark(std::string_view event, std::string_view prefix, Mark* mark) {
  if (event.size() < prefix.size() + kMarkBytes || !event.starts_with(prefix)) return false;
  const char* in = event.data() + prefix.size();
  uint64_t id = 0;
  uint64_t sequence = 0;
  if (!detail::read_hex(in, 8, &id) || !detail::read_hex(in + 9, 8, &sequence) ||
      !detail::read_hex(in + 18, 16, &mark->ns)) {
    return false;
  }
  mark->id = static_cast<uint32_t>(id);
  mark->sequence = static_cast<uint32_t>(sequence);
  return in[8] == ' ' && in[17] == ' ' && in[34] == ' ';
}

}  // namespace sluice::perf

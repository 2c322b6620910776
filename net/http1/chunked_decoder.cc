#include "net/http1/chunked_decoder.h"

#include <algorithm>
#include <array>
#include <limits>

#include "net/http/text.h"

namespace sluice {
namespace {

constexpr uint64_t kSizeMax = std::numeric_limits<int64_t>::max();
// Trailers with these names are an error; in lower case.
constexpr std::array<std::string_view, 2> kFramingNames = {"content-length", "transfer-encoding"};

// Sizes are hex and come in pieces, so they are read digit by digit.
constexpr uint8_t kNoDigit = 0xff;
constexpr std::array<uint8_t, 256> kHexDigits = [] {
  std::array<uint8_t, 256> digits{};
  for (unsigned c = 0; c < digits.size(); ++c) {
    const char lower = ascii_lower(static_cast<char>(c));
    digits[c] = kNoDigit;
    if (is_digit(lower)) digits[c] = static_cast<uint8_t>(lower - '0');
    if (lower >= 'a' && lower <= 'f') digits[c] = static_cast<uint8_t>(lower - 'a' + 10);
  }
  return digits;
}();

uint8_t hex_digit(char c) {
  return kHexDigits[static_cast<uint8_t>(c)];
}

bool is_crlf(const char* at) {
  return at[0] == '\r' && at[1] == '\n';
}

// Reads a size line as nearly all are: a few digits and CRLF, all in the buffer. Returns the line's
// end, or null for any other line. Not for the last chunk's.
const char* read_plain_size(const char* at, const char* end, uint64_t& size) {
  constexpr ptrdiff_t kDigitsMax = 8;
  if (end - at < kDigitsMax + 2) return nullptr;
  uint64_t value = 0;
  const char* const stop = at + kDigitsMax;
  for (uint8_t digit; at != stop && (digit = hex_digit(*at)) != kNoDigit; ++at)
    value = value << 4 | digit;
  if (value == 0 || !is_crlf(at)) return nullptr;
  size = value;
  return at + 2;
}

}  // namespace

ChunkedDecoder::Step ChunkedDecoder::feed(std::string_view bytes, const Limits& limits,
                                          BodySink& sink) {
  const char* at = bytes.data();
  const char* const end = at + bytes.size();
  const char* framing = at;  // where it begins
  while (at != end) {
    if (state_ != State::kData) {
      const char* const data =
          state_ == State::kSizeStart ? read_plain_size(at, end, left_) : nullptr;
      if (data == nullptr) {
        state_ = next(*at++, limits);
        if (state_ == State::kEnded || state_ == State::kFailed) break;
        continue;
      }
      at = data;
    }
    if (!add_framing(static_cast<size_t>(at - framing), limits)) break;
    framing_bytes_ = 0;
    const auto size = std::min(left_, static_cast<uint64_t>(end - at));
    const uint64_t left = left_ - size;
    sink.on_body({at, size});
    at += size;
    framing = at;
    if (left == 0 && end - at >= 2 && is_crlf(at)) {
      at += 2;
      state_ = State::kSizeStart;
      continue;
    }
    left_ = left;
    state_ = left > 0 ? State::kData : State::kDataCr;
  }
  add_framing(static_cast<size_t>(at - framing), limits);
  const auto consumed = static_cast<size_t>(at - bytes.data());
  if (state_ == State::kFailed) return {consumed, Event::kError};
  return {consumed, state_ == State::kEnded ? Event::kEnd : Event::kNeedMore};
}

bool ChunkedDecoder::add_framing(size_t bytes, const Limits& limits) {
  framing_bytes_ += static_cast<uint32_t>(bytes);
  if (framing_bytes_ > limits.framing_bytes_max) state_ = State::kFailed;
  return state_ != State::kFailed;
}

// One byte of framing. The grammar is subtle behind an element of a size line: blanks may stand
// before and behind ";" and "=", but not at the line's end.
ChunkedDecoder::State ChunkedDecoder::next(char c, const Limits& limits) {
  using enum State;
  const auto extension_or = [c](State otherwise) { return c == ';' ? kNameStart : otherwise; };
  const auto extension_or_end = [c, extension_or] {
    if (c == '\r') return kSizeLf;
    return extension_or(is_blank(c) ? kExtension : kFailed);
  };
  switch (state_) {
    case kSizeStart:
      left_ = 0;
      return in_size(c);
    case kSize:
      return hex_digit(c) == kNoDigit ? extension_or_end() : in_size(c);
    case kExtension:
      return extension_or(is_blank(c) ? kExtension : kFailed);
    case kNameStart:
      if (is_blank(c)) return kNameStart;
      return is_token_char(c) ? kName : kFailed;
    case kName:
      if (is_token_char(c)) return kName;
      if (is_blank(c)) return kNameEnd;
      return c == '=' ? kValueStart : extension_or_end();
    case kNameEnd:
      if (is_blank(c)) return kNameEnd;
      return c == '=' ? kValueStart : extension_or(kFailed);
    case kValueStart:
      if (is_blank(c)) return kValueStart;
      if (c == '"') return kQuoted;
      return is_token_char(c) ? kValue : kFailed;
    case kValue:
      return is_token_char(c) ? kValue : extension_or_end();
    case kQuoted:
      if (c == '"') return kQuotedEnd;
      if (c == '\\') return kQuotedPair;
      return is_text_char(c) ? kQuoted : kFailed;
    case kQuotedPair:
      return is_text_char(c) ? kQuoted : kFailed;
    case kQuotedEnd:
      return extension_or_end();
    case kSizeLf:
      if (c != '\n') return kFailed;
      return left_ > 0 ? kData : kTrailerStart;
    case kDataCr:
      return c == '\r' ? kDataLf : kFailed;
    case kDataLf:
      return c == '\n' ? kSizeStart : kFailed;
    case kTrailerStart:
      if (c == '\r') return kEndLf;
      if (trailers_++ == limits.trailers_max) return kFailed;
      framing_names_ = (1U << kFramingNames.size()) - 1;
      name_bytes_ = 0;
      return is_token_char(c) ? in_trailer_name(c) : kFailed;
    case kTrailerName:
      return c == ':' || is_token_char(c) ? in_trailer_name(c) : kFailed;
    case kTrailerValue:
      if (c == '\r') return kTrailerLf;
      return is_text_char(c) ? kTrailerValue : kFailed;
    case kTrailerLf:
      return c == '\n' ? kTrailerStart : kFailed;
    case kEndLf:
      return c == '\n' ? kEnded : kFailed;
    case kData:
    case kEnded:
    case kFailed:
      break;
  }
  return kFailed;
}

ChunkedDecoder::State ChunkedDecoder::in_size(char c) {
  const uint8_t digit = hex_digit(c);
  if (digit == kNoDigit || left_ > kSizeMax >> 4) return State::kFailed;
  left_ = left_ << 4 | digit;
  return State::kSize;
}

// The name may come in pieces and is not kept. Each of its bytes, and its end, rules out some of
// the names of framing.
ChunkedDecoder::State ChunkedDecoder::in_trailer_name(char c) {
  const bool ends = c == ':';
  for (unsigned i = 0; i < kFramingNames.size(); ++i) {
    const std::string_view name = kFramingNames[i];
    const bool goes_on = name_bytes_ < name.size() && name[name_bytes_] == ascii_lower(c);
    if (!(ends ? name_bytes_ == name.size() : goes_on))
      framing_names_ = static_cast<uint8_t>(framing_names_ & ~(1U << i));
  }
  if (ends) return framing_names_ == 0 ? State::kTrailerValue : State::kFailed;
  if (framing_names_ != 0) ++name_bytes_;
  return State::kTrailerName;
}

}  // namespace sluice

// What an answer of OpenAI's (chat and text completions, Responses) or Anthropic's says of its
// usage, its model and its text. Read from the data of single events, each a text of its own, or
// from a whole body that comes in pieces. All three dialects in one: a `usage` object counts where
// they have it, which is at the top, in `response` or in `message`, and nowhere else. Counts that
// come more than once are of all so far, so the largest is the right one. Allocates nothing; one
// answer, one thread.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "net/base/usage.h"
#include "net/llm/event_members.h"
#include "net/llm/json_tokens.h"

namespace sluice {

// The bytes of text that an event's data adds to the answer: what `delta` holds, or of a text
// completion `text`. 0: it has none, so it is no token. `members`: those of the data.
size_t content_bytes(std::string_view data, const EventMembers& members);

// A short text of a peer's, kept; one that is too long is cut. It becomes a label, so of bytes that
// are no visible ASCII nothing is kept but that they were there.
class KeptText {
 public:
  static constexpr size_t kBytesMax = JsonTokens::kTextBytesMax;

  void keep(std::string_view text) {
    size_ = static_cast<uint8_t>(std::min(text.size(), kBytesMax));
    for (size_t i = 0; i < size_; ++i) text_[i] = text[i] > ' ' && text[i] < '\x7f' ? text[i] : '?';
  }
  std::string_view view() const { return {text_.data(), size_}; }

 private:
  uint8_t size_ = 0;
  std::array<char, kBytesMax> text_;
};

class AnswerReader {
 public:
  // Another text follows.
  void begin_text();
  // The next piece of it.
  void read(std::string_view piece);

  const Usage& usage() const { return usage_; }
  std::string_view model() const { return model_.view(); }
  // Of all texts: bytes of strings that are the model's.
  uint64_t text_bytes() const { return text_bytes_; }
  // Of the text that was read last: it tells of usage, and of nothing that was said. OpenAI's extra
  // chunk is such a one.
  bool is_usage_alone() const { return usage_begun_ && choices_begun_ && !has_choice_; }
  bool usage_begun() const { return usage_begun_; }

 private:
  enum class Name : uint8_t;
  static constexpr unsigned kPathDepth = 5;

  static Name name_of(std::string_view text);
  void take_scalar(unsigned depth, std::string_view text);
  bool is(unsigned depth, Name name) const { return path_[depth] == name; }

  JsonTokens tokens_;
  std::array<Name, kPathDepth> path_{};  // by depth, the name that was read last there
  bool text_follows_ = false;
  bool usage_begun_ = false;
  bool choices_begun_ = false;
  bool has_choice_ = false;
  Usage usage_;
  KeptText model_;
  uint64_t text_bytes_ = 0;
};

}  // namespace sluice

// What a request's JSON body says about its answer: the members `stream`, `model` and
// `stream_options` of its outermost object. The body is looked at as it passes, in pieces of any
// size; nothing of it is kept but those values. Beyond limits::kLlmRequestBytes it is not looked
// at. A body that is no JSON says nothing. Owned by whoever looks; no I/O, no allocation.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "net/base/limits.h"

namespace sluice {

class RequestSight {
 public:
  // The next bytes of the body.
  void look(std::string_view bytes);

  // Nothing more can be learnt: its object has ended, it is none, or it is too long.
  bool done() const { return done_; }
  // It has begun as an object does.
  bool is_object() const { return depth_ > 0 || end_ != 0; }

  // Where the same name comes twice the last one counts, as in JSON.parse().
  bool stream() const { return stream_; }
  // Between its quotes, as it is written there; cut to limits::kLlmModelBytes.
  std::string_view model() const { return {model_.data(), model_bytes_}; }
  bool has_stream_options() const { return has_options_; }
  bool include_usage() const { return include_usage_; }

  // Of the body's bytes: those before the outermost object's closing brace, once it has come; 0
  // before. And those before the value of `stream_options`; 0 where there is none.
  uint64_t end() const { return end_; }
  uint64_t stream_options_at() const { return options_at_; }

 private:
  enum class Member : uint8_t { kOther, kStream, kModel, kOptions, kIncludeUsage };

  void take(char c);
  void take_in_string(char c);
  void open(bool object);
  void close();
  void end_text(bool string);
  Member member_called(std::string_view name) const;
  bool keeps_text() const { return at_name_ || member_ != Member::kOther; }

  uint64_t looked_at_ = 0;
  uint64_t end_ = 0;
  uint64_t options_at_ = 0;
  uint32_t depth_ = 0;
  bool done_ = false;
  bool in_string_ = false;
  bool escaped_ = false;     // the next byte of the string is not its end
  bool at_name_ = false;     // of the outermost object, or of stream_options
  bool in_options_ = false;  // within its value
  bool stream_ = false;
  bool has_options_ = false;
  bool include_usage_ = false;
  Member member_ = Member::kOther;  // whose value comes
  uint8_t text_bytes_ = 0;
  uint8_t model_bytes_ = 0;
  std::array<char, limits::kLlmModelBytes> text_;  // of a name or a value that is looked at
  std::array<char, limits::kLlmModelBytes> model_;
};

}  // namespace sluice

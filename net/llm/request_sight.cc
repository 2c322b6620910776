#include "net/llm/request_sight.h"

#include <algorithm>

namespace sluice {

namespace {

// Strings that nobody asks for are most of a body: to their end, or to what is behind a backslash.
size_t skip_string(std::string_view bytes, size_t at) {
  while (at < bytes.size() && bytes[at] != '"' && bytes[at] != '\\') ++at;
  return at;
}

}  // namespace

void RequestSight::look(std::string_view bytes) {
  if (done_) return;
  uint64_t left = limits::kLlmRequestBytes - looked_at_;
  bool too_long = bytes.size() > left;
  bytes = bytes.substr(0, left);
  uint64_t before = looked_at_;
  for (size_t at = 0; at < bytes.size() && !done_; ++at) {
    looked_at_ = before + at;
    if (!in_string_) {
      take(bytes[at]);
      continue;
    }
    if (!escaped_ && !keeps_text()) at = skip_string(bytes, at);
    if (at < bytes.size()) take_in_string(bytes[at]);
  }
  looked_at_ = before + bytes.size();
  done_ |= too_long;
}

void RequestSight::take_in_string(char c) {
  bool ends = c == '"' && !escaped_;
  escaped_ = c == '\\' && !escaped_;
  if (ends) {
    in_string_ = false;
    end_text(/*string=*/true);
  } else if (keeps_text() && text_bytes_ < text_.size()) {
    text_[text_bytes_++] = c;
  }
}

void RequestSight::take(char c) {
  switch (c) {
    case ' ':
    case '\t':
    case '\n':
    case '\r':
      return;
    case '{':
    case '[':
      open(c == '{');
      return;
    case '}':
    case ']':
      end_text(/*string=*/false);
      close();
      return;
    case ',':
      end_text(/*string=*/false);
      member_ = Member::kOther;
      at_name_ = depth_ == 1 || (depth_ == 2 && in_options_);
      return;
    case ':':
      at_name_ = false;
      text_bytes_ = 0;
      return;
    case '"':
      in_string_ = true;
      text_bytes_ = 0;
      break;
    default:
      if (keeps_text() && text_bytes_ < text_.size()) text_[text_bytes_++] = c;
  }
  if (depth_ == 0) done_ = true;  // no object, so it says nothing
}

void RequestSight::open(bool object) {
  if (depth_ == 0 && !object) {
    done_ = true;
    return;
  }
  if (member_ == Member::kOptions && object) {
    in_options_ = has_options_ = true;
    include_usage_ = false;
    options_at_ = looked_at_;
  }
  ++depth_;
  member_ = Member::kOther;
  at_name_ = depth_ == 1 || (depth_ == 2 && in_options_);
}

void RequestSight::close() {
  done_ = depth_ <= 1;
  if (depth_ == 0) return;
  if (--depth_ == 0) end_ = looked_at_;
  if (depth_ == 1) in_options_ = false;
  member_ = Member::kOther;
  at_name_ = false;
}

// What stood between the quotes, or a value without any.
void RequestSight::end_text(bool string) {
  std::string_view text(text_.data(), text_bytes_);
  if (at_name_) {
    member_ = string ? member_called(text) : Member::kOther;
  } else if (member_ == Member::kModel && string) {
    std::ranges::copy(text, model_.begin());
    model_bytes_ = text_bytes_;
  } else if (member_ == Member::kStream) {
    stream_ = !string && text == "true";
  } else if (member_ == Member::kIncludeUsage) {
    include_usage_ = !string && text == "true";
  }
  if (!string || !at_name_) member_ = Member::kOther;
}

RequestSight::Member RequestSight::member_called(std::string_view name) const {
  if (depth_ == 2) return name == "include_usage" ? Member::kIncludeUsage : Member::kOther;
  if (name == "stream") return Member::kStream;
  if (name == "model") return Member::kModel;
  if (name == "stream_options") return Member::kOptions;
  return Member::kOther;
}

}  // namespace sluice

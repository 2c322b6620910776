#include "net/llm/request_reader.h"

#include <algorithm>
#include <array>

namespace sluice {

namespace {

constexpr std::string_view kOptions = R"(,"stream_options":{"include_usage":true})";
constexpr std::string_view kMember = R"(,"include_usage":true)";
static_assert(kOptions.size() == RequestReader::kInsertionBytesMax);

// What a model is given to read, in whichever dialect.
constexpr std::array<std::string_view, 8> kPromptNames = {
    "content", "text", "input", "prompt", "system", "output", "thinking", "instructions"};

}  // namespace

std::optional<RequestReader::Insertion> RequestReader::read(std::string_view piece) {
  using Kind = JsonTokens::Kind;
  if (packed_) {
    text_bytes_ += piece.size();
    return {};
  }
  std::optional<Insertion> insertion;
  JsonTokens::Token token;
  for (std::string_view rest = piece; !done_ && tokens_.next(rest, token);) {
    done_ = token.depth == 0 && (token.kind != Kind::kBegin || !token.object);
    switch (token.kind) {
      case Kind::kName:
        take_name(token);
        break;
      case Kind::kString:
        if (text_follows_) text_bytes_ += token.size;
        if (token.depth == 1 && top_ == Name::kModel) model_.keep(token.text);
        break;
      case Kind::kScalar:
        take_scalar(token);
        break;
      case Kind::kBegin:
        break;
      case Kind::kEnd:
        if (!inserted_ && token.object) insertion = at_end(token, piece.size() - rest.size() - 1);
        break;
    }
  }
  return insertion;
}

void RequestReader::take_name(const JsonTokens::Token& name) {
  text_follows_ = std::ranges::find(kPromptNames, name.text) != kPromptNames.end();
  if (name.depth == 1) {
    top_ = Name::kOther;
    if (name.text == "stream") {
      top_ = Name::kStream;
      streams_ = false;  // until its value has come, if that is true
    }
    if (name.text == "model") top_ = Name::kModel;
    if (name.text != "stream_options") return;
    top_ = Name::kOptions;
    has_options_ = true;
    options_are_empty_ = true;
  } else if (name.depth == 2 && top_ == Name::kOptions) {
    options_are_empty_ = false;
    option_ = name.text == "include_usage" ? Name::kIncludeUsage : Name::kOther;
    says_ |= option_ == Name::kIncludeUsage;
  }
}

void RequestReader::take_scalar(const JsonTokens::Token& scalar) {
  if (scalar.depth == 1 && top_ == Name::kStream) streams_ = scalar.text == "true";
  if (scalar.depth == 2 && top_ == Name::kOptions && option_ == Name::kIncludeUsage)
    asks_ |= scalar.text == "true";
}

// A client that gives stream_options has a stream, whatever it says behind them: without one they
// are refused.
std::optional<RequestReader::Insertion> RequestReader::at_end(const JsonTokens::Token& end,
                                                              size_t at) {
  std::string_view text;
  if (end.depth == 1 && top_ == Name::kOptions && !says_)
    text = options_are_empty_ ? kMember.substr(1) : kMember;
  else if (end.depth == 0 && streams_ && !has_options_)
    text = kOptions;
  if (text.empty()) return {};
  inserted_ = true;
  return Insertion{.at = at, .text = text};
}

}  // namespace sluice

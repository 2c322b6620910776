#include "net/llm/answer_reader.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "core/text.h"

namespace sluice {

namespace {

// What a model says, in whichever dialect.
constexpr std::array<std::string_view, 8> kTextNames = {
    "content",   "text",    "arguments",         "thinking",
    "reasoning", "refusal", "reasoning_content", "partial_json"};

bool is_text_name(std::string_view name) {
  return std::ranges::find(kTextNames, name) != kTextNames.end();
}

// Takes the value from the front of `json`; the bytes of text in it.
size_t take_text(std::string_view& json) {
  JsonTokens tokens;
  JsonTokens::Token token;
  using Kind = JsonTokens::Kind;
  size_t bytes = 0;
  bool counts = true;  // the value itself may be the text
  while (tokens.next(json, token)) {
    if (token.kind == Kind::kName) counts = is_text_name(token.text);
    if (token.kind == Kind::kString && counts) bytes += token.size;
    if (token.depth == 0 && token.kind != Kind::kBegin) break;
  }
  return bytes;
}

// The bytes of text in the values of all members of that name, of which the first is at `at`.
size_t text_of(std::string_view json, Member member, size_t at, bool repeats) {
  size_t bytes = 0;
  while (at < json.size()) {
    json.remove_prefix(at);
    bytes += take_text(json);
    at = repeats ? find_member(json, member) : json.size();
  }
  return bytes;
}

}  // namespace

size_t content_bytes(std::string_view data, const EventMembers& members) {
  Member member = members.first(Member::kDelta) < data.size() ? Member::kDelta : Member::kText;
  if (member == Member::kText && members.first(Member::kChoices) >= data.size()) return 0;
  return text_of(data, member, members.first(member), members.repeats(member));
}

enum class AnswerReader::Name : uint8_t {
  kOther,
  kUsage,
  kMessage,
  kResponse,
  kModel,
  kChoices,
  kInput,
  kOutput,
  kInputDetails,
  kOutputDetails,
  kCached,
  kCacheRead,
  kCacheWrite,
  kReasoning,
};

AnswerReader::Name AnswerReader::name_of(std::string_view text) {
  static constexpr std::pair<std::string_view, Name> kNames[] = {
      {"usage", Name::kUsage},
      {"message", Name::kMessage},
      {"response", Name::kResponse},
      {"model", Name::kModel},
      {"choices", Name::kChoices},
      {"prompt_tokens", Name::kInput},
      {"input_tokens", Name::kInput},
      {"completion_tokens", Name::kOutput},
      {"output_tokens", Name::kOutput},
      {"prompt_tokens_details", Name::kInputDetails},
      {"input_tokens_details", Name::kInputDetails},
      {"completion_tokens_details", Name::kOutputDetails},
      {"output_tokens_details", Name::kOutputDetails},
      {"cached_tokens", Name::kCached},
      {"cache_read_input_tokens", Name::kCacheRead},
      {"cache_creation_input_tokens", Name::kCacheWrite},
      {"reasoning_tokens", Name::kReasoning},
  };
  for (const auto& [name, value] : kNames)
    if (text == name) return value;
  return Name::kOther;
}

void AnswerReader::begin_text() {
  tokens_ = {};
  path_ = {};
  text_follows_ = usage_begun_ = choices_begun_ = has_choice_ = false;
}

void AnswerReader::read(std::string_view piece) {
  using Kind = JsonTokens::Kind;
  JsonTokens::Token token;
  while (tokens_.next(piece, token)) {
    unsigned depth = token.depth;
    bool wrapped = is(1, Name::kMessage) || is(1, Name::kResponse);
    if (depth >= 2 && is(1, Name::kChoices)) has_choice_ = true;
    switch (token.kind) {
      case Kind::kName:
        if (depth < kPathDepth) path_[depth] = name_of(token.text);
        text_follows_ = is_text_name(token.text);
        break;
      case Kind::kString:
        if (text_follows_) text_bytes_ += token.size;
        if ((depth == 1 || (depth == 2 && wrapped)) && is(depth, Name::kModel))
          model_.keep(token.text);
        break;
      case Kind::kScalar:
        take_scalar(depth, token.text);
        break;
      case Kind::kBegin:
        if (depth == 1 && is(1, Name::kChoices)) choices_begun_ = true;
        if ((depth == 1 || (depth == 2 && wrapped)) && is(depth, Name::kUsage) && token.object)
          usage_begun_ = true;
        // The name belongs to the container, not to what is in it.
        if (depth + 1 < kPathDepth) path_[depth + 1] = Name::kOther;
        break;
      case Kind::kEnd:
        break;
    }
  }
}

void AnswerReader::take_scalar(unsigned depth, std::string_view text) {
  if (depth < 2 || depth >= kPathDepth) return;
  unsigned usage = is(1, Name::kUsage) ? 1 : 2;
  bool there =
      usage == 1 || ((is(1, Name::kMessage) || is(1, Name::kResponse)) && is(2, Name::kUsage));
  if (!there || depth <= usage) return;
  std::optional<TokenKind> kind;
  if (depth == usage + 1) {
    if (is(depth, Name::kInput)) kind = TokenKind::kInput;
    if (is(depth, Name::kOutput)) kind = TokenKind::kOutput;
    if (is(depth, Name::kCacheRead)) kind = TokenKind::kCached;
    if (is(depth, Name::kCacheWrite)) kind = TokenKind::kCacheWrite;
  } else if (depth == usage + 2) {
    if (is(depth - 1, Name::kInputDetails) && is(depth, Name::kCached)) kind = TokenKind::kCached;
    if (is(depth - 1, Name::kOutputDetails) && is(depth, Name::kReasoning))
      kind = TokenKind::kReasoning;
  }
  if (!kind) return;
  constexpr uint64_t kTokensMax = 1'000'000'000'000;
  std::optional<uint64_t> count = parse_decimal(text, kTokensMax);
  if (count) usage_.set(*kind, std::max(*count, usage_.of(*kind)));
}

}  // namespace sluice

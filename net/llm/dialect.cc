#include "net/llm/dialect.h"

#include <algorithm>
#include <array>

#include "net/filter/json_pointer.h"
#include "net/filter/json_text.h"
#include "net/http/text.h"
#include "sse/fields.h"
#include "sse/lines.h"

namespace sluice {

namespace {

constexpr size_t kNone = std::string_view::npos;

void append(const Pieces& value, std::string& room) {
  for (Pieces rest = value; !rest.empty(); rest.remove_prefix(rest.first().size()))
    room += rest.first();
}

// Of its outermost object.
bool has_error(const EventSight& sight) {
  if (!sight.members.may_be_error()) return false;
  std::string_view error = json_member_of(sight.data, "error");
  return is_filled(error, 0) || json_member_of(sight.data, "object") == "\"error\"";
}

EventRole role_in_openai(EventSight& sight) {
  constexpr MemberSet kContent =
      set_of(Member::kContent, Member::kText, Member::kToolCalls, Member::kReasoningContent,
             Member::kReasoning, Member::kRefusal, Member::kAudio, Member::kReasoningDetails,
             Member::kFunctionCall);
  const EventMembers& members = sight.members;
  std::string_view json = sight.data.substr(skip_blanks(sight.data, 0));
  if (json.starts_with("[DONE]")) return EventRole::kEnd;
  if (sight.type == "error") return EventRole::kError;
  if (!json.starts_with('{')) return EventRole::kOther;
  sight.finishes = members.filled(Member::kFinishReason);
  if (has_error(sight)) return EventRole::kError;
  if (members.any_filled(kContent)) return EventRole::kContent;
  if (sight.finishes) return EventRole::kOther;
  if (members.filled(Member::kChoices)) return EventRole::kLifecycle;
  // Without choices: the count of tokens behind the content, or (Azure) a verdict on the prompt.
  bool before_content = members.has(Member::kChoices) && !members.filled(Member::kUsage);
  return before_content ? EventRole::kLifecycle : EventRole::kOther;
}

EventRole role_in_responses(EventSight& sight) {
  std::string_view type = sight.type;
  if (type.ends_with(".delta"))
    return sight.members.filled(Member::kDelta) ? EventRole::kContent : EventRole::kLifecycle;
  if (type == "keepalive") return EventRole::kHeartbeat;
  if (type == "error" || type == "response.failed") return EventRole::kError;
  if (type == "response.completed" || type == "response.incomplete" ||
      type == "response.cancelled") {
    sight.finishes = true;
    return EventRole::kEnd;
  }
  if (type == "response.image_generation_call.partial_image") return EventRole::kContent;
  static constexpr std::array<std::string_view, 6> kLifecycle = {
      "response.created",
      "response.queued",
      "response.in_progress",
      "response.output_item.added",
      "response.content_part.added",
      "response.reasoning_summary_part.added"};
  return std::ranges::find(kLifecycle, type) != kLifecycle.end() ? EventRole::kLifecycle
                                                                 : EventRole::kOther;
}

EventRole role_in_anthropic(EventSight& sight) {
  std::string_view type = sight.type;
  constexpr MemberSet kContent =
      set_of(Member::kText, Member::kThinking, Member::kPartialJson, Member::kSignature,
             Member::kCitation, Member::kData, Member::kContent, Member::kInput);
  if (type == "content_block_delta" || type == "content_block_start")
    return sight.members.any_filled(kContent) ? EventRole::kContent : EventRole::kLifecycle;
  if (type == "message_start") return EventRole::kLifecycle;
  if (type == "message_stop") return EventRole::kEnd;
  if (type == "error") return EventRole::kError;
  if (type == "message_delta") sight.finishes = sight.members.filled(Member::kStopReason);
  return EventRole::kOther;
}

bool has_types(Dialect dialect) {
  return dialect == Dialect::kResponses || dialect == Dialect::kAnthropic;
}

std::string_view without_quotes(std::string_view value) {
  return value.size() >= 2 && value.front() == '"' ? value.substr(1, value.size() - 2)
                                                   : std::string_view();
}

// As an upstream may read it: %XX is a byte, and what only looks like that stays as it is.
bool ends_decoded_with(std::string_view path, std::string_view end) {
  while (!path.empty() && !end.empty()) {
    char last = path.back();
    size_t size = 1;
    if (std::string_view tail = path.substr(path.size() - std::min<size_t>(path.size(), 3));
        tail.size() == 3 && tail[0] == '%' && is_hex_digit(tail[1]) && is_hex_digit(tail[2])) {
      last = static_cast<char>(hex_value(tail[1]) << 4 | hex_value(tail[2]));
      size = tail.size();
    }
    if (last != end.back()) return false;
    path.remove_suffix(size);
    end.remove_suffix(1);
  }
  return end.empty();
}

}  // namespace

std::string_view json_member_of(std::string_view json, std::string_view name) {
  std::string_view value;
  JsonPlace whole;
  whole.begin = skip_blanks(json, 0);
  whole.end = json.find_last_of('}') + 1;
  if (whole.begin >= whole.end || json[whole.begin] != '{') return value;
  JsonItems members(json, whole);
  for (JsonPlace member; members.next(member) && member.begin < json.size();)
    if (members.is_called(member, name))
      value = json.substr(member.begin, member.end - member.begin);
  return value;
}

Dialect dialect_of_path(std::string_view path) {
  auto ends_with = [path](std::string_view end) { return ends_decoded_with(path, end); };
  if (ends_with("/completions")) return Dialect::kOpenAi;
  if (ends_with("/v1/responses") || ends_with("/openai/responses")) return Dialect::kResponses;
  if (ends_with("/v1/messages")) return Dialect::kAnthropic;
  return Dialect::kNone;
}

bool is_path_without_cost(std::string_view path) {
  static constexpr std::array<std::string_view, 9> kParts = {
      "/count_tokens", "/input_tokens", "/tokenize", "/detokenize", "/moderations",
      "/files",        "/uploads",      "/batches",  "/cancel"};
  if (dialect_of_path(path) != Dialect::kNone) return false;
  return std::ranges::any_of(kParts, [path](std::string_view part) {
    size_t found = path.find(part);
    return found != kNone &&
           (path.ends_with(part) || path.substr(found + part.size()).starts_with('/'));
  });
}

Dialect dialect_of_event(const EventSight& first) {
  std::string_view type = first.type;
  if (type.empty()) type = without_quotes(json_member_of(first.data, "type"));
  if (type == "message_start" && first.members.has(Member::kMessage)) return Dialect::kAnthropic;
  if ((type == "response.created" || type == "response.queued" || type == "response.in_progress") &&
      first.members.has(Member::kResponse))
    return Dialect::kResponses;
  if (!first.type.empty() || !first.members.has(Member::kChoices)) return Dialect::kNone;
  std::string_view object = without_quotes(json_member_of(first.data, "object"));
  bool openai = object == "chat.completion.chunk" || object == "text_completion";
  return openai ? Dialect::kOpenAi : Dialect::kNone;
}

void EventLook::read(const Pieces& event) {
  clear();
  LineReader lines(event);
  for (Pieces line; lines.next(line);)
    if (!line.empty()) take_line(line);
}

bool EventLook::read_next(EventReader& run, Pieces& event) {
  clear();
  return run.next(event, [this](const Pieces& line) { take_line(line); });
}

void EventLook::clear() {
  type_ = data_ = {};
  data_lines_ = 0;
}

void EventLook::take_line(const Pieces& line) {
  Field field;
  if (!read_field(line, field)) return;
  const Pieces& value = field.value;
  if (field.kind == FieldKind::kEvent) {
    if (value.in_one_piece()) {
      type_ = value.first();
      return;
    }
    type_room_.clear();
    append(value, type_room_);
    type_ = type_room_;
  } else if (field.kind == FieldKind::kData) {
    if (data_lines_++ == 0 && value.in_one_piece()) {
      data_ = value.first();
      return;
    }
    if (data_lines_ == 1)
      data_room_.clear();
    else if (data_lines_ == 2)
      data_room_.assign(data_).append(1, '\n');
    else
      data_room_ += '\n';
    append(value, data_room_);
    data_ = data_room_;
  }
}

EventSight EventLook::sight(Dialect dialect, SharedBegin* begin) const {
  EventSight sight;
  sight.type = type_;
  sight.data = data_;
  sight.members = begin ? begin->members_of(data_) : EventMembers(data_);
  if (sight.type.empty() && has_types(dialect))
    sight.type = without_quotes(json_member_of(sight.data, "type"));
  // Without data and type a client dispatches nothing (html.spec.whatwg.org 9.2.6).
  if ((data_.empty() && type_.empty()) || sight.type == "ping") {
    sight.role = EventRole::kHeartbeat;
    return sight;
  }
  switch (dialect) {
    case Dialect::kNone:
      break;
    case Dialect::kOpenAi:
      sight.role = role_in_openai(sight);
      break;
    case Dialect::kResponses:
      sight.role = role_in_responses(sight);
      break;
    case Dialect::kAnthropic:
      sight.role = role_in_anthropic(sight);
      break;
  }
  return sight;
}

}  // namespace sluice

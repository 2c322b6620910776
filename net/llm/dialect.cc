#include "net/llm/dialect.h"

#include <algorithm>
#include <array>
#include <span>

#include "core/text.h"
#include "net/filter/json_pointer.h"
#include "net/filter/json_text.h"
#include "net/http/text.h"
#include "sse/fields.h"

namespace sluice {

namespace {

constexpr size_t kNone = std::string_view::npos;

void append(const Pieces& value, std::string& room) {
  for (Pieces rest = value; !rest.empty(); rest.remove_prefix(rest.first().size()))
    room += rest.first();
}

// Not null, false, "", [] or {}.
bool is_filled(std::string_view json, size_t at) {
  if (at >= json.size()) return false;
  char c = json[at];
  if (c == 'n' || c == 'f') return false;
  if (c == '"') return at + 1 < json.size() && json[at + 1] != '"';
  if (c != '[' && c != '{') return true;
  size_t inner = skip_blanks(json, at + 1);
  return inner < json.size() && json[inner] != ']' && json[inner] != '}';
}

// Some member of that name, at any depth, has a value that is not empty.
bool any_filled(std::string_view json, std::string_view quoted_name) {
  for (size_t at = 0; (at = find_json_value(json, quoted_name, at)) != kNone;)
    if (is_filled(json, at)) return true;
  return false;
}

bool any_filled(std::string_view json, std::span<const std::string_view> quoted_names) {
  return std::ranges::any_of(quoted_names,
                             [&](std::string_view name) { return any_filled(json, name); });
}

// Of its outermost object.
bool has_error(std::string_view json) {
  constexpr std::string_view kError = "\"error\"";
  if (find_text(json, kError) == kNone) return false;
  std::string_view error = json_member_of(json, "error");
  return is_filled(error, 0) || json_member_of(json, "object") == kError;
}

EventRole role_in_openai(EventSight& sight) {
  std::string_view json = sight.data.substr(skip_blanks(sight.data, 0));
  if (json.starts_with("[DONE]")) return EventRole::kEnd;
  if (sight.type == "error") return EventRole::kError;
  if (!json.starts_with('{')) return EventRole::kOther;
  static constexpr std::array<std::string_view, 9> kContent = {
      "\"content\"", "\"text\"",  "\"tool_calls\"",        "\"reasoning_content\"", "\"reasoning\"",
      "\"refusal\"", "\"audio\"", "\"reasoning_details\"", "\"function_call\""};
  sight.finishes = any_filled(json, "\"finish_reason\"");
  if (has_error(json)) return EventRole::kError;
  if (any_filled(json, kContent)) return EventRole::kContent;
  if (sight.finishes) return EventRole::kOther;
  if (any_filled(json, "\"choices\"")) return EventRole::kLifecycle;
  // Without choices: the count of tokens behind the content, or (Azure) a verdict on the prompt.
  bool before_content =
      find_json_value(json, "\"choices\"") != kNone && !any_filled(json, "\"usage\"");
  return before_content ? EventRole::kLifecycle : EventRole::kOther;
}

EventRole role_in_responses(EventSight& sight) {
  std::string_view type = sight.type;
  if (type.ends_with(".delta"))
    return any_filled(sight.data, "\"delta\"") ? EventRole::kContent : EventRole::kLifecycle;
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
  static constexpr std::array<std::string_view, 8> kContent = {
      "\"text\"",     "\"thinking\"", "\"partial_json\"", "\"signature\"",
      "\"citation\"", "\"data\"",     "\"content\"",      "\"input\""};
  if (type == "content_block_delta" || type == "content_block_start")
    return any_filled(sight.data, kContent) ? EventRole::kContent : EventRole::kLifecycle;
  if (type == "message_start") return EventRole::kLifecycle;
  if (type == "message_stop") return EventRole::kEnd;
  if (type == "error") return EventRole::kError;
  if (type == "message_delta") sight.finishes = any_filled(sight.data, "\"stop_reason\"");
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

size_t find_json_value(std::string_view json, std::string_view quoted_name, size_t from) {
  while (from < json.size()) {
    size_t found = find_text(json, quoted_name, from);
    if (found == kNone) return kNone;
    from = found + quoted_name.size();
    size_t colon = skip_blanks(json, from);
    if (colon < json.size() && json[colon] == ':') return skip_blanks(json, colon + 1);
  }
  return kNone;
}

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
  if (type == "message_start" && find_json_value(first.data, "\"message\"") != kNone)
    return Dialect::kAnthropic;
  if ((type == "response.created" || type == "response.queued" || type == "response.in_progress") &&
      find_json_value(first.data, "\"response\"") != kNone)
    return Dialect::kResponses;
  if (!first.type.empty() || find_json_value(first.data, "\"choices\"") == kNone)
    return Dialect::kNone;
  std::string_view object = without_quotes(json_member_of(first.data, "object"));
  bool openai = object == "chat.completion.chunk" || object == "text_completion";
  return openai ? Dialect::kOpenAi : Dialect::kNone;
}

EventSight EventLook::look(Dialect dialect, const Pieces& event) {
  EventSight sight;
  if (!read_fields(event, sight) || sight.type == "ping") {
    sight.role = EventRole::kHeartbeat;
    return sight;
  }
  if (sight.type.empty() && has_types(dialect)) {
    sight.type = without_quotes(json_member_of(sight.data, "type"));
    if (sight.type == "ping") {
      sight.role = EventRole::kHeartbeat;
      return sight;
    }
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

// False: a client dispatches nothing for it (html.spec.whatwg.org 9.2.6), as far as it is known.
bool EventLook::read_fields(const Pieces& event, EventSight& sight) {
  size_t data_lines = 0;
  Field field;
  for (FieldReader fields(event); fields.next(field);) {
    const Pieces& value = field.value;
    if (field.kind == FieldKind::kEvent) {
      if (value.in_one_piece()) {
        sight.type = value.first();
        continue;
      }
      type_.clear();
      append(value, type_);
      sight.type = type_;
    } else if (field.kind == FieldKind::kData) {
      if (data_lines++ == 0 && value.in_one_piece()) {
        sight.data = value.first();
        continue;
      }
      if (data_lines == 1)
        data_.clear();
      else if (data_lines == 2)
        data_.assign(sight.data).append(1, '\n');
      else
        data_ += '\n';
      append(value, data_);
      sight.data = data_;
    }
  }
  return !sight.data.empty() || !sight.type.empty();
}

}  // namespace sluice

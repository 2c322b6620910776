#include "net/hub/publish_body.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/text.h"
#include "net/filter/json_pointer.h"
#include "net/filter/json_text.h"
#include "net/hub/home.h"
#include "net/hub/names.h"

namespace sluice {

namespace {

constexpr size_t kTypeBytesMax = 255;

PublishFault bad(std::string detail) {
  return {400, std::move(detail)};
}

bool is_string(std::string_view value) {
  return value.starts_with('"');
}

std::string_view without_quotes(std::string_view string) {
  return string.substr(1, string.size() - 2);
}

// Of a text that is one value, with nothing around it.
JsonPlace whole(std::string_view json) {
  JsonPlace place;
  place.end = json.size();
  return place;
}

class BodyReader {
 public:
  BodyReader(std::string& body, const PublishRules& rules, JsonCheck& check,
             std::vector<EventDraft>& events)
      : body_(body), rules_(rules), check_(check), events_(events) {}

  PublishFault read_text() {
    if (body_.size() > rules_.event_bytes_max) return too_large();
    if (!JsonCheck::is_utf8(body_)) return bad("The body is not UTF-8.");
    size_t size = body_.size();
    body_.append(rules_.type).append(rules_.message_id);
    std::string_view rest = body_;
    EventDraft& event = events_.emplace_back();
    event.data = rest.substr(0, size);
    event.type = rest.substr(size, rules_.type.size());
    event.message_id = rest.substr(size + rules_.type.size());
    event.json = false;
    return {};
  }

  // What stands around the events is checked here, and each of them by itself: so the parser's
  // memory is that of an event, and none that is too large is parsed.
  PublishFault read_json() {
    std::string_view rest = body_;
    bool several = take(rest, '[');
    if (!several || !take(rest, ']')) {
      do {
        if (PublishFault fault = add_next(rest)) return fault;
      } while (several && take(rest, ','));
      if (several && !take(rest, ']')) return not_json();
    }
    return skip_blanks(rest, 0) == rest.size() ? PublishFault{} : not_json();
  }

  PublishFault read_lines() {
    std::string_view rest = body_;
    while (!rest.empty()) {
      std::string_view line = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(line.size() + 1, rest.size()));
      if (skip_blanks(line, 0) == line.size()) continue;
      if (PublishFault fault = add_next(line)) return fault;
      if (skip_blanks(line, 0) != line.size()) return not_json();
    }
    return {};
  }

 private:
  static PublishFault not_json() { return bad("The body is not JSON."); }

  // A character of the text around the events. False: something else comes.
  static bool take(std::string_view& rest, char c) {
    size_t at = skip_blanks(rest, 0);
    if (at == rest.size() || rest[at] != c) return false;
    rest.remove_prefix(at + 1);
    return true;
  }

  // The event with which the rest of a text begins.
  PublishFault add_next(std::string_view& rest) {
    rest.remove_prefix(skip_blanks(rest, 0));
    // It is gone through for no longer than it may be.
    size_t size = value_end(rest.substr(0, rules_.event_bytes_max + 1), 0);
    std::string_view event = rest.substr(0, size);
    rest.remove_prefix(size);
    return add(event);
  }

  PublishFault too_large() const {
    return {413, "An event is larger than " + std::to_string(rules_.event_bytes_max) + " bytes."};
  }

  PublishFault add(std::string_view object) {
    if (events_.size() == rules_.events_max)
      return {413, "A batch has at most " + std::to_string(rules_.events_max) + " events."};
    if (object.size() > rules_.event_bytes_max) return too_large();
    if (!object.starts_with('{'))
      return bad("An event is a JSON object, with \"type\", \"data\", \"metadata\" and \"id\".");
    if (!check_.valid(object)) return not_json();
    EventDraft& event = events_.emplace_back();
    event.data = "null";
    JsonItems members(object, whole(object));
    for (JsonPlace member; members.next(member);) {
      std::string_view name =
          object.substr(member.name_begin + 1, member.name_end - member.name_begin - 2);
      std::string_view value = object.substr(member.begin, member.end - member.begin);
      if (PublishFault fault = take_member(event, name, value)) return fault;
    }
    return {};
  }

  // What the string means. It is no longer than its bytes, so that it has room in their place.
  std::string_view text_of(std::string_view string) {
    std::string_view raw = without_quotes(string);
    if (raw.find('\\') == raw.npos) return raw;
    char* text = body_.data() + (raw.data() - body_.data());
    size_t size = 0;
    for (JsonStringReader reader(raw); !reader.done();) {
      std::string_view character = reader.next();
      std::memmove(text + size, character.data(), character.size());
      size += character.size();
    }
    return {text, size};
  }

  PublishFault take_member(EventDraft& event, std::string_view name, std::string_view value) {
    if (string_equals(name, "data")) {
      event.data = value;
      return {};
    }
    if (string_equals(name, "type")) {
      if (!is_string(value)) return bad("An event's \"type\" is a string.");
      event.type = text_of(value);
      const char* fault = type_fault(event.type);
      return fault ? bad(fault) : PublishFault{};
    }
    if (string_equals(name, "metadata")) {
      bool none = value == "null";
      if (!none && !value.starts_with('{')) return bad("An event's \"metadata\" is an object.");
      event.metadata = none ? std::string_view() : value;
      event.correlation = none ? "" : correlation_of(value);
      return {};
    }
    if (string_equals(name, "id")) {
      if (!is_string(value)) return bad("An event's \"id\" is a string.");
      event.message_id = text_of(value);
      if (event.message_id.empty()) return bad("An event's \"id\" has 1 to 255 bytes.");
      const char* fault = message_id_fault(event.message_id);
      return fault ? bad(fault) : PublishFault{};
    }
    return bad("An event has no member \"" + std::string(name.substr(0, 64)) +
               "\"; it has \"type\", \"data\", \"metadata\" and \"id\".");
  }

  std::string& body_;
  const PublishRules& rules_;
  JsonCheck& check_;
  std::vector<EventDraft>& events_;
};

}  // namespace

// Message DB's correlationStreamName.
std::string correlation_of(std::string_view metadata) {
  std::string category;
  std::string room;
  if (metadata.empty()) return category;
  JsonItems items(metadata, whole(metadata));
  for (JsonPlace item; items.next(item);) {
    if (!items.is_called(item, "correlationStreamName")) continue;
    std::string_view value = metadata.substr(item.begin, item.end - item.begin);
    std::string_view text = is_string(value) ? unescaped(without_quotes(value), room) : "";
    category = category_of(text);
  }
  return category;
}

const char* message_id_fault(std::string_view id) {
  if (id.size() > limits::kHubKeyBytesMax) return "An event's id has at most 255 bytes.";
  return JsonCheck::is_utf8(id) ? nullptr : "An event's id is UTF-8.";
}

const char* type_fault(std::string_view type) {
  if (type.size() > kTypeBytesMax) return "An event's type has at most 255 bytes.";
  if (!JsonCheck::is_utf8(type)) return "An event's type is UTF-8.";
  if (type.starts_with("sluice."))
    return "Types that begin with \"sluice.\" are the gateway's own.";
  bool control = std::ranges::any_of(
      type, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
  return control ? "An event's type has no control characters." : nullptr;
}

std::optional<uint64_t> read_position(std::string& body, JsonCheck& check) {
  body.reserve(body.size() + JsonCheck::kPadding);
  if (!check.valid(body)) return std::nullopt;
  std::optional<uint64_t> position;
  JsonPlace place;
  place.begin = skip_blanks(body, 0);
  place.end = value_end(body, place.begin);
  if (body[place.begin] != '{') return std::nullopt;
  JsonItems members(body, place);
  for (JsonPlace member; members.next(member);) {
    if (!members.is_called(member, "position")) return std::nullopt;
    position = parse_decimal(std::string_view(body).substr(member.begin, member.end - member.begin),
                             INT64_MAX);
  }
  return position;
}

PublishFault read_publish_body(std::string& body, BodyForm form, const PublishRules& rules,
                               JsonCheck& check, std::vector<EventDraft>& events) {
  body.reserve(body.size() + JsonCheck::kPadding);
  BodyReader reader(body, rules, check, events);
  PublishFault fault = form == BodyForm::kText   ? reader.read_text()
                       : form == BodyForm::kJson ? reader.read_json()
                                                 : reader.read_lines();
  if (!fault && events.empty()) fault = bad("The body has no event.");
  return fault;
}

}  // namespace sluice

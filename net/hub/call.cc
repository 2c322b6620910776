#include "net/hub/call.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <utility>

#include "core/text.h"
#include "net/http/semantics.h"
#include "net/http/target.h"
#include "net/http/text.h"
#include "net/hub/home.h"
#include "net/hub/names.h"

namespace sluice {

namespace {

using What = HubCall::What;

constexpr uint64_t kBatchDefault = 1000;  // Message DB's

struct Fault {
  int status;
  std::string detail;
};

[[noreturn]] void refuse(int status, std::string detail) {
  throw Fault{status, std::move(detail)};
}

unsigned hex_value(char c) {
  return static_cast<unsigned>(is_digit(c) ? c - '0' : ascii_lower(c) - 'a' + 10);
}

// '+' stays what it is: it is a part of names, and blanks are of none.
std::string percent_decoded(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      plain += text[i];
      continue;
    }
    if (i + 2 >= text.size() || !is_hex_digit(text[i + 1]) || !is_hex_digit(text[i + 2]))
      refuse(400, "The target has a % without two hex digits.");
    plain += static_cast<char>(hex_value(text[i + 1]) << 4 | hex_value(text[i + 2]));
    i += 2;
  }
  return plain;
}

uint64_t number_of(std::string_view name, std::string_view text) {
  std::optional<uint64_t> number = parse_decimal(text, INT64_MAX);
  if (!number) refuse(400, std::string(name) + " is a whole number from 0 on.");
  return *number;
}

int64_t signed_number_of(std::string_view name, std::string_view text) {
  if (text == "-1") return -1;
  return static_cast<int64_t>(number_of(name, text));
}

// A time as "2026-11-27T03:11:42Z", or in milliseconds since 1970.
uint64_t time_of(const std::string& text) {
  if (std::optional<uint64_t> ms = parse_decimal(text, INT64_MAX)) return *ms;
  std::tm utc{};
  const char* rest = strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &utc);
  time_t seconds = rest ? timegm(&utc) : -1;
  uint64_t ms = 0;
  if (rest && *rest == '.') {
    std::string_view digits(++rest);
    digits = digits.substr(0, digits.find_first_not_of("0123456789"));
    std::string thousandths(digits.substr(0, 3));
    thousandths.resize(3, '0');
    ms = parse_decimal(thousandths).value_or(0);
    rest += digits.size();
  }
  bool utc_named = rest && std::string_view(rest) == "Z";
  if (!utc_named || seconds < 0)
    refuse(400, "since is a time such as 2026-11-27T03:11:42Z, or milliseconds since 1970.");
  return static_cast<uint64_t>(seconds) * 1000 + ms;
}

HubCall::Source source_of(std::string name, bool is_category) {
  const char* fault = name_fault(name);
  if (!fault && is_category && name.find('-') != name.npos) fault = "a category's name has no '-'";
  if (fault) refuse(400, std::string("The name cannot be: ") + fault + ".");
  return {std::move(name), is_category};
}

class CallReader {
 public:
  CallReader(const Head& head, const Route& route, HubCall& call)
      : head_(head), route_(route), call_(call) {}

  void read() {
    Target target = split_target(head_.target());
    read_origin();
    std::string_view method = head_.method();
    if (method == "OPTIONS") {
      call_.what = What::kPreflight;
      return;
    }
    read_path(target.path.substr(std::min(route_.path.size(), target.path.size())));
    check_access();
    read_query(target.query.substr(target.query.empty() ? 0 : 1));
    read_fields();
    settle();
  }

 private:
  // A page of another origin gets to read only what that origin may.
  void read_origin() {
    std::optional<std::string_view> origin = head_.find("origin");
    if (!origin) return;
    for (const std::string& one : route_.hub_cors)
      if (one == "*" || one == *origin) call_.origin = one;
  }

  void read_path(std::string_view path) {
    std::array<std::string, 3> parts;
    size_t count = 0;
    while (path.starts_with('/')) path.remove_prefix(1);
    while (!path.empty()) {
      std::string_view part = path.substr(0, path.find('/'));
      path.remove_prefix(std::min(part.size() + 1, path.size()));
      if (count == parts.size()) refuse(404, kNothingHere);
      parts[count++] = percent_decoded(part);
    }
    bool categories = parts[0] == "categories";
    if (count == 0) {
      allow("GET");
    } else if (parts[0] == "subscribe" && count == 1) {
      allow("GET");
      call_.what = What::kSubscribe;
    } else if (parts[0] == "consumers" && count == 2) {
      allow("GET", "PUT");
      call_.what = head_.method() == "PUT" ? What::kStoreConsumer : What::kReadConsumer;
      call_.consumer = source_of(parts[1], false).name;
    } else if ((categories || parts[0] == "streams") && count >= 2) {
      call_.sources.push_back(source_of(parts[1], categories));
      read_source(parts[2], categories);
    } else {
      refuse(404, kNothingHere);
    }
  }

  void read_source(std::string_view part, bool is_category) {
    bool posts = head_.method() == "POST";
    if (part.empty()) {
      allow("GET", is_category ? "GET" : "POST");
      call_.what = posts                       ? What::kPublish
                   : wants_event_stream(head_) ? What::kSubscribe
                                               : What::kInfo;
      return;
    }
    allow("GET");
    if (part == "messages")
      call_.what = What::kMessages;
    else if (part == "last" && !is_category)
      call_.what = What::kLast;
    else if (part == "version" && !is_category)
      call_.what = What::kVersion;
    else
      refuse(404, kNothingHere);
  }

  void allow(std::string_view method, std::string_view other = "GET") {
    std::string_view given = head_.method();
    if (given == "HEAD") given = "GET";
    if (given != method && given != other) refuse(405, "The method is not allowed here.");
  }

  void check_access() {
    HubAccess access = route_.settings.hub_access;
    if (access == HubAccess::kRead && call_.publishes())
      refuse(403, "Clients of this route may only read.");
    if (access == HubAccess::kPublish && !call_.publishes())
      refuse(403, "Clients of this route may only publish.");
    // A page of any origin may send a form without asking before.
    if (call_.publishes() && call_.origin.empty() && !is_own_origin())
      refuse(403, "Pages of that origin may not publish here (hub-cors).");
  }

  bool is_own_origin() const {
    std::string_view origin = head_.find("origin").value_or("");
    if (origin.empty()) return true;
    size_t host = origin.find("//");
    return host != origin.npos &&
           equals_ignoring_case(origin.substr(host + 2), head_.find("host").value_or(""));
  }

  void read_query(std::string_view query) {
    while (!query.empty()) {
      std::string_view pair = query.substr(0, query.find('&'));
      query.remove_prefix(std::min(pair.size() + 1, query.size()));
      if (pair.empty()) continue;
      size_t equals = std::min(pair.find('='), pair.size());
      std::string name = percent_decoded(pair.substr(0, equals));
      std::string value = percent_decoded(pair.substr(std::min(equals + 1, pair.size())));
      if (!take(name, value))
        refuse(400, "There is no parameter \"" + name.substr(0, 64) + "\" here.");
    }
  }

  bool take(const std::string& name, std::string& value) {
    bool reads = call_.what == What::kSubscribe || call_.what == What::kMessages;
    if (call_.what == What::kPublish) return take_for_publish(name, value);
    if (call_.what == What::kLast && name == "type") {
      call_.type = std::move(value);
      return true;
    }
    if (!reads) return false;
    if (name == "position") {
      take_position(value);
    } else if (name == "member") {
      member_ = signed_number_of(name, value);
    } else if (name == "size") {
      size_ = signed_number_of(name, value);
    } else if (name == "correlation") {
      call_.filter.correlation = source_of(std::move(value), true).name;
    } else if (name == "batch" && call_.what == What::kMessages) {
      int64_t batch = signed_number_of(name, value);
      batch_named_ = true;
      if (batch >= 0) call_.batch = static_cast<uint64_t>(batch);
    } else {
      return call_.what == What::kSubscribe && take_for_subscribe(name, value);
    }
    return true;
  }

  bool take_for_subscribe(const std::string& name, std::string& value) {
    if (name == "last_event_id" || name == "lastEventId") {
      take_last_id(value);
    } else if (name == "since") {
      call_.start = {.at = Start::At::kSince, .number = time_of(value)};
      call_.resumes = true;
    } else if (name == "earliest" || name == "latest") {
      take_position(name);
    } else if (name == "mode") {
      call_.poke = value == "poke";
      if (!call_.poke && value != "full") refuse(400, "mode is full or poke.");
    } else if (name == "slow") {
      if (value != "disconnect" && value != "skip" && value != "coalesce")
        refuse(400, "slow is disconnect, skip or coalesce.");
      call_.slow = value == "skip"       ? SlowPolicy::kSkip
                   : value == "coalesce" ? SlowPolicy::kCoalesce
                                         : SlowPolicy::kDisconnect;
    } else if (name == "require") {
      if (value != "complete") refuse(400, "require is complete.");
      call_.require_complete = true;
    } else if (name == "stream" || name == "category") {
      call_.sources.push_back(source_of(std::move(value), name == "category"));
      if (call_.sources.size() > limits::kHubSourcesMax)
        refuse(400, "A subscriber has at most 64 streams and categories.");
    } else {
      return false;
    }
    return true;
  }

  void take_position(std::string_view value) {
    if (value == "earliest") {
      call_.start = {.at = Start::At::kEarliest};
    } else if (value == "latest") {
      call_.start = {.at = Start::At::kLatest};
    } else {
      call_.start = {.at = Start::At::kPosition, .number = number_of("position", value)};
      call_.resumes = true;
    }
  }

  void take_last_id(std::string_view id) {
    if (id == "earliest" || id == "latest") {
      take_position(id);
    } else if (!id.empty()) {
      call_.start = {.at = Start::At::kId, .id = std::string(id.substr(0, kIdBytesMax))};
      call_.resumes = true;
    }
  }

  bool take_for_publish(std::string_view name, std::string& value) {
    if (name == "expected_version") {
      call_.expected_version = signed_number_of(name, value);
    } else if (name == "type") {
      if (const char* fault = type_fault(value)) refuse(400, fault);
      call_.type = std::move(value);
    } else if (name == "id") {
      call_.message_id = std::move(value);
    } else if (name == "ack") {
      if (value != "memory" && value != "disk") refuse(400, "ack is memory or disk.");
      call_.disk = value == "disk";
    } else {
      return false;
    }
    return true;
  }

  void read_fields() {
    // A client that reconnects has its first query still, so the field counts.
    if (call_.what == What::kSubscribe)
      if (auto id = head_.find("last-event-id")) take_last_id(*id);
    call_.awaits_go_ahead = head_.lists_token("expect", "100-continue");
    if (call_.what != What::kPublish) return;
    call_.key = head_.find("idempotency-key").value_or("");
    std::string_view type = without_parameters(head_.find("content-type").value_or(""));
    if (equals_ignoring_case(type, "application/json"))
      call_.form = BodyForm::kJson;
    else if (equals_ignoring_case(type, "application/x-ndjson"))
      call_.form = BodyForm::kJsonLines;
    for (const std::string* name : {&call_.key, &call_.message_id})
      if (name->size() > limits::kHubKeyBytesMax)
        refuse(400, "Idempotency-Key and id have at most 255 bytes.");
    if (call_.form != BodyForm::kText && !(call_.type.empty() && call_.message_id.empty()))
      refuse(400, "Events of JSON have type and id within, not in the query.");
    if (auto length = head_.content_length(); head_.body() == BodyKind::kNone && length == 0)
      refuse(400, "The request has no event.");
  }

  void settle() {
    if (call_.what == What::kSubscribe && call_.sources.empty())
      refuse(400, "Say what to subscribe to: stream=NAME or category=NAME, once or more.");
    if (call_.what == What::kMessages) {
      if (!batch_named_) call_.batch = kBatchDefault;
      if (call_.start.at == Start::At::kLatest) call_.start = {.at = Start::At::kEarliest};
    }
    if (!member_ && !size_) return;
    if (!member_ || !size_) refuse(400, "member and size go together.");
    call_.filter.member = GroupMember::make(*member_, *size_);
    if (!call_.filter.member) refuse(400, "A member is 0 or more, and less than size.");
  }

  static constexpr const char* kNothingHere = "The hub has nothing at this path.";
  static constexpr size_t kIdBytesMax = 256;

  const Head& head_;
  const Route& route_;
  HubCall& call_;
  std::optional<int64_t> member_;
  std::optional<int64_t> size_;
  bool batch_named_ = false;
};

}  // namespace

HubCall read_hub_call(const Head& head, const Route& route) {
  HubCall call;
  try {
    CallReader(head, route, call).read();
  } catch (Fault& fault) {
    call.status = fault.status;
    call.detail = std::move(fault.detail);
  }
  return call;
}

}  // namespace sluice

#include "net/hub/call.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <utility>

#include "core/text.h"
#include "net/http/semantics.h"
#include "net/http/target.h"
#include "net/http/text.h"
#include "net/hub/groups.h"
#include "net/hub/home.h"
#include "net/hub/names.h"

namespace sluice {

namespace {

using What = HubCall::What;

constexpr uint64_t kBatchDefault = 1000;  // Message DB's

// '+' stays what it is: it is a part of names, and blanks are of none. False: a % has no two hex
// digits.
bool percent_decode(std::string_view text, std::string& into) {
  into.clear();
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      into += text[i];
      continue;
    }
    if (i + 2 >= text.size() || !is_hex_digit(text[i + 1]) || !is_hex_digit(text[i + 2]))
      return false;
    into += static_cast<char>(hex_value(text[i + 1]) << 4 | hex_value(text[i + 2]));
    i += 2;
  }
  return true;
}

// A time as "2026-11-27T03:11:42Z", or in milliseconds since 1970.
std::optional<uint64_t> time_of(const std::string& text) {
  if (std::optional<uint64_t> ms = parse_decimal(text, INT64_MAX)) return ms;
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
  if (!utc_named || seconds < 0) return std::nullopt;
  return static_cast<uint64_t>(seconds) * 1000 + ms;
}

// Each step returns false where it has refused the request; what follows it is left out then.
class CallReader {
 public:
  CallReader(const Head& head, const Route& route, HubCall& call)
      : head_(head), route_(route), call_(call) {}

  bool read() {
    Target target = split_target(head_.target());
    read_origin();
    if (head_.method() == "OPTIONS") {
      call_.what = What::kPreflight;
      return true;
    }
    return read_path(target.path.substr(std::min(route_.path.size(), target.path.size()))) &&
           check_access() && read_query(target.query.substr(target.query.empty() ? 0 : 1)) &&
           read_fields() && settle() && check_body();
  }

 private:
  bool refuse(int status, std::string detail) {
    call_.status = status;
    call_.detail = std::move(detail);
    return false;
  }

  // A page of another origin gets to read only what that origin may.
  void read_origin() {
    std::optional<std::string_view> origin = head_.find("origin");
    if (!origin) return;
    for (const std::string& one : route_.hub_cors)
      if (one == "*" || one == *origin) call_.origin = one;
  }

  bool read_path(std::string_view path) {
    std::array<std::string, 4> parts;
    parts[1].swap(call_.name_room);
    size_t count = 0;
    while (path.starts_with('/')) path.remove_prefix(1);
    while (!path.empty()) {
      std::string_view part = path.substr(0, path.find('/'));
      path.remove_prefix(std::min(part.size() + 1, path.size()));
      if (count == parts.size()) return refuse(404, kNothingHere);
      if (!decode(part, parts[count++])) return false;
    }
    const std::string& kind = parts[0];
    if (count == 0) return allow("GET");
    if (kind == "subscribe" && count == 1) {
      call_.what = What::kSubscribe;
      return allow("GET");
    }
    if (kind == "consumers" && count == 2) {
      call_.what = head_.method() == "PUT"      ? What::kStoreConsumer
                   : head_.method() == "DELETE" ? What::kDeleteConsumer
                                                : What::kReadConsumer;
      bool known = call_.what != What::kReadConsumer || allow("GET");
      return known && take_name(parts[1], call_.consumer);
    }
    if (kind == "groups" && count >= 2) {
      call_.what = head_.method() == "DELETE" ? What::kDeleteGroup : What::kReadGroup;
      if (count == 2) return allow("GET", "DELETE") && take_name(parts[1], call_.group);
      call_.what = What::kAck;
      if (count != 4 || parts[2] != "members") return refuse(404, kNothingHere);
      return allow("PUT", "PUT") && take_name(parts[1], call_.group) &&
             take_number("A member", parts[3], call_.member);
    }
    bool categories = kind == "categories";
    if ((categories || kind == "streams") && (count == 2 || count == 3))
      return take_source(parts[1], categories) && read_source(parts[2], categories);
    return refuse(404, kNothingHere);
  }

  bool read_source(std::string_view part, bool is_category) {
    bool posts = head_.method() == "POST";
    if (part.empty()) {
      call_.what = posts                       ? What::kPublish
                   : wants_event_stream(head_) ? What::kSubscribe
                                               : What::kInfo;
      return allow("GET", is_category ? "GET" : "POST");
    }
    if (part == "messages")
      call_.what = What::kMessages;
    else if (part == "last" && !is_category)
      call_.what = What::kLast;
    else if (part == "version" && !is_category)
      call_.what = What::kVersion;
    else
      return refuse(404, kNothingHere);
    return allow("GET");
  }

  bool allow(std::string_view method, std::string_view other = "GET") {
    std::string_view given = head_.method();
    if (given == "HEAD") given = "GET";
    return given == method || given == other || refuse(405, "The method is not allowed here.");
  }

  bool check_access() {
    HubAccess access = route_.settings.hub_access;
    if (access == HubAccess::kRead && call_.changes())
      return refuse(403, "Clients of this route may only read.");
    if (access == HubAccess::kPublish && !call_.publishes())
      return refuse(403, "Clients of this route may only publish.");
    // A page of any origin may send a form without asking before.
    if (call_.changes() && call_.origin.empty() && !is_own_origin())
      return refuse(403, "Pages of that origin may not publish here (hub-cors).");
    return true;
  }

  bool is_own_origin() const {
    std::string_view origin = head_.find("origin").value_or("");
    if (origin.empty()) return true;
    size_t host = origin.find("//");
    return host != origin.npos &&
           equals_ignoring_case(origin.substr(host + 2), head_.find("host").value_or(""));
  }

  bool read_query(std::string_view query) {
    while (!query.empty()) {
      std::string_view pair = query.substr(0, query.find('&'));
      query.remove_prefix(std::min(pair.size() + 1, query.size()));
      if (pair.empty()) continue;
      size_t equals = std::min(pair.find('='), pair.size());
      std::string name;
      std::string value;
      if (!decode(pair.substr(0, equals), name) ||
          !decode(pair.substr(std::min(equals + 1, pair.size())), value))
        return false;
      Taken taken = take(name, value);
      if (taken == Taken::kNoSuch)
        return refuse(400, "There is no parameter \"" + name.substr(0, 64) + "\" here.");
      if (taken == Taken::kRefused) return false;
    }
    return true;
  }

  // Of a parameter.
  enum class Taken : uint8_t { kYes, kRefused, kNoSuch };
  static Taken taken(bool yes) { return yes ? Taken::kYes : Taken::kRefused; }

  Taken take(const std::string& name, std::string& value) {
    switch (call_.what) {
      case What::kPublish:
        return take_for_publish(name, value);
      case What::kAck:
        if (name != "token") return Taken::kNoSuch;
        return taken(take_number(name, value, call_.token));
      case What::kLast:
        if (name != "type") return Taken::kNoSuch;
        call_.type = std::move(value);
        return Taken::kYes;
      case What::kMessages:
        if (name == "batch") return taken(take_batch(value));
        return take_for_reader(name, value);
      case What::kSubscribe: {
        Taken first = take_for_reader(name, value);
        return first == Taken::kNoSuch ? take_for_subscribe(name, value) : first;
      }
      default:
        return Taken::kNoSuch;
    }
  }

  Taken take_for_reader(const std::string& name, std::string& value) {
    if (name == "position") return taken(take_position(value));
    if (name == "member") return taken(take_signed(name, value, member_));
    if (name == "size") return taken(take_signed(name, value, size_));
    if (name != "correlation") return Taken::kNoSuch;
    call_.filter.correlation = std::move(value);
    return taken(check_name(call_.filter.correlation, true));
  }

  Taken take_for_subscribe(const std::string& name, std::string& value) {
    if (name == "last_event_id" || name == "lastEventId") return taken(take_last_id(value));
    if (name == "since") return taken(take_since(value));
    if (name == "earliest" || name == "latest") return taken(take_position(name));
    if (name == "group") return taken(take_name(value, call_.group));
    if (name == "stream" || name == "category")
      return taken(take_source(value, name == "category"));
    if (name == "mode") {
      call_.poke = value == "poke";
      return taken(call_.poke || value == "full" || refuse(400, "mode is full or poke."));
    }
    if (name == "wait") {
      call_.wait = value == "yes";
      return taken(call_.wait || value == "no" || refuse(400, "wait is yes or no."));
    }
    if (name == "require") {
      call_.require_complete = true;
      return taken(value == "complete" || refuse(400, "require is complete."));
    }
    if (name != "slow") return Taken::kNoSuch;
    call_.slow = value == "skip"       ? SlowPolicy::kSkip
                 : value == "coalesce" ? SlowPolicy::kCoalesce
                                       : SlowPolicy::kDisconnect;
    return taken(call_.slow != SlowPolicy::kDisconnect || value == "disconnect" ||
                 refuse(400, "slow is disconnect, skip or coalesce."));
  }

  Taken take_for_publish(std::string_view name, std::string& value) {
    if (name == "expected_version") return taken(take_signed(name, value, call_.expected_version));
    if (name == "type") {
      const char* fault = type_fault(value);
      if (fault) return taken(refuse(400, fault));
      call_.type = std::move(value);
      return Taken::kYes;
    }
    if (name == "id") {
      const char* fault = message_id_fault(value);
      if (fault) return taken(refuse(400, fault));
      call_.message_id = std::move(value);
      return Taken::kYes;
    }
    if (name != "ack") return Taken::kNoSuch;
    call_.ack = value == "disk" ? HubAck::kDisk : HubAck::kMemory;
    return taken(value == "disk" || value == "memory" || refuse(400, "ack is memory or disk."));
  }

  // --- values ---

  bool decode(std::string_view text, std::string& into) {
    return percent_decode(text, into) || refuse(400, "The target has a % without two hex digits.");
  }

  bool take_number(std::string_view name, std::string_view text, std::optional<uint64_t>& into) {
    into = parse_decimal(text, INT64_MAX);
    return into || refuse(400, std::string(name) + " is a whole number from 0 on.");
  }

  // -1, too.
  bool take_signed(std::string_view name, std::string_view text, std::optional<int64_t>& into) {
    std::optional<uint64_t> number;
    if (text != "-1" && !take_number(name, text, number)) return false;
    into = number ? static_cast<int64_t>(*number) : -1;
    return true;
  }

  bool take_batch(std::string_view text) {
    if (!take_signed("batch", text, batch_)) return false;
    if (*batch_ >= 0) call_.batch = static_cast<uint64_t>(*batch_);
    return true;
  }

  bool check_name(std::string_view name, bool is_category) {
    const char* fault = name_fault(name);
    if (!fault && is_category && name.find('-') != name.npos)
      fault = "a category's name has no '-'";
    return !fault || refuse(400, std::string("The name cannot be: ") + fault + ".");
  }

  bool take_name(std::string& name, std::string& into) {
    into = std::move(name);
    return check_name(into, false);
  }

  bool take_source(std::string& name, bool is_category) {
    call_.sources.push_back({std::move(name), is_category});
    return check_name(call_.sources.back().name, is_category) &&
           (call_.sources.size() <= limits::kHubSourcesMax ||
            refuse(400, "A subscriber has at most 64 streams and categories."));
  }

  bool take_since(const std::string& text) {
    std::optional<uint64_t> ms = time_of(text);
    if (!ms)
      return refuse(400,
                    "since is a time such as 2026-11-27T03:11:42Z, or milliseconds since 1970.");
    return begin_at({.at = Start::At::kSince, .number = *ms});
  }

  bool take_position(std::string_view text) {
    if (text == "earliest") return begin_at({.at = Start::At::kEarliest});
    if (text == "latest") return begin_at({.at = Start::At::kLatest});
    std::optional<uint64_t> number;
    return take_number("position", text, number) &&
           begin_at({.at = Start::At::kPosition, .number = *number});
  }

  bool begin_at(Start start) {
    if (start_) return refuse(400, "Say once where to begin: position or since.");
    start_ = std::move(start);
    return true;
  }

  // It counts before a position: a client that comes back may have its first query still.
  bool take_last_id(std::string_view id) {
    if (id == "earliest")
      last_ = {.at = Start::At::kEarliest};
    else if (id == "latest")
      last_ = {.at = Start::At::kLatest};
    else if (!id.empty())
      last_ = {.at = Start::At::kId, .id = std::string(id.substr(0, kIdBytesMax))};
    return true;
  }

  // --- the rest of the head, and what goes with what ---

  bool read_fields() {
    last_in_query_ = last_.has_value();
    if (call_.what == What::kSubscribe)
      if (auto id = head_.find("last-event-id")) take_last_id(*id);
    call_.awaits_go_ahead = head_.lists_token("expect", "100-continue");
    if (call_.what != What::kPublish) return true;
    call_.key = head_.find("idempotency-key").value_or("");
    std::string_view type = without_parameters(head_.find("content-type").value_or(""));
    if (equals_ignoring_case(type, "application/json"))
      call_.form = BodyForm::kJson;
    else if (equals_ignoring_case(type, "application/x-ndjson"))
      call_.form = BodyForm::kJsonLines;
    if (call_.key.size() > limits::kHubKeyBytesMax)
      return refuse(400, "An Idempotency-Key has at most 255 bytes.");
    if (call_.form != BodyForm::kText && !(call_.type.empty() && call_.message_id.empty()))
      return refuse(400, "Events of JSON have type and id within, not in the query.");
    if (auto length = head_.content_length(); head_.body() == BodyKind::kNone && length == 0)
      return refuse(400, "The request has no event.");
    return true;
  }

  bool settle() {
    if (call_.what == What::kAck && !call_.token)
      return refuse(400, "Say which lease it is: token=N.");
    if (call_.what == What::kSubscribe) {
      if (call_.sources.empty())
        return refuse(400, "Say what to subscribe to: stream=NAME or category=NAME, once or more.");
      if (!call_.group.empty()) return settle_group();
      if (call_.wait) return refuse(400, "wait is for members of a group: group=NAME.");
    }
    if (last_) start_ = std::move(last_);
    if (start_) call_.start = std::move(*start_);
    call_.resumes = call_.start.at != Start::At::kLatest && call_.start.at != Start::At::kEarliest;
    if (call_.what == What::kMessages) {
      if (start_ && call_.start.at == Start::At::kLatest)
        return refuse(400, "There are no messages at position=latest.");
      if (!batch_) call_.batch = kBatchDefault;
      if (call_.start.at == Start::At::kLatest) call_.start = {.at = Start::At::kEarliest};
    }
    if (!member_ && !size_) return true;
    if (!member_ || !size_) return refuse(400, "member and size go together.");
    call_.filter.member = GroupMember::make(*member_, *size_);
    return call_.filter.member || refuse(400, "A member is 0 or more, and less than size.");
  }

  // The hub chooses the member, and knows where that member is to begin. A Last-Event-ID, which
  // browsers send by themselves, is none of its.
  bool settle_group() {
    if (!size_ || *size_ < 1 || *size_ > static_cast<int64_t>(limits::kHubGroupSizeMax))
      return refuse(400, "A group has a size from 1 to 1000, and each of its members names it.");
    call_.size = static_cast<uint32_t>(*size_);
    if (member_) return refuse(400, "The hub chooses the member of a group: leave member out.");
    if (call_.single())
      return refuse(400, "A group shares a category, or several streams and categories.");
    if (last_in_query_ || (start_ && start_->at == Start::At::kSince))
      return refuse(400,
                    "A group goes on behind its position; position= is where a new one begins.");
    if (call_.wait && call_.require_complete)
      return refuse(400, "require=complete does not go with wait=yes.");
    call_.start = start_.value_or(Start{.at = Start::At::kEarliest});
    call_.resumes = true;
    return check_access();
  }

  // A text is an event by itself. How large those of JSON are is seen within the body.
  bool check_body() {
    uint64_t event = route_.settings.hub_event_size;
    if (call_.what == What::kPublish)
      call_.body_bytes_max =
          call_.form == BodyForm::kText ? event : std::max(limits::kHubBatchBytesMax, event);
    if (head_.content_length() > call_.body_bytes_max) call_.refuse_body();
    return call_.status == 0;
  }

  static constexpr const char* kNothingHere = "The hub has nothing at this path.";
  static constexpr size_t kIdBytesMax = 256;

  const Head& head_;
  const Route& route_;
  HubCall& call_;
  std::optional<int64_t> member_;
  std::optional<int64_t> size_;
  std::optional<int64_t> batch_;
  std::optional<Start> start_;  // of the query
  std::optional<Start> last_;   // behind the event that the client has
  bool last_in_query_ = false;
};

}  // namespace

// All that is not named here begins anew, so that nothing of one request can get into another.
void HubCall::clear() {
  HubCall kept;
  if (!sources.empty()) kept.name_room = std::move(sources.front().name);
  kept.name_room.clear();
  kept.sources = std::move(sources);
  kept.sources.clear();
  *this = std::move(kept);
}

void HubCall::refuse_body() {
  status = 413;
  detail = "The body is larger than " + std::to_string(body_bytes_max) + " bytes.";
}

void read_hub_call(const Head& head, const Route& route, HubCall& into) {
  (void)CallReader(head, route, into).read();
}

}  // namespace sluice

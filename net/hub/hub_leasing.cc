// A hub's request that has to do with a group: a subscriber that is to be a member, one who
// acknowledges, and one who asks how the group stands.
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/hub/answer_text.h"
#include "net/hub/hub_request.h"
#include "net/hub/hubs.h"
#include "net/hub/local_hub.h"
#include "net/hub/names.h"

namespace sluice {

namespace {

// Events that one answer looks at to count what members have not done yet.
constexpr uint64_t kLagScannedMax = 100'000;

// The same for all that read the same, however they ask.
std::string sources_text(const HubCall& call) {
  std::vector<std::string> lines;
  for (const HubCall::Source& source : call.sources)
    lines.push_back((source.is_category ? 'c' : 's') + source.name);
  std::ranges::sort(lines);
  lines.erase(std::unique(lines.begin(), lines.end()), lines.end());
  std::string text;
  for (const std::string& line : lines) text.append(text.empty() ? "" : "\n").append(line);
  return text;
}

// The kinds of sources, as JSON lists, and what is there of each.
struct GroupSources {
  std::string categories = {};
  std::string streams = {};
  std::vector<const Series*> series = {};
};

GroupSources read_sources(std::string_view text, Log& log) {
  GroupSources sources;
  std::vector<std::string_view> categories;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    bool is_category = line.front() == 'c';
    std::string_view name = line.substr(1);
    std::string& list = is_category ? sources.categories : sources.streams;
    list += list.empty() ? "\"" : ",\"";
    append_escaped(list, name);
    list += '"';
    if (is_category) {
      categories.push_back(name);
      if (const LogCategory* found = log.category(name)) sources.series.push_back(&found->events);
      continue;
    }
    // Its events are the category's already.
    if (std::ranges::find(categories, category_of(name)) != categories.end()) continue;
    if (const LogStream* found = log.stream(name)) sources.series.push_back(&found->events);
  }
  return sources;
}

struct Lag {
  std::vector<uint64_t> events;  // by member
  bool whole = true;             // all of them have been counted, and none has left the memory
};

Lag lag_of(const GroupSources& sources, const std::vector<MemberState>& members, const Log& log) {
  Lag lag{.events = std::vector<uint64_t>(members.size())};
  uint64_t least = UINT64_MAX;
  for (const MemberState& member : members) least = std::min(least, member.position);
  lag.whole = least + 1 >= log.first();
  uint64_t scanned = 0;
  for (const Series* series : sources.series) {
    for (size_t i = series->find(least + 1); i < series->size(); ++i) {
      if (++scanned > kLagScannedMax) {
        lag.whole = false;
        return lag;
      }
      uint64_t global = (*series)[i];
      const Log::Entry* event = log.at(global);
      if (!event || !event->stream->group) continue;
      size_t member = *event->stream->group % members.size();
      if (global > members[member].position) ++lag.events[member];
    }
  }
  return lag;
}

}  // namespace

// --- a subscriber ---

void HubRequest::ask_lease() {
  if (!stream_) return;
  HomeCall& call = asks();
  call.kind = HomeCall::Kind::kGroup;
  call.group = std::make_unique<GroupCall>();
  call.group->kind = GroupCall::Kind::kLease;
  call.group->group = call_->group;
  call.group->sources = sources_text(*call_);
  call.group->size = call_->size;
  call.group->start = call_->start;
  call.group->owner = stream_->client_ip();
  ask_home();
}

void HubRequest::on_group_answer(HomeCall& call) {
  GroupCall& group = *call.group;
  if (call.result.is_of_store()) {
    if (state_ == State::kStandby)
      hub_.holders().stand_by(*this, /*soon=*/true);
    else
      answer_publish(call);
    return;
  }
  bool leases = group.kind == GroupCall::Kind::kLease;
  if (group.status == GroupCall::Status::kDone) {
    if (leases)
      on_lease(group);
    else if (group.kind == GroupCall::Kind::kAck)
      answer_ack(group);
    else if (group.kind == GroupCall::Kind::kDelete)
      answer_empty();
    else
      answer_group(group);
  } else if (leases && group.status == GroupCall::Status::kAllTaken && call_->wait) {
    stand_by();
  } else {
    no_lease(group);
  }
}

void HubRequest::on_lease(GroupCall& call) {
  lease_ = std::make_unique<MemberLease>(MemberLease{.group = call_->group,
                                                     .size = call_->size,
                                                     .member = call.member,
                                                     .token = call.token,
                                                     .position = call.position});
  hub_.holders().hold(*this);
  call_->start = {.at = Start::At::kPosition, .number = call.position + 1};
  call_->filter.member = GroupMember::make(call.member, call_->size);
  serve();
}

// Its head goes out, and heartbeats follow, so that nobody takes it for dead.
void HubRequest::stand_by() {
  if (state_ != State::kStandby) {
    head(200, "text/event-stream", BodyKind::kChunked, 0);
    if (!stream_) return;
    state_ = State::kStandby;
  }
  hub_.holders().stand_by(*this, /*soon=*/false);
  if (hubs_.context().draining) on_drain();
}

// A standby has its head already. It comes back, and is told then.
void HubRequest::no_lease(const GroupCall& call) {
  if (state_ == State::kStandby) {
    finish();
    return;
  }
  switch (call.status) {
    case GroupCall::Status::kAllTaken:
      problem(409, "All members of the group have owners; wait=yes waits for one.",
              {{"Retry-After", "5"}});
      return;
    case GroupCall::Status::kOtherSize:
      problem(409, "The group has another size. It may change when no member has an owner.");
      return;
    case GroupCall::Status::kOtherSources:
      problem(409, "The group reads other streams or categories.");
      return;
    case GroupCall::Status::kOwned:
      problem(409, "Members of the group have owners.");
      return;
    case GroupCall::Status::kFenced:
      problem(409, "The token is not that of the member's last lease.");
      return;
    case GroupCall::Status::kBeyond:
      problem(400, "The position is beyond the hub's last event.");
      return;
    case GroupCall::Status::kTooMany:
      problem(403, "The hub has as many groups or members as it may have.");
      return;
    case GroupCall::Status::kUnknown:
    case GroupCall::Status::kDone:
      problem(404, "There is no such group, or no such member of it.");
      return;
  }
}

std::string HubRequest::lease_fields() const {
  std::string text = "member=";
  append_number(text, lease_->member);
  append_number(text += ", size=", lease_->size);
  append_number(text += ", token=", lease_->token);
  append_number(text += ", position=", lease_->position);
  return text;
}

std::string HubRequest::lease_event() const {
  std::string body = "{";
  append_member(body, "group", lease_->group);
  append_member(body, "member", lease_->member);
  append_member(body, "size", lease_->size);
  append_member(body, "token", lease_->token);
  append_member(body, "position", lease_->position);
  return "event: sluice.lease\ndata: " + body + "}\n\n";
}

// So that its client stops: what it does from here on another one may do, too.
void HubRequest::on_lease_over() {
  if (!stream_ || state_ != State::kReading) return;
  std::string body = "{";
  append_member(body, "group", lease_->group);
  append_member(body, "member", lease_->member);
  append_member(body, "token", lease_->token);
  if (write("event: sluice.lease-over\ndata: " + body + "}\n\n")) finish();
}

// --- the others ---

void HubRequest::ask_of_group() {
  HomeCall& call = asks();
  call.kind = HomeCall::Kind::kGroup;
  call.group = std::make_unique<GroupCall>();
  GroupCall& group = *call.group;
  group.group = call_->group;
  if (call_->what == HubCall::What::kDeleteGroup) group.kind = GroupCall::Kind::kDelete;
  if (call_->what == HubCall::What::kAck) {
    std::optional<uint64_t> position = read_position(call.body, hubs_.json_check());
    if (!position) {
      problem(400, "The body is {\"position\": N}, with a whole number from 0 on.");
      return;
    }
    if (*call_->member >= limits::kHubGroupSizeMax) {
      problem(404, "There is no such member of the group.");
      return;
    }
    group.kind = GroupCall::Kind::kAck;
    group.member = static_cast<uint32_t>(*call_->member);
    group.token = *call_->token;
    group.position = *position;
  }
  ask_home();
}

void HubRequest::answer_ack(const GroupCall& call) {
  std::string body = "{";
  append_member(body, "group", call.group);
  append_member(body, "member", call.member);
  append_member(body, "token", call.token);
  append_member(body, "position", call.position);
  answer(200, body += "}\n");
}

void HubRequest::answer_group(const GroupCall& call) {
  Log& log = hub_.log();
  GroupSources sources = read_sources(call.sources, log);
  Lag lag = lag_of(sources, call.members, log);
  std::string body = "{";
  append_member(body, "group", call.group);
  append_member(body, "size", call.members.size());
  body.append(",\"categories\":[").append(sources.categories);
  body.append("],\"streams\":[").append(sources.streams);
  body.append("],\"lagIsWhole\":").append(lag.whole ? "true" : "false").append(",\"members\":[");
  for (size_t i = 0; i < call.members.size(); ++i) {
    const MemberState& member = call.members[i];
    std::string one = "{";
    append_member(one, "member", i);
    append_member(one, "position", member.position);
    append_member(one, "lag", lag.events[i]);
    if (member.leased) {
      append_member(one, "owner", member.owner);
      append_member(one, "token", member.token);
      append_member(one, "delivered", std::max(member.delivered, member.position));
    } else {
      one += ",\"owner\":null";
    }
    body.append(i == 0 ? "" : ",").append(one) += '}';
  }
  answer(200, body += "]}\n");
}

}  // namespace sluice

#include "net/hub/groups.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "core/text.h"

namespace sluice {

namespace {

// Rows of groups among those of consumers, whose names have no line feeds.
constexpr std::string_view kGroupRow = "group\n";    // + its name, and a line for each source
constexpr std::string_view kMemberRow = "member\n";  // + the group's name, and the member's number

std::string row_id(const std::string& group, size_t number) {
  std::string id(kMemberRow);
  id.append(group) += '\n';
  append_number(id, number);
  return id;
}

std::string row_id(const GroupCall& call) {
  return std::string(kGroupRow) + call.group + '\n' + call.sources;
}

GroupRow row_of(const std::string& group, size_t number, const MemberState& member) {
  return {.id = row_id(group, number), .position = member.position, .fence = member.token};
}

}  // namespace

uint64_t Groups::hash_of(std::string_view group) {
  return hash_text(group);
}

void Groups::answer(GroupCall& call, const LogRange& log, uint64_t now_ms) {
  Group* group = nullptr;
  MemberState* member = nullptr;
  call.status = Status::kDone;
  switch (call.kind) {
    case GroupCall::Kind::kLease:
      call.status = lease(call, log);
      break;
    case GroupCall::Kind::kAck:
      call.status = ack(call, log, now_ms);
      break;
    case GroupCall::Kind::kDelete:
      call.status = remove(call);
      break;
    case GroupCall::Kind::kRelease:
      if ((member = leased(call, &group))) end_lease(call.group, *group, *member);
      break;
    case GroupCall::Kind::kDelivered:
      if (!(member = leased(call, &group))) break;
      member->delivered = std::max(member->delivered, call.position);
      if (member->delivered > member->position && member->waits_since_ms == 0)
        member->waits_since_ms = now_ms;
      break;
    case GroupCall::Kind::kRead: {
      auto found = groups_.find(call.group);
      if (found == groups_.end()) {
        call.status = Status::kUnknown;
        break;
      }
      call.sources = found->second.sources;
      call.members = found->second.members;
      break;
    }
  }
}

Groups::Status Groups::lease(GroupCall& call, const LogRange& log) {
  auto found = groups_.find(call.group);
  if (found == groups_.end()) {
    Status status = make(call, log);
    if (status != Status::kDone) return status;
    found = groups_.find(call.group);
  }
  Group& group = found->second;
  if (group.sources != call.sources) return Status::kOtherSources;
  if (group.members.size() != call.size) {
    Status status = resize(call, group);
    if (status != Status::kDone) return status;
  }
  // The one that is furthest behind: where there are fewer subscribers than members, none is left
  // out for good.
  MemberState* chosen = nullptr;
  for (MemberState& member : group.members)
    if (!member.leased && (!chosen || member.position < chosen->position)) chosen = &member;
  if (!chosen) return Status::kAllTaken;
  call.undo.token = chosen->token;
  chosen->leased = true;
  chosen->token = next_token_++;
  chosen->owner = call.owner;
  chosen->delivered = 0;
  chosen->waits_since_ms = 0;
  ++group.leases;
  ++leases_;
  call.member = static_cast<uint32_t>(chosen - group.members.data());
  call.token = chosen->token;
  call.position = chosen->position;
  if (call.rows.empty())
    call.rows.push_back(row_of(call.group, call.member, *chosen));
  else
    call.rows[call.member + 1].fence = chosen->token;
  return Status::kDone;
}

Groups::Status Groups::make(GroupCall& call, const LogRange& log) {
  if (groups_.size() >= limits::kHubGroupsMax || members_ + call.size > limits::kHubMembersMax)
    return Status::kTooMany;
  uint64_t begin = log.first;
  if (call.start.at == Start::At::kLatest) begin = log.next;
  if (call.start.at == Start::At::kPosition) begin = std::max<uint64_t>(call.start.number, 1);
  if (begin > log.next) return Status::kBeyond;
  call.undo.made = true;
  Group& group = groups_[call.group];
  group.sources = call.sources;
  fill(call, group, begin - 1);
  return Status::kDone;
}

// The streams are dealt out anew, and a stream's new member may be behind its old one. So all begin
// where the last of the old ones is.
Groups::Status Groups::resize(GroupCall& call, Group& group) {
  if (group.leases > 0) return Status::kOtherSize;
  if (members_ - group.members.size() + call.size > limits::kHubMembersMax) return Status::kTooMany;
  uint64_t least = UINT64_MAX;
  for (const MemberState& member : group.members) least = std::min(least, member.position);
  call.undo.resized = true;
  call.undo.members = std::exchange(group.members, {});
  members_ -= call.undo.members.size();
  fill(call, group, least);
  return Status::kDone;
}

// No former owner of a member of that number has this one's token.
void Groups::fill(GroupCall& call, Group& group, uint64_t position) {
  group.members.assign(call.size, {.position = position, .token = next_token_++});
  members_ += call.size;
  call.rows.push_back({.id = row_id(call), .position = call.size});
  for (size_t i = 0; i < group.members.size(); ++i)
    call.rows.push_back(row_of(call.group, i, group.members[i]));
  for (size_t i = group.members.size(); i < call.undo.members.size(); ++i)
    call.rows.push_back({.id = row_id(call.group, i), .gone = true});
}

// The last owner may acknowledge although its lease is over, as long as nobody has begun behind it.
Groups::Status Groups::ack(GroupCall& call, const LogRange& log, uint64_t now_ms) {
  auto found = groups_.find(call.group);
  if (found == groups_.end() || call.member >= found->second.members.size())
    return Status::kUnknown;
  MemberState& member = found->second.members[call.member];
  if (call.token == 0 || call.token != member.token) return Status::kFenced;
  if (call.position >= log.next) return Status::kBeyond;
  call.undo.position = member.position;
  // One that comes late takes nothing back.
  if (call.position > member.position) {
    member.position = call.position;
    call.rows.push_back(row_of(call.group, call.member, member));
  }
  call.position = member.position;
  bool more = member.leased && member.delivered > member.position;
  member.waits_since_ms = more ? now_ms : 0;
  return Status::kDone;
}

// Its tokens go with it, but for the highest one: they grow over restarts.
Groups::Status Groups::remove(GroupCall& call) {
  auto found = groups_.find(call.group);
  if (found == groups_.end()) return Status::kUnknown;
  Group& group = found->second;
  if (group.leases > 0) return Status::kOwned;
  call.sources = std::move(group.sources);
  call.undo.members = std::move(group.members);
  groups_.erase(found);
  members_ -= call.undo.members.size();
  call.rows.push_back({.id = row_id(call), .gone = true});
  for (size_t i = 0; i < call.undo.members.size(); ++i)
    call.rows.push_back({.id = row_id(call.group, i), .gone = true});
  call.rows.push_back({.id = std::string(kGroupRow), .fence = next_token_ - 1});
  return Status::kDone;
}

MemberState* Groups::leased(const GroupCall& call, Group** group) {
  auto found = groups_.find(call.group);
  if (found == groups_.end() || call.member >= found->second.members.size()) return nullptr;
  *group = &found->second;
  MemberState& member = found->second.members[call.member];
  return member.leased && member.token == call.token ? &member : nullptr;
}

void Groups::end_lease(const std::string& name, Group& group, MemberState& member) {
  member.leased = false;
  member.owner.clear();
  member.waits_since_ms = 0;
  --group.leases;
  --leases_;
  news_.push_back({News::Kind::kFree, hash_of(name)});
}

void Groups::take_back(GroupCall& call, uint64_t now_ms) {
  if (call.status != Status::kDone) return;
  if (call.kind == GroupCall::Kind::kDelete) {
    members_ += call.undo.members.size();
    groups_[call.group] = {.sources = call.sources, .members = std::move(call.undo.members)};
    return;
  }
  auto found = groups_.find(call.group);
  if (found == groups_.end()) return;
  Group& group = found->second;
  MemberState& member = group.members[call.member];
  if (call.kind == GroupCall::Kind::kAck) {
    member.position = call.undo.position;
    if (member.leased && member.delivered > member.position && member.waits_since_ms == 0)
      member.waits_since_ms = now_ms;
    return;
  }
  if (call.kind != GroupCall::Kind::kLease) return;
  // Nobody has heard of its token, so the owner before it is still the last one.
  if (member.leased && member.token == call.token) {
    end_lease(call.group, group, member);
    member.token = call.undo.token;
  }
  if (!call.undo.made && !call.undo.resized) return;
  members_ -= group.members.size();
  if (call.undo.made) {
    groups_.erase(found);
    return;
  }
  group.members = std::move(call.undo.members);
  members_ += group.members.size();
}

void Groups::expire(uint64_t now_ms, uint64_t lease_ms) {
  if (leases_ == 0) return;
  for (auto& [name, group] : groups_) {
    if (group.leases == 0) continue;
    for (MemberState& member : group.members) {
      if (member.waits_since_ms == 0 || now_ms - member.waits_since_ms < lease_ms) continue;
      ++expired_;
      news_.push_back({News::Kind::kOver, member.token});
      end_lease(name, group, member);
    }
  }
}

bool Groups::is_group_row(std::string_view id) {
  return id.starts_with(kGroupRow) || id.starts_with(kMemberRow);
}

bool Groups::restore(const GroupRow& row, uint64_t last_position) {
  std::string_view id(row.id);
  bool is_group = id.starts_with(kGroupRow);
  if (!is_group_row(id)) return false;
  next_token_ = std::max(next_token_, row.fence + 1);
  id.remove_prefix(is_group ? kGroupRow.size() : kMemberRow.size());
  size_t end = id.find('\n');
  if (end == id.npos) return true;
  std::string name(id.substr(0, end));
  id.remove_prefix(end + 1);
  if (is_group) {
    if (row.position == 0 || row.position > limits::kHubGroupSizeMax) return true;
    Group& group = groups_[name];
    group.sources = id;
    group.members.resize(row.position);
    members_ += row.position;
    return true;
  }
  // Members of a former size have rows, too.
  auto found = groups_.find(name);
  std::optional<uint64_t> number = parse_decimal(id);
  if (found == groups_.end() || !number || *number >= found->second.members.size()) return true;
  // Its last owner is fenced off: what that one means by a position may be lost with an epoch.
  found->second.members[*number].position = std::min(row.position, last_position);
  return true;
}

}  // namespace sluice

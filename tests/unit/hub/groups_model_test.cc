// Groups of consumers by chance: consumers come, handle events, acknowledge now and then (some of
// them long after they have lost their member) and go; sizes change, the group is deleted, the
// store refuses, the process begins anew. Each event has to be handled, and a position has to stand
// for nothing but events that have been.
#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/random.h"
#include "net/hub/groups.h"

namespace sluice {
namespace {

using Kind = GroupCall::Kind;
using Status = GroupCall::Status;

constexpr uint64_t kLeaseMs = 1000;

struct Consumer {
  GroupCall lease;
  uint64_t handled;  // all of its member's events up to there
};

class World {
 public:
  explicit World(uint64_t seed) : random(seed) {}

  // The group's hash of the event at a global position.
  uint64_t stream_of(uint64_t global) const { return events[global - 1]; }
  bool is_of(uint64_t global, const GroupCall& lease) const {
    return stream_of(global) % lease.size == lease.member;
  }
  uint64_t last() const { return events.size(); }

  GroupCall ask(GroupCall call) {
    groups->answer(call, {1, last() + 1}, now_ms);
    for (; !groups->news().empty(); groups->news().pop_front()) {
    }
    if (call.changes() && call.status == Status::kDone) unstored.push_back(call);
    return call;
  }

  void publish() {
    for (uint64_t i = random.between(1, 5); i > 0; --i) events.push_back(random.between(0, 11));
  }

  void come() {
    GroupCall lease = ask({.kind = Kind::kLease,
                           .group = "g",
                           .sources = "ca",
                           .size = size,
                           .start = {.at = Start::At::kEarliest}});
    if (lease.status != Status::kDone) return;
    EXPECT_GT(lease.token, newest_token);
    newest_token = lease.token;
    for (const Consumer& other : consumers) {
      bool same = owns(other) && other.lease.token != lease.token;
      EXPECT_FALSE(same && other.lease.member == lease.member) << "two owners";
    }
    check_position(lease.member, lease.size, lease.position);
    consumers.push_back({lease, lease.position});
  }

  bool owns(const Consumer& one) {
    GroupCall read = ask({.group = "g"});
    if (one.lease.member >= read.members.size()) return false;
    const MemberState& member = read.members[one.lease.member];
    return member.leased && member.token == one.lease.token;
  }

  // Each event of that member's up to there has been handled.
  void check_position(uint64_t member, uint64_t of, uint64_t position) {
    for (uint64_t global = 1; global <= position; ++global)
      if (stream_of(global) % of == member) {
        ASSERT_TRUE(handled.contains(global)) << global << " of member " << member;
      }
  }

  // Whether or not it still owns its member: it does not know that yet.
  void handle(Consumer& one) {
    uint64_t steps = random.between(1, 6);
    while (steps > 0 && one.handled < last()) {
      ++one.handled;
      if (!is_of(one.handled, one.lease)) continue;
      handled.insert(one.handled);
      --steps;
    }
    ask({.kind = Kind::kDelivered,
         .group = "g",
         .member = one.lease.member,
         .token = one.lease.token,
         .position = one.handled});
  }

  void acknowledge(const Consumer& one, uint64_t position) {
    std::vector<MemberState> before = ask({.group = "g"}).members;
    bool newest =
        one.lease.member < before.size() && before[one.lease.member].token == one.lease.token;
    GroupCall answer = ask({.kind = Kind::kAck,
                            .group = "g",
                            .member = one.lease.member,
                            .token = one.lease.token,
                            .position = position});
    std::vector<MemberState> after = ask({.group = "g"}).members;
    EXPECT_EQ(answer.status == Status::kDone, newest);
    if (newest) {
      EXPECT_EQ(after[one.lease.member].position,
                std::max(before[one.lease.member].position, position));
      return;
    }
    for (size_t i = 0; i < after.size(); ++i) EXPECT_EQ(after[i].position, before[i].position);
  }

  void go(size_t which) {
    const GroupCall& lease = consumers[which].lease;
    ask({.kind = Kind::kRelease, .group = "g", .member = lease.member, .token = lease.token});
    // It may still acknowledge.
    if (random.between(0, 1) == 0) gone.push_back(consumers[which]);
    consumers.erase(consumers.begin() + static_cast<ptrdiff_t>(which));
  }

  void store() {
    for (; !unstored.empty(); unstored.pop_front())
      for (const GroupRow& row : unstored.front().rows) {
        rows.erase(row.id);
        if (!row.gone) rows[row.id] = row;
      }
  }

  // It begins anew with its next member. Whoever still has one keeps it from that.
  void remove() {
    if (random.between(0, 1) == 0)
      while (!consumers.empty()) go(0);
    std::vector<MemberState> members = ask({.group = "g"}).members;
    bool owned = std::ranges::any_of(members, &MemberState::leased);
    GroupCall answer = ask({.kind = Kind::kDelete, .group = "g"});
    EXPECT_EQ(answer.status, owned             ? Status::kOwned
                             : members.empty() ? Status::kUnknown
                                               : Status::kDone);
  }

  // An answer waits for the store, so nobody has heard of that lease.
  void never_was(const GroupCall& call) {
    if (call.kind != Kind::kLease) return;
    auto is_its = [&](const Consumer& one) { return one.lease.token == call.token; };
    std::erase_if(consumers, is_its);
    std::erase_if(gone, is_its);
  }
  void refuse() {
    while (!unstored.empty()) {
      GroupCall call = std::move(unstored.back());
      unstored.pop_back();
      groups->take_back(call, now_ms);
      never_was(call);
    }
    for (; !groups->news().empty(); groups->news().pop_front()) {
    }
  }

  void restart() {
    for (const GroupCall& call : unstored) never_was(call);
    unstored.clear();
    groups.emplace(0);
    newest_token = 0;
    for (const auto& [id, row] : rows) newest_token = std::max(newest_token, row.fence);
    for (const auto& [id, row] : rows) EXPECT_TRUE(groups->restore(row, last()));
    gone.insert(gone.end(), consumers.begin(), consumers.end());
    consumers.clear();
  }

  Consumer& any(std::vector<Consumer>& all) { return all[random.between(0, all.size() - 1)]; }

  void step() {
    now_ms += random.between(0, 200);
    groups->expire(now_ms, kLeaseMs);
    uint64_t what = random.between(0, 99);
    if (what < 20)
      publish();
    else if (what < 35)
      come();
    else if (what < 60 && !consumers.empty())
      handle(any(consumers));
    else if (what < 80 && !consumers.empty())
      acknowledge_some(any(consumers));
    else if (what < 85 && !gone.empty())
      acknowledge_some(any(gone));
    else if (what < 92 && !consumers.empty())
      go(random.between(0, consumers.size() - 1));
    else if (what < 95)
      store();
    else if (what < 96)
      refuse();
    else if (what < 97)
      restart();
    else if (what < 98)
      remove();
    else if (what < 99)
      size = static_cast<uint32_t>(random.between(1, 5));
    for (size_t i = 0; i < size; ++i) {
      std::vector<MemberState> members = ask({.group = "g"}).members;
      if (i < members.size()) check_position(i, members.size(), members[i].position);
    }
  }

  // What it has handled, or a part of that, out of order.
  void acknowledge_some(const Consumer& one) {
    acknowledge(one, random.between(0, 2) == 0 ? random.between(0, one.handled) : one.handled);
  }

  // Everybody goes, new ones come until all is done.
  void finish() {
    while (!consumers.empty()) go(0);
    for (uint32_t i = 0; i < size; ++i) come();
    ASSERT_EQ(consumers.size(), size);
    for (Consumer& one : consumers) {
      while (one.handled < last()) handle(one);
      acknowledge(one, one.handled);
    }
    for (uint64_t global = 1; global <= last(); ++global) EXPECT_TRUE(handled.contains(global));
  }

  Random random;
  std::optional<Groups> groups{0};
  std::vector<uint64_t> events;
  std::vector<Consumer> consumers;
  std::vector<Consumer> gone;
  std::set<uint64_t> handled;
  std::deque<GroupCall> unstored;
  std::map<std::string, GroupRow> rows;
  uint32_t size = 3;
  uint64_t newest_token = 0;
  uint64_t now_ms = 1;
};

TEST(GroupsModel, EachEventIsHandledAndNoFormerOwnerMovesAPosition) {
  uint64_t refused = 0;
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(seed);
    World world(seed);
    for (int i = 0; i < 300; ++i) world.step();
    world.finish();
    refused += world.gone.size();
    if (HasFailure()) return;
  }
  EXPECT_GT(refused, 0U);
}

}  // namespace
}  // namespace sluice

#include "net/hub/groups.h"

#include <algorithm>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice {
namespace {

using Kind = GroupCall::Kind;
using Status = GroupCall::Status;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr Groups::LogRange kLog{.first = 1, .next = 101};

class GroupsTest : public ::testing::Test {
 protected:
  GroupCall ask(GroupCall call, Groups::LogRange log = kLog) {
    groups.answer(call, log, now_ms);
    return call;
  }
  GroupCall lease(uint32_t size = 2, Start start = {.at = Start::At::kEarliest}) {
    return ask({.kind = Kind::kLease, .group = "g", .sources = "ca", .size = size, .start = start});
  }
  Status ack(const GroupCall& lease, uint64_t position) {
    return ask({.kind = Kind::kAck,
                .group = "g",
                .member = lease.member,
                .token = lease.token,
                .position = position})
        .status;
  }
  void tell(Kind kind, const GroupCall& lease, uint64_t position = 0) {
    ask({.kind = kind,
         .group = "g",
         .member = lease.member,
         .token = lease.token,
         .position = position});
  }
  std::vector<uint64_t> positions() {
    std::vector<uint64_t> all;
    for (const MemberState& member : ask({.group = "g"}).members) all.push_back(member.position);
    return all;
  }
  std::vector<Groups::News::Kind> news() {
    std::vector<Groups::News::Kind> kinds;
    for (; !groups.news().empty(); groups.news().pop_front())
      kinds.push_back(groups.news().front().kind);
    return kinds;
  }

  Groups groups{/*first_token=*/1000};
  uint64_t now_ms = 5000;
};

TEST_F(GroupsTest, AMemberHasOneOwnerAndTokensGrow) {
  GroupCall first = lease();
  GroupCall second = lease();
  EXPECT_GT(first.token, 1000U);
  EXPECT_GT(second.token, first.token);
  EXPECT_NE(first.member, second.member);
  EXPECT_EQ(lease().status, Status::kAllTaken);
  tell(Kind::kRelease, first);
  EXPECT_THAT(news(), ElementsAre(Groups::News::Kind::kFree));
  GroupCall third = lease();
  EXPECT_EQ(third.member, first.member);
  EXPECT_GT(third.token, second.token);
  tell(Kind::kRelease, first);
  EXPECT_THAT(news(), IsEmpty()) << "that lease was over";
  EXPECT_EQ(groups.leases(), 2U);
}

TEST_F(GroupsTest, AcknowledgementsOfFormerOwnersAndLateOnesChangeNothing) {
  GroupCall first = lease(1);
  EXPECT_EQ(ack(first, 10), Status::kDone);
  EXPECT_EQ(ack(first, 5), Status::kDone);
  EXPECT_THAT(positions(), ElementsAre(10));
  tell(Kind::kRelease, first);
  EXPECT_EQ(ack(first, 20), Status::kDone) << "nobody has begun behind it";
  GroupCall second = lease(1);
  EXPECT_EQ(second.position, 20U);
  EXPECT_EQ(ack(first, 30), Status::kFenced);
  EXPECT_EQ(ack(second, 101), Status::kBeyond);
  EXPECT_THAT(positions(), ElementsAre(20));
  EXPECT_EQ(ack(second, 100), Status::kDone);
}

TEST_F(GroupsTest, TheMemberThatIsFurthestBehindIsTakenFirst) {
  GroupCall first = lease();
  ack(first, 50);
  tell(Kind::kRelease, first);
  GroupCall second = lease();
  EXPECT_NE(second.member, first.member);
}

TEST_F(GroupsTest, ALeaseEndsWhenWhatWasPassedOnWaitsTooLong) {
  GroupCall owner = lease(1);
  now_ms += 100'000;
  groups.expire(now_ms, 1000);
  EXPECT_EQ(groups.leases(), 1U) << "there was nothing to acknowledge";
  tell(Kind::kDelivered, owner, 10);
  now_ms += 999;
  tell(Kind::kDelivered, owner, 12);
  groups.expire(now_ms, 1000);
  EXPECT_EQ(groups.leases(), 1U);
  ack(owner, 0);  // it is at work
  now_ms += 999;
  groups.expire(now_ms, 1000);
  EXPECT_EQ(groups.leases(), 1U);
  now_ms += 1;
  groups.expire(now_ms, 1000);
  EXPECT_EQ(groups.leases(), 0U);
  EXPECT_THAT(news(), ElementsAre(Groups::News::Kind::kOver, Groups::News::Kind::kFree));
  GroupCall next = lease(1);
  EXPECT_EQ(next.position, 0U);
  tell(Kind::kDelivered, next, 10);
  ack(next, 10);
  now_ms += 100'000;
  groups.expire(now_ms, 1000);
  EXPECT_EQ(groups.leases(), 1U) << "all is acknowledged";
}

TEST_F(GroupsTest, ALeaseThatIsOverEndsNoMore) {
  GroupCall owner = lease();
  GroupCall other = lease();
  tell(Kind::kDelivered, owner, 10);
  tell(Kind::kRelease, owner);
  ack(owner, 5);
  now_ms += 1000;
  groups.expire(now_ms, 1000);
  EXPECT_EQ(groups.leases(), 1U) << "the other one's: " << other.token;
  EXPECT_EQ(groups.expired(), 0U);
}

TEST_F(GroupsTest, AllMembersBeginWhereTheFirstOneSaid) {
  EXPECT_EQ(lease(2, {.at = Start::At::kPosition, .number = 102}).status, Status::kBeyond);
  EXPECT_EQ(groups.size(), 0U);
  EXPECT_EQ(lease(2, {.at = Start::At::kLatest}).position, 100U);
  EXPECT_EQ(lease(2, {.at = Start::At::kEarliest}).position, 100U);
  GroupCall here = ask({.kind = Kind::kLease,
                        .group = "h",
                        .sources = "ca",
                        .size = 1,
                        .start = {.at = Start::At::kPosition, .number = 0}});
  EXPECT_EQ(here.position, 0U);
  GroupCall held = ask({.kind = Kind::kLease,
                        .group = "i",
                        .sources = "ca",
                        .size = 1,
                        .start = {.at = Start::At::kEarliest}},
                       {.first = 31, .next = 101});
  EXPECT_EQ(held.position, 30U);
}

TEST_F(GroupsTest, AnotherSizeTakesAGroupWithoutOwners) {
  GroupCall first = lease();
  GroupCall second = lease();
  ack(first, 30);
  ack(second, 50);
  EXPECT_EQ(lease(3).status, Status::kOtherSize);
  tell(Kind::kRelease, first);
  EXPECT_EQ(lease(3).status, Status::kOtherSize);
  tell(Kind::kRelease, second);
  EXPECT_EQ(lease(3).position, 30U);
  EXPECT_THAT(positions(), ElementsAre(30, 30, 30));
  EXPECT_EQ(ack(first, 60), Status::kFenced) << "the streams are dealt out anew";
  EXPECT_EQ(ack(second, 60), Status::kFenced);
}

TEST_F(GroupsTest, OthersSourcesAreRefused) {
  lease();
  GroupCall other = ask({.kind = Kind::kLease, .group = "g", .sources = "cb", .size = 2});
  EXPECT_EQ(other.status, Status::kOtherSources);
}

TEST_F(GroupsTest, GroupsAndMembersAreBounded) {
  for (size_t i = 0; i < limits::kHubGroupsMax; ++i)
    EXPECT_EQ(ask({.kind = Kind::kLease, .group = std::to_string(i), .size = 1}).status,
              Status::kDone);
  EXPECT_EQ(lease(1).status, Status::kTooMany);
  GroupCall small = ask({.kind = Kind::kRelease, .group = "0", .token = 1});
  EXPECT_EQ(ask({.kind = Kind::kLease, .group = "0", .size = 1}).status, Status::kAllTaken);
  Groups others(0);
  for (size_t i = 0; i < limits::kHubMembersMax / limits::kHubGroupSizeMax; ++i) {
    GroupCall call{.kind = Kind::kLease, .group = std::to_string(i), .size = 1000};
    others.answer(call, kLog, 0);
    EXPECT_EQ(call.status, Status::kDone);
  }
  GroupCall call{.kind = Kind::kLease, .group = "one more", .size = 1};
  others.answer(call, kLog, 0);
  EXPECT_EQ(call.status, Status::kTooMany);
}

// Those of the store, as it keeps them: of one id the last.
std::vector<GroupRow> kept(const std::vector<GroupCall>& calls) {
  std::vector<GroupRow> rows;
  for (const GroupCall& call : calls) {
    for (const GroupRow& row : call.rows) {
      std::erase_if(rows, [&](const GroupRow& one) { return one.id == row.id; });
      if (!row.gone) rows.push_back(row);
    }
  }
  std::ranges::sort(rows, {}, &GroupRow::id);
  return rows;
}

TEST_F(GroupsTest, RowsBringAGroupBack) {
  std::vector<GroupCall> calls{lease(3), lease(3)};
  auto acknowledge = [&](const GroupCall& lease, uint64_t position) {
    calls.push_back(ask({.kind = Kind::kAck,
                         .group = "g",
                         .member = lease.member,
                         .token = lease.token,
                         .position = position}));
  };
  GroupCall first = calls[0];
  GroupCall second = calls[1];
  acknowledge(first, 40);
  acknowledge(second, 70);
  tell(Kind::kRelease, first);
  tell(Kind::kRelease, second);
  calls.push_back(lease(2));
  GroupCall third = calls.back();
  acknowledge(third, 90);
  Groups again(/*first_token=*/0);
  for (const GroupRow& row : kept(calls)) EXPECT_TRUE(again.restore(row, /*last_position=*/80));
  EXPECT_FALSE(again.restore({"group", 1, 0}, 80)) << "a consumer of that name";
  GroupCall read{.group = "g"};
  again.answer(read, kLog, 0);
  EXPECT_EQ(read.sources, "ca");
  ASSERT_EQ(read.members.size(), 2U);
  EXPECT_EQ(read.members[third.member].position, 80U) << "the log ends there now";
  EXPECT_EQ(read.members[1 - third.member].position, 0U);
  GroupCall old{.kind = Kind::kAck,
                .group = "g",
                .member = third.member,
                .token = third.token,
                .position = 90};
  again.answer(old, kLog, 0);
  EXPECT_EQ(old.status, Status::kFenced);
  GroupCall next{.kind = Kind::kLease, .group = "g", .sources = "ca", .size = 2};
  again.answer(next, kLog, 0);
  EXPECT_EQ(next.status, Status::kDone);
  EXPECT_GT(next.token, third.token);
}

TEST_F(GroupsTest, AnAcknowledgementThatIsTakenBackIsWaitedForAgain) {
  GroupCall owner = lease(1);
  tell(Kind::kDelivered, owner, 10);
  GroupCall refused =
      ask({.kind = Kind::kAck, .group = "g", .member = 0, .token = owner.token, .position = 10});
  now_ms += 500;
  groups.take_back(refused, now_ms);
  now_ms += 999;
  groups.expire(now_ms, 1000);
  EXPECT_EQ(groups.leases(), 1U);
  now_ms += 1;
  groups.expire(now_ms, 1000);
  EXPECT_EQ(groups.leases(), 0U);
}

TEST_F(GroupsTest, WhatTheStoreRefusesIsTakenBack) {
  GroupCall made = lease(2);
  groups.take_back(made, now_ms);
  EXPECT_EQ(ask({.group = "g"}).status, Status::kUnknown);
  EXPECT_EQ(groups.leases(), 0U);
  GroupCall stands = lease(2);
  ack(stands, 10);
  GroupCall more = ask({.kind = Kind::kAck,
                        .group = "g",
                        .member = stands.member,
                        .token = stands.token,
                        .position = 20});
  GroupCall most = ask({.kind = Kind::kAck,
                        .group = "g",
                        .member = stands.member,
                        .token = stands.token,
                        .position = 30});
  groups.take_back(most, now_ms);
  groups.take_back(more, now_ms);
  EXPECT_EQ(ask({.group = "g"}).members[stands.member].position, 10U);
  tell(Kind::kRelease, stands);
  news();
  GroupCall resized = lease(5);
  groups.take_back(resized, now_ms);
  EXPECT_THAT(news(), ElementsAre(Groups::News::Kind::kFree)) << "whoever waits may ask again";
  EXPECT_EQ(positions().size(), 2U);
  EXPECT_EQ(lease(2).status, Status::kDone);
  EXPECT_EQ(groups.leases(), 1U);
}

TEST_F(GroupsTest, AGroupWithoutOwnersIsDeleted) {
  EXPECT_EQ(ask({.kind = Kind::kDelete, .group = "g"}).status, Status::kUnknown);
  std::vector<GroupCall> calls{lease(3)};
  GroupCall owner = calls.front();
  EXPECT_EQ(ask({.kind = Kind::kDelete, .group = "g"}).status, Status::kOwned);
  EXPECT_EQ(ack(owner, 10), Status::kDone);
  tell(Kind::kRelease, owner);
  calls.push_back(ask({.kind = Kind::kDelete, .group = "g"}));
  EXPECT_EQ(calls.back().status, Status::kDone);
  EXPECT_EQ(ask({.group = "g"}).status, Status::kUnknown);
  EXPECT_EQ(ack(owner, 20), Status::kUnknown);
  // What is kept of it is that no token may be given again.
  std::vector<GroupRow> rows = kept(calls);
  ASSERT_EQ(rows.size(), 1U);
  Groups again(/*first_token=*/0);
  EXPECT_TRUE(again.restore(rows.front(), /*last_position=*/100));
  EXPECT_EQ(again.size(), 0U);
  GroupCall anew{.kind = Kind::kLease, .group = "g", .sources = "cb", .size = 1};
  again.answer(anew, kLog, 0);
  EXPECT_GT(anew.token, owner.token);
  EXPECT_EQ(lease(3).position, 0U) << "it begins anew";
}

TEST_F(GroupsTest, ADeletionThatTheStoreRefusesIsTakenBack) {
  GroupCall owner = lease(2);
  EXPECT_EQ(ack(owner, 10), Status::kDone);
  tell(Kind::kRelease, owner);
  GroupCall deleted = ask({.kind = Kind::kDelete, .group = "g"});
  GroupCall anew = lease(1);
  groups.take_back(anew, now_ms);
  groups.take_back(deleted, now_ms);
  EXPECT_THAT(positions(), ElementsAre(10, 0));
  EXPECT_EQ(ack(owner, 20), Status::kDone);
  EXPECT_EQ(lease(2).status, Status::kDone);
}

TEST_F(GroupsTest, NoRowIsLeftOfMembersThatASmallerGroupDoesNotHave) {
  std::vector<GroupCall> calls{lease(3)};
  tell(Kind::kRelease, calls.front());
  calls.push_back(lease(1));
  EXPECT_EQ(kept(calls).size(), 2U) << "the group's and its member's";
}

// As it is after a restart: nobody has heard of that lease.
TEST_F(GroupsTest, ALeaseThatTheStoreRefusesTakesNothingFromTheLastOwner) {
  GroupCall last = lease(1);
  tell(Kind::kRelease, last);
  GroupCall refused = lease(1);
  EXPECT_EQ(ack(last, 10), Status::kFenced);
  groups.take_back(refused, now_ms);
  EXPECT_EQ(ack(last, 10), Status::kDone);
  EXPECT_EQ(ack(refused, 20), Status::kFenced);
  GroupCall next = lease(1);
  EXPECT_EQ(next.position, 10U);
  EXPECT_GT(next.token, refused.token) << "no token is given twice";
  EXPECT_EQ(ack(last, 20), Status::kFenced);
}

}  // namespace
}  // namespace sluice

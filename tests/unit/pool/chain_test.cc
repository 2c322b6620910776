#include "pool/chain.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/pool/chain_testing.h"
#include "tests/unit/pool/pool_testing.h"

namespace sluice {
namespace {

using test::ChainRig;
using test::text_of;

constexpr uint32_t kSlotBytes = test::PoolRig::kSlotBytes;

size_t pieces_of(const Chain& chain) {
  std::array<iovec, 64> pieces{};
  uint64_t covered = 0;
  return chain.fill(pieces, 0, UINT64_MAX, &covered);
}

TEST(Chain, SharesASlotAndKeepsItAlive) {
  ChainRig rig;
  {
    Chain chain(rig.memory, rig.pool());
    Lease lease = rig.slot("hello world");
    chain.append(lease, {lease.data(), 5});
    EXPECT_EQ(lease.slot()->leases, 2U);
    lease = {};
    EXPECT_EQ(text_of(chain), "hello");
    EXPECT_EQ(rig.pool().leased(), 1U);
    chain.consume(5);
    EXPECT_EQ(rig.pool().leased(), 0U) << "kept a slot of which nothing is left";
  }
  rig.expect_clean();
}

TEST(Chain, JoinsPiecesOfASlot) {
  ChainRig rig;
  Chain chain(rig.memory, rig.pool());
  Lease lease = rig.slot("ab<gap>cd");
  chain.append(lease, {lease.data(), 1});
  chain.append(lease, {lease.data() + 1, 1});
  EXPECT_EQ(pieces_of(chain), 1U);
  chain.append(lease, {lease.data() + 7, 2});
  EXPECT_EQ(pieces_of(chain), 2U) << "not next to each other";
  EXPECT_EQ(text_of(chain), "abcd");
}

TEST(Chain, APieceBeforeTheTailIsASliceOfItsOwn) {
  ChainRig rig;
  Chain chain(rig.memory, rig.pool());
  Lease lease = rig.slot("abcdef");
  chain.append(lease, {lease.data() + 3, 3});
  chain.append(lease, {lease.data(), 3});
  EXPECT_EQ(pieces_of(chain), 2U);
  EXPECT_EQ(text_of(chain), "defabc");
}

TEST(Chain, CopiesDenselyIntoItsOwnSlots) {
  ChainRig rig;
  Chain chain(rig.memory, rig.pool());
  std::string expected;
  for (int i = 0; i < 30; ++i) {
    std::string text = "event " + std::to_string(i) + ";";
    ASSERT_EQ(chain.append_copy(text), "");
    expected += text;
  }
  EXPECT_EQ(text_of(chain), expected);
  EXPECT_EQ(rig.pool().leased(), (expected.size() + kSlotBytes - 1) / kSlotBytes);
}

TEST(Chain, CopiesNeverWriteIntoASlotThatIsShared) {
  ChainRig rig;
  Chain chain(rig.memory, rig.pool());
  Lease lease = rig.slot("received and more");
  chain.append(lease, {lease.data(), 8});
  ASSERT_EQ(chain.append_copy("COPY"), "");
  EXPECT_EQ(std::string(lease.data(), 17), "received and more");
  EXPECT_EQ(text_of(chain), "receivedCOPY");
}

TEST(Chain, StaticBytesHoldNoSlot) {
  ChainRig rig;
  Chain chain(rig.memory, rig.pool());
  chain.append_static(": heartbeat\n\n");
  EXPECT_EQ(rig.pool().leased(), 0U);
  EXPECT_FALSE(chain.front());
  EXPECT_EQ(text_of(chain), ": heartbeat\n\n");
  ASSERT_EQ(chain.append_copy("x"), "");
  chain.consume(13);
  EXPECT_TRUE(chain.front());
}

TEST(Chain, NothingAppendedIsNothing) {
  ChainRig rig;
  Chain chain(rig.memory, rig.pool());
  Lease lease = rig.slot("x");
  chain.append(lease, {});
  ASSERT_EQ(chain.append_copy({}), "");
  chain.append_static({});
  EXPECT_TRUE(chain.empty());
  EXPECT_EQ(rig.memory.nodes.in_use(), 0U);
}

TEST(Chain, FillIsBoundedByPiecesAndBytes) {
  ChainRig rig;
  Chain chain(rig.memory, rig.pool());
  chain.append_static("one");
  ASSERT_EQ(chain.append_copy("two"), "");
  chain.append_static("three");
  std::array<iovec, 2> pieces{};
  uint64_t covered = 0;
  EXPECT_EQ(chain.fill(pieces, 0, 100, &covered), 2U);
  EXPECT_EQ(covered, 6U);
  covered = 0;
  EXPECT_EQ(chain.fill(pieces, 4, 3, &covered), 2U);
  EXPECT_EQ(covered, 3U);
  EXPECT_EQ(std::string(static_cast<char*>(pieces[0].iov_base), pieces[0].iov_len), "wo");
  EXPECT_EQ(std::string(static_cast<char*>(pieces[1].iov_base), pieces[1].iov_len), "t");
  covered = 0;
  EXPECT_EQ(chain.fill(pieces, 11, 100, &covered), 0U);
  EXPECT_EQ(chain.fill(pieces, 0, 0, &covered), 0U);
  EXPECT_EQ(covered, 0U);
}

TEST(Chain, RewindsWhatItKept) {
  ChainRig rig;
  Chain chain(rig.memory, rig.pool());
  chain.keep_consumed(true);
  ASSERT_EQ(chain.append_copy("request head"), "");
  chain.append_static("body");
  chain.consume(14);
  EXPECT_EQ(chain.kept_bytes(), 14U);
  EXPECT_EQ(text_of(chain), "dy");
  chain.rewind();
  EXPECT_EQ(chain.kept_bytes(), 0U);
  EXPECT_EQ(text_of(chain), "request headbody");
  chain.consume(16);
  EXPECT_TRUE(chain.empty());
  EXPECT_GT(rig.memory.nodes.in_use(), 0U);
  chain.keep_consumed(false);
  EXPECT_EQ(chain.kept_bytes(), 0U);
  rig.expect_clean();
}

TEST(Chain, KnowsWhosePoolsSlotsItKeepsAndHolds) {
  ChainRig rig;
  ChainRig other;
  {
    Chain chain(rig.memory, rig.pool());
    chain.keep_consumed(true);
    Lease first = rig.slot("sent");
    Lease second = other.slot("held");
    chain.append(first, {first.data(), 4});
    chain.append(second, {second.data(), 4});
    chain.append_static("static");
    EXPECT_FALSE(chain.keeps_in(rig.pool()));
    EXPECT_TRUE(chain.holds_in(rig.pool()));
    EXPECT_TRUE(chain.holds_in(other.pool()));
    chain.consume(2);
    EXPECT_TRUE(chain.keeps_in(rig.pool()));
    EXPECT_FALSE(chain.keeps_in(other.pool()));
    EXPECT_TRUE(chain.holds_in(rig.pool()));
    chain.consume(2);
    EXPECT_FALSE(chain.holds_in(rig.pool()));
    EXPECT_TRUE(chain.holds_in(other.pool()));
    chain.consume(4);
    EXPECT_TRUE(chain.keeps_in(other.pool()));
    EXPECT_FALSE(chain.holds_in(other.pool()));
  }
  rig.expect_clean();
  other.expect_clean();
}

TEST(Chain, WhatIsKeptStaysDenseHoweverItTrickles) {
  ChainRig rig;
  Chain chain(rig.memory, rig.pool());
  chain.keep_consumed(true);
  std::string all;
  for (uint32_t i = 0; i < kSlotBytes; ++i) {
    all += static_cast<char>('a' + i % 26);
    ASSERT_EQ(chain.append_copy(all.substr(i)), "");
    EXPECT_EQ(text_of(chain), all.substr(i));
    chain.consume(1);
  }
  EXPECT_EQ(rig.pool().leased(), 1U);
  ASSERT_EQ(chain.append_copy("next"), "");
  EXPECT_EQ(rig.pool().leased(), 2U);
  chain.rewind();
  EXPECT_EQ(text_of(chain), all + "next");
  chain.clear();
  rig.expect_clean();
}

TEST(Chain, TruncateDropsTheEnd) {
  ChainRig rig;
  Chain chain(rig.memory, rig.pool());
  ASSERT_EQ(chain.append_copy("whole event|half"), "");
  chain.truncate(12);
  EXPECT_EQ(text_of(chain), "whole event|");
  ASSERT_EQ(chain.append_copy("next"), "");
  EXPECT_EQ(text_of(chain), "whole event|next");
  chain.consume(6);
  chain.truncate(0);
  EXPECT_TRUE(chain.empty());
  rig.expect_clean();
  ASSERT_EQ(chain.append_copy("again"), "");
  EXPECT_EQ(text_of(chain), "again");
}

TEST(Chain, CopiesAfterATruncationDoNotWriteIntoASharedSlot) {
  ChainRig rig;
  Chain chain(rig.memory, rig.pool());
  Lease lease = rig.slot("received and more");
  chain.append(lease, {lease.data(), 8});
  ASSERT_EQ(chain.append_copy("|half"), "");
  chain.truncate(8);
  ASSERT_EQ(chain.append_copy("COPY"), "");
  EXPECT_EQ(std::string(lease.data(), 17), "received and more");
  EXPECT_EQ(text_of(chain), "receivedCOPY");
}

TEST(Chain, TakesAnotherInNodeByNode) {
  ChainRig rig;
  Chain chain(rig.memory, rig.pool());
  Chain other(rig.memory, rig.pool());
  chain.append_chain(other);
  EXPECT_TRUE(chain.empty());
  Lease lease = rig.slot("received");
  other.append(lease, {lease.data(), 8});
  ASSERT_EQ(other.append_copy("copied"), "");
  chain.append_chain(other);
  EXPECT_EQ(text_of(chain), "receivedcopied");
  EXPECT_TRUE(other.empty());
  EXPECT_EQ(rig.memory.nodes.in_use(), 2U);
  ASSERT_EQ(chain.append_copy("|more"), "");
  EXPECT_EQ(rig.pool().leased(), 2U) << "it goes on in the slot that the other copied into";
  other.append_static("static");
  chain.consume(3);
  chain.append_chain(other);
  EXPECT_EQ(text_of(chain), "eivedcopied|morestatic");
  chain.clear();
  lease = {};
  rig.expect_clean();
}

TEST(Chain, JoinsAnothersPieceOfItsLastSlot) {
  ChainRig rig;
  Chain chain(rig.memory, rig.pool());
  Chain other(rig.memory, rig.pool());
  Lease lease = rig.slot("abcdef");
  chain.append(lease, {lease.data(), 3});
  other.append(lease, {lease.data() + 3, 3});
  ASSERT_EQ(other.append_copy("ghi"), "");
  chain.append_chain(other);
  EXPECT_EQ(pieces_of(chain), 2U);
  EXPECT_EQ(lease.slot()->leases, 2U);
  EXPECT_EQ(text_of(chain), "abcdefghi");
}

TEST(Chain, TakesAnotherInBehindWhatItKeeps) {
  ChainRig rig;
  Chain chain(rig.memory, rig.pool());
  Chain other(rig.memory, rig.pool());
  chain.keep_consumed(true);
  ASSERT_EQ(chain.append_copy("sent"), "");
  chain.consume(4);
  ASSERT_EQ(other.append_copy_behind(chain, "next"), "");
  chain.append_chain(other);
  EXPECT_EQ(text_of(chain), "next");
  EXPECT_EQ(rig.pool().leased(), 1U);
  chain.rewind();
  EXPECT_EQ(text_of(chain), "sentnext");
}

TEST(Chain, CopiesBehindAnotherInItsSlot) {
  ChainRig rig;
  Chain chain(rig.memory, rig.pool());
  Chain staged(rig.memory, rig.pool());
  std::string expected;
  for (int i = 0; i < 30; ++i) {
    std::string text = "event " + std::to_string(i) + ";";
    ASSERT_EQ(staged.append_copy_behind(chain, text.substr(0, 4)), "");
    ASSERT_EQ(staged.append_copy_behind(chain, text.substr(4, 2)), "");
    EXPECT_EQ(text_of(staged), text.substr(0, 6));
    EXPECT_EQ(text_of(chain), expected);
    chain.append_chain(staged);
    ASSERT_EQ(chain.append_copy(text.substr(6)), "");
    expected += text;
  }
  EXPECT_EQ(text_of(chain), expected);
  EXPECT_EQ(rig.pool().leased(), (expected.size() + kSlotBytes - 1) / kSlotBytes);
  EXPECT_EQ(pieces_of(chain), rig.pool().leased());
}

TEST(Chain, NeverCopiesOverWhatIsCopiedBehindIt) {
  ChainRig rig;
  Chain chain(rig.memory, rig.pool());
  Chain staged(rig.memory, rig.pool());
  ASSERT_EQ(chain.append_copy("whole|"), "");
  ASSERT_EQ(staged.append_copy_behind(chain, "half"), "");
  ASSERT_EQ(chain.append_copy("other|"), "");
  EXPECT_EQ(text_of(staged), "half");
  EXPECT_EQ(chain.surroundings(6, 0, 0), nullptr) << "somebody else's bytes are in the slot";
  chain.append_chain(staged);
  EXPECT_EQ(text_of(chain), "whole|other|half");
  ASSERT_EQ(chain.append_copy("!"), "");
  EXPECT_EQ(text_of(chain), "whole|other|half!");
  ASSERT_EQ(staged.append_copy_behind(chain, "dropped"), "");
  staged.clear();
  ASSERT_EQ(chain.append_copy("?"), "");
  EXPECT_EQ(text_of(chain), "whole|other|half!?");
  chain.clear();
  rig.expect_clean();
}

TEST(Chain, CopiesBehindAnotherGoOnInASlotOfTheirOwn) {
  ChainRig rig;
  Chain chain(rig.memory, rig.pool());
  Chain staged(rig.memory, rig.pool());
  std::string most(kSlotBytes - 2, 'x');
  ASSERT_EQ(chain.append_copy(most), "");
  ASSERT_EQ(staged.append_copy_behind(chain, "1234"), "");
  EXPECT_EQ(rig.pool().leased(), 2U);
  EXPECT_EQ(pieces_of(staged), 2U);
  chain.consume(most.size());
  EXPECT_EQ(rig.pool().leased(), 2U);
  EXPECT_EQ(text_of(staged), "1234");
}

TEST(Chain, CopiesGoWhereItSpills) {
  ChainRig rig;
  SlotPool other(rig.pool_rig.loop, rig.pool_rig.memory_limit, {"other", 2, 128, 16});
  ASSERT_TRUE(other.ok());
  Memory memory{rig.pool(), other, {}};
  Chain chain(memory, rig.pool());
  ASSERT_EQ(chain.append_copy("text"), "");
  EXPECT_EQ(rig.pool().leased(), 1U);
  chain.clear();
  chain.spill_to(other);
  ASSERT_EQ(chain.append_copy("text"), "");
  EXPECT_EQ(rig.pool().leased(), 0U);
  EXPECT_EQ(other.leased(), 1U);
}

TEST(Chain, GivesTheSurroundingsOfAWholeSlice) {
  ChainRig rig;
  Chain chain(rig.memory, rig.pool());
  Lease lease = rig.slot("5\r\nevent\r\n");
  char* event = lease.data() + 3;
  chain.append(lease, {event, 5});
  EXPECT_EQ(chain.surroundings(5, 3, 2), nullptr) << "somebody else reads the slot";
  uint32_t after = lease.size() - 8;
  lease = {};
  EXPECT_EQ(chain.surroundings(5, 3, 2), event);
  EXPECT_EQ(chain.surroundings(5, 3, after), event);
  EXPECT_EQ(chain.surroundings(5, 4, 2), nullptr) << "no room before it";
  EXPECT_EQ(chain.surroundings(5, 3, after + 1), nullptr) << "no room after it";
  EXPECT_EQ(chain.surroundings(4, 3, 2), nullptr) << "a byte of the slice is still to come";
  chain.consume(2);
  EXPECT_EQ(chain.surroundings(3, 5, 2), event + 2) << "what has left is room";
}

TEST(Chain, GivesNoSurroundingsOfWhatIsKeptOrIsNotInASlot) {
  ChainRig rig;
  Chain chain(rig.memory, rig.pool());
  EXPECT_EQ(chain.surroundings(0, 0, 0), nullptr);
  chain.append_static("text");
  EXPECT_EQ(chain.surroundings(4, 0, 0), nullptr);
  chain.clear();
  ASSERT_EQ(chain.append_copy("text"), "");
  chain.keep_consumed(true);
  EXPECT_EQ(chain.surroundings(4, 0, 0), nullptr);
}

TEST(Chain, KnowsWhatStandsAroundASliceOfASharedSlot) {
  ChainRig rig;
  Chain chain(rig.memory, rig.pool());
  std::string text = "5\r\nevent\r\nmore";
  SharedSlot shared([](SharedSlot&) {});
  shared.data = text.data();
  shared.size = static_cast<uint32_t>(text.size());
  shared.leases = 1;
  Lease lease = Lease::adopt(&shared);
  chain.append(lease, {text.data() + 3, 5});
  EXPECT_TRUE(chain.stands_between(5, "5\r\n", "\r\n"));
  EXPECT_TRUE(chain.stands_between(5, "", "\r\nmore"));
  EXPECT_FALSE(chain.stands_between(5, "5\r\n", "\r\n0\r\n")) << "others stand behind it";
  EXPECT_FALSE(chain.stands_between(5, "6\r\n", "\r\n")) << "others stand before it";
  EXPECT_FALSE(chain.stands_between(5, "15\r\n", "\r\n")) << "no room before it";
  EXPECT_FALSE(chain.stands_between(5, "5\r\n", "\r\nmore!")) << "no room after it";
  EXPECT_FALSE(chain.stands_between(4, "5\r\n", "t\r\n")) << "a byte of the slice is to come";
  chain.consume(1);
  EXPECT_FALSE(chain.stands_between(4, "5\r\n", "\r\n")) << "a part has left";
  chain.clear();
  Lease own = rig.slot("5\r\nevent\r\n");
  chain.append(own, {own.data() + 3, 5});
  EXPECT_FALSE(chain.stands_between(5, "5\r\n", "\r\n")) << "it may change";
}

TEST(Chain, CopiesDoNotGoOnInSurroundings) {
  ChainRig rig;
  Chain chain(rig.memory, rig.pool());
  ASSERT_EQ(chain.append_copy("text"), "");
  char* text = chain.surroundings(4, 0, 2);
  ASSERT_NE(text, nullptr);
  text[4] = '!';
  ASSERT_EQ(chain.append_copy("more"), "");
  EXPECT_EQ(text[4], '!');
  EXPECT_EQ(text_of(chain), "textmore");
}

TEST(ChainNodes, KeepsItsBlocks) {
  ChainNodes nodes;
  std::vector<ChainNode*> taken;
  for (int i = 0; i < 2000; ++i) taken.push_back(nodes.take());
  EXPECT_EQ(nodes.in_use(), 2000U);
  std::sort(taken.begin(), taken.end());
  EXPECT_EQ(std::unique(taken.begin(), taken.end()), taken.end()) << "handed out twice";
  ChainNode* last = taken.back();
  for (ChainNode* node : taken) nodes.give_back(node);
  EXPECT_EQ(nodes.in_use(), 0U);
  EXPECT_EQ(nodes.take(), last);
}

}  // namespace
}  // namespace sluice

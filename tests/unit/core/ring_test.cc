// The ring against the kernel that the tests run on.
#include "core/ring.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <netinet/in.h>
#include <numeric>
#include <poll.h>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/limits.h"
#include "core/socket.h"
#include "tests/unit/core/kernel_testing.h"

namespace sluice {
namespace {

using test::SocketPair;

constexpr uint64_t kSecond = 1'000'000'000;
constexpr uint16_t kGroup = 1;

// A ring, and slots of a group to receive into.
class RingTest : public testing::Test {
 protected:
  static constexpr uint32_t kSlotBytes = 16;

  void open(std::string_view disabled = "") {
    ring_ = test::make_ring(disabled);
    ASSERT_TRUE(ring_);
    ASSERT_TRUE(ring_->add_buffer_group(kGroup, 8));
  }
  void provide(uint16_t count) {
    for (uint16_t i = 0; i < count; ++i)
      ring_->provide_buffer(kGroup, slots_.data() + size_t{i} * kSlotBytes, kSlotBytes, i);
    ring_->publish_buffers(kGroup);
  }

  // The next `count` completions.
  std::vector<Completion> completions(size_t count) {
    std::vector<Completion> all(count);
    size_t got = 0;
    for (int turns = 0; turns < 100 && got < count; ++turns) {
      ring_->submit_and_wait(kSecond / 10);
      got += ring_->reap(std::span(all).subspan(got));
    }
    all.resize(got);
    EXPECT_EQ(got, count);
    return all;
  }
  Completion completion() {
    std::vector<Completion> one = completions(1);
    return one.empty() ? Completion{} : one[0];
  }
  void expect_silence() {
    std::array<Completion, 1> none{};
    ring_->submit_and_wait(0);
    EXPECT_EQ(ring_->reap(none), 0U);
  }
  std::string bytes_of(const Completion& completion) const {
    EXPECT_TRUE(completion.has_buffer());
    EXPECT_GT(completion.result, 0);
    return {slots_.data() + size_t{completion.buffer_id()} * kSlotBytes,
            static_cast<size_t>(std::max(completion.result, 0))};
  }
  bool multishot() const {
    return ring_->features().multishot_recv && ring_->features().recv_budget;
  }

  std::vector<char> slots_ = std::vector<char>(size_t{8} * kSlotBytes);
  SocketPair pair_;
  std::unique_ptr<Ring> ring_;
};

TEST(RingProbe, LeavesOffWhatIsDisabled) {
  for (const FeatureName& feature : kFeatureNames) {
    Features features = test::features_here(feature.name);
    EXPECT_FALSE(features.*feature.member) << feature.name;
    std::string error;
    EXPECT_TRUE(Ring::create(features, &error)) << feature.name << ": " << error;
  }
}

TEST(RingProbe, WorksWithEveryFeatureOff) {
  std::string all;
  for (const FeatureName& feature : kFeatureNames) all += std::string(feature.name) + ",";
  Features features = test::features_here(all);
  for (const FeatureName& feature : kFeatureNames) EXPECT_FALSE(features.*feature.member);
  std::string error;
  EXPECT_TRUE(Ring::create(features, &error)) << error;
}

TEST(RingProbe, KnowsWhatRestsOnWhat) {
  EXPECT_FALSE(test::features_here("single-issuer").defer_taskrun);
  EXPECT_FALSE(test::features_here("multishot-recv").recv_budget);
}

TEST_F(RingTest, TheWaitEndsAfterItsTime) {
  open();
  ring_->submit_and_wait(1'000'000);
  std::array<Completion, 1> none{};
  EXPECT_EQ(ring_->reap(none), 0U);
  EXPECT_EQ(ring_->counters().enters, 1U);
}

// A completion that is there does not end a gathering wait.
TEST_F(RingTest, AGatheringWaitGoesOnForItsTime) {
  for (const char* disabled : {"", "min-wait"}) {
    open(disabled);
    SocketPair pair;
    provide(8);
    pair.write("a");
    ring_->recv(pair.ours(), kGroup, 1, 1);
    auto begin = std::chrono::steady_clock::now();
    ring_->submit_and_wait(60 * kSecond, kSecond / 20);
    EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(50)) << disabled;
    std::array<Completion, 2> one{};
    EXPECT_EQ(ring_->reap(one), 1U) << disabled;
  }
}

// To the kernel a minimal wait of zero is none, and the wait for many would last.
TEST_F(RingTest, AGatheringWaitOfLessThanAMicrosecondIsAPlainWait) {
  for (const char* disabled : {"", "min-wait"}) {
    open(disabled);
    SocketPair pair;
    provide(8);
    pair.write("a");
    ring_->recv(pair.ours(), kGroup, 1, 1);
    auto begin = std::chrono::steady_clock::now();
    ring_->submit_and_wait(5 * kSecond, 999);
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5)) << disabled;
    std::array<Completion, 2> one{};
    EXPECT_EQ(ring_->reap(one), 1U) << disabled;
  }
}

TEST_F(RingTest, AGatheringWaitIsNoLongerThanTheTimeout) {
  for (const char* disabled : {"", "min-wait"}) {
    open(disabled);
    auto begin = std::chrono::steady_clock::now();
    ring_->submit_and_wait(kSecond / 100, 600 * kSecond);
    EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(10)) << disabled;
    expect_silence();
  }
}

TEST_F(RingTest, AMultishotReceiveEndsWithItsBudget) {
  open();
  if (!multishot()) GTEST_SKIP() << "this kernel has no receive budget";
  provide(8);
  ring_->recv(pair_.ours(), kGroup, 20, 7);
  pair_.write("first");
  Completion first = completion();
  EXPECT_EQ(first.id, 7U);
  EXPECT_EQ(bytes_of(first), "first");
  EXPECT_TRUE(first.more());
  // 15 bytes of budget are left: the slot that crosses it is the last one, and may be full.
  pair_.write("0123456789abcdefghij");
  Completion second = completion();
  EXPECT_EQ(bytes_of(second), "0123456789abcdef");
  EXPECT_FALSE(second.more());
  expect_silence();  // the rest stays in the socket until someone asks
  ring_->recv(pair_.ours(), kGroup, 20, 8);
  Completion third = completion();
  EXPECT_EQ(third.id, 8U);
  EXPECT_EQ(bytes_of(third), "ghij");
}

TEST_F(RingTest, AOneShotReceiveTakesOneSlot) {
  for (const char* disabled : {"recv-budget", "multishot-recv"}) {
    open(disabled);
    provide(8);
    ring_->recv(pair_.ours(), kGroup, 1000, 7);
    pair_.write("0123456789abcdefghij");
    Completion first = completion();
    EXPECT_EQ(bytes_of(first), "0123456789abcdef");
    EXPECT_FALSE(first.more());
    expect_silence();
    ring_->recv(pair_.ours(), kGroup, 1000, 8);
    EXPECT_EQ(bytes_of(completion()), "ghij");
  }
}

TEST_F(RingTest, AReceiveTellsTheEnd) {
  open();
  provide(8);
  ring_->recv(pair_.ours(), kGroup, 1000, 7);
  pair_.close_theirs();
  Completion end = completion();
  EXPECT_EQ(end.result, 0);
  EXPECT_FALSE(end.more());
}

TEST_F(RingTest, AnEmptyGroupEndsTheReceiveWhichMayBeArmedAgain) {
  for (const char* disabled : {"", "recv-budget"}) {
    open(disabled);
    pair_.write("waiting");
    ring_->recv(pair_.ours(), kGroup, 1000, 7);
    Completion refused = completion();
    EXPECT_EQ(refused.result, -ENOBUFS);
    EXPECT_FALSE(refused.more());
    EXPECT_FALSE(refused.has_buffer());
    provide(8);
    ring_->recv(pair_.ours(), kGroup, 1000, 8);
    EXPECT_EQ(bytes_of(completion()), "waiting");
  }
}

TEST_F(RingTest, UsesEachProvidedBufferOnce) {
  open();
  provide(2);
  std::set<uint16_t> ids;
  for (int i = 0; i < 2; ++i) {
    pair_.write("0123456789abcdef");
    ring_->recv(pair_.ours(), kGroup, 16, 7);
    Completion got = completion();
    EXPECT_EQ(bytes_of(got), "0123456789abcdef");
    ids.insert(got.buffer_id());
  }
  EXPECT_EQ(ids.size(), 2U);
  pair_.write("x");
  ring_->recv(pair_.ours(), kGroup, 16, 7);
  EXPECT_EQ(completion().result, -ENOBUFS);
}

TEST_F(RingTest, AnEmptiedGroupMayBeFilledAgain) {
  open();
  provide(8);
  ring_->recv(pair_.ours(), kGroup, 1000, 7);
  expect_silence();  // armed
  ASSERT_TRUE(ring_->reset_buffer_group(kGroup));
  provide(1);  // the receive that is armed finds the group's new ring
  pair_.write("0123456789abcdefgh");
  std::vector<Completion> got = completions(multishot() ? 2 : 1);
  ASSERT_FALSE(got.empty());
  EXPECT_EQ(bytes_of(got[0]), "0123456789abcdef");
  EXPECT_EQ(got[0].buffer_id(), 0);
  EXPECT_EQ(got.back().result, multishot() ? -ENOBUFS : 16) << "an old buffer was still there";
}

TEST_F(RingTest, CancelEndsAReceive) {
  open();
  provide(8);
  ring_->recv(pair_.ours(), kGroup, 1000, 7);
  expect_silence();
  ring_->cancel(7, 9);
  std::vector<Completion> both = completions(2);
  std::sort(both.begin(), both.end(), [](auto& a, auto& b) { return a.id < b.id; });
  EXPECT_EQ(both[0].result, -ECANCELED);
  EXPECT_FALSE(both[0].more());
  EXPECT_EQ(both[1].result, 0);
  ring_->cancel(7, 10);
  EXPECT_EQ(completion().result, -ENOENT);
}

TEST_F(RingTest, PollTellsAHangUp) {
  open();
  ring_->poll(pair_.ours(), POLLRDHUP, 7);
  expect_silence();
  pair_.close_theirs();
  EXPECT_NE(completion().result & POLLRDHUP, 0);
}

TEST_F(RingTest, SendsPiecesInOrder) {
  open();
  std::string one = "one,";
  std::string two = "two,";
  std::string three = "three";
  std::vector<iovec> pieces{
      {one.data(), one.size()}, {two.data(), two.size()}, {three.data(), three.size()}};
  ring_->send(pair_.ours(), pieces, false, 7);
  EXPECT_EQ(completion().result, 13);
  EXPECT_EQ(pair_.read(), "one,two,three");
  ring_->send(pair_.ours(), std::span(pieces).first(1), false, 8);
  EXPECT_EQ(completion().result, 4);
  EXPECT_EQ(pair_.read(), "one,");
}

// What is sent with more to come waits for the FIN, and leaves in the same segment.
TEST_F(RingTest, ASendMayWaitForTheFinThatFollows) {
  open();
  std::string error;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int listener =
      open_listener(reinterpret_cast<sockaddr*>(&address), sizeof(address), true, &error);
  ASSERT_GE(listener, 0) << error;
  socklen_t size = sizeof(address);
  ASSERT_EQ(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size), 0);
  int theirs = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(connect(theirs, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  int ours = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  ASSERT_GE(ours, 0);
  std::string text = "last";
  iovec piece{text.data(), text.size()};
  ring_->send(ours, {&piece, 1}, true, 7);
  EXPECT_EQ(completion().result, 4);
  std::array<char, 16> buffer{};
  EXPECT_EQ(recv(theirs, buffer.data(), buffer.size(), MSG_DONTWAIT), -1);
  shutdown_sending(ours);
  EXPECT_EQ(recv(theirs, buffer.data(), buffer.size(), 0), 4);
  EXPECT_EQ(recv(theirs, buffer.data(), buffer.size(), 0), 0);
  for (int fd : {theirs, ours, listener}) close(fd);
}

TEST_F(RingTest, ASendToNobodyIsAnErrorAndNoSignal) {
  open();
  pair_.close_theirs();
  std::string text = "text";
  std::vector<iovec> pieces(2, iovec{text.data(), text.size()});
  ring_->send(pair_.ours(), pieces, false, 7);
  EXPECT_EQ(completion().result, -EPIPE);
  ring_->send(pair_.ours(), std::span(pieces).first(1), false, 8);
  EXPECT_EQ(completion().result, -EPIPE);
}

TEST_F(RingTest, OneTurnMayHaveMorePiecesThanTheArena) {
  open();
  constexpr size_t kPieces = 128;
  constexpr size_t kSends = 2 * limits::kIovecArena / kPieces + 5;
  // The bytes tell which send and which piece they are of.
  std::vector<std::array<char, kPieces>> bytes(kSends);
  std::string expected;
  for (size_t send = 0; send < kSends; ++send) {
    std::vector<iovec> pieces;
    for (size_t i = 0; i < kPieces; ++i) {
      bytes[send][i] = static_cast<char>('!' + (send * 7 + i) % 90);
      pieces.push_back({&bytes[send][i], 1});
    }
    expected.append(bytes[send].data(), kPieces);
    ring_->send(pair_.ours(), pieces, false, send);  // gone: the ring has to have copied it
    pieces.assign(pieces.size(), iovec{nullptr, 0});
  }
  for (const Completion& sent : completions(kSends))
    ASSERT_EQ(sent.result, static_cast<int>(kPieces));
  EXPECT_EQ(pair_.read(), expected);
}

TEST_F(RingTest, OneTurnMayHaveMoreSubmissionsThanTheQueue) {
  open();
  constexpr uint64_t kCount = 2 * limits::kSqEntries + 100;
  std::string text = "x";
  std::vector<iovec> pieces{{text.data(), 1}};
  for (uint64_t id = 0; id < kCount; ++id) ring_->poll(pair_.ours(), POLLOUT, id);
  std::vector<Completion> all = completions(kCount);
  std::vector<bool> seen(kCount);
  for (const Completion& done : all) seen[done.id] = true;
  EXPECT_EQ(std::count(seen.begin(), seen.end(), true), static_cast<ptrdiff_t>(kCount));
  EXPECT_EQ(ring_->counters().submissions, kCount);
  EXPECT_EQ(ring_->counters().completions, kCount);
}

TEST_F(RingTest, NoCompletionIsLostWhenTheirQueueOverflows) {
  open();
  constexpr uint64_t kCount = limits::kCqEntries + 3 * limits::kSqEntries;
  for (uint64_t id = 0; id < kCount; ++id) ring_->poll(pair_.ours(), POLLOUT, id);
  std::vector<bool> seen(kCount);
  for (const Completion& done : completions(kCount)) seen[done.id] = true;
  EXPECT_EQ(std::count(seen.begin(), seen.end(), true), static_cast<ptrdiff_t>(kCount));
}

TEST_F(RingTest, ReapsNoMoreThanItIsGivenRoomFor) {
  open();
  for (uint64_t id = 0; id < 5; ++id) ring_->poll(pair_.ours(), POLLOUT, id);
  std::vector<uint64_t> ids;
  std::array<Completion, 2> few{};
  ring_->submit_and_wait(kSecond);
  for (size_t count = ring_->reap(few); count > 0; count = ring_->reap(few))
    for (size_t i = 0; i < count; ++i) ids.push_back(few[i].id);
  EXPECT_EQ(ids, (std::vector<uint64_t>{0, 1, 2, 3, 4}));
}

TEST_F(RingTest, RegistersAndForgetsMemory) {
  open();
  if (!ring_->features().fixed_buffers) GTEST_SKIP() << "no fixed buffers here";
  std::vector<char> memory(4096);
  EXPECT_TRUE(ring_->register_memory(3, memory.data(), memory.size()));
  EXPECT_TRUE(ring_->register_memory(3, nullptr, 0));
  EXPECT_FALSE(ring_->register_memory(Ring::kFixedBuffersMax, memory.data(), memory.size()));
}

}  // namespace
}  // namespace sluice

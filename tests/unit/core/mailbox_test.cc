#include "core/mailbox.h"

#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/core/kernel_testing.h"

namespace sluice {
namespace {

class MailboxTest : public testing::Test {
 protected:
  Mailbox mailbox_;  // outlives the ring, which reads into it
  std::unique_ptr<Ring> ring_ = test::make_ring();
  Loop loop_{*ring_};
};

TEST_F(MailboxTest, DeliversInTheOrderOfThePosts) {
  mailbox_.open(loop_);
  std::vector<int> got;
  for (int i = 0; i < 5; ++i) mailbox_.post([&got, i] { got.push_back(i); });
  test::turn_until(loop_, [&] { return got.size() == 5; });
  EXPECT_EQ(got, (std::vector<int>{0, 1, 2, 3, 4}));
}

TEST_F(MailboxTest, DeliversWhatWasPostedBeforeItListened) {
  bool got = false;
  mailbox_.post([&got] { got = true; });
  loop_.turn(false);
  EXPECT_FALSE(got);
  mailbox_.open(loop_);
  test::turn_until(loop_, [&got] { return got; });
}

TEST_F(MailboxTest, AMessageMayPostAnother) {
  mailbox_.open(loop_);
  int depth = 0;
  std::function<void()> again = [&] {
    if (++depth < 5) mailbox_.post(again);
  };
  mailbox_.post(again);
  test::turn_until(loop_, [&depth] { return depth == 5; });
}

TEST_F(MailboxTest, ThreadsPostToTheLoopsThread) {
  mailbox_.open(loop_);
  constexpr size_t kThreads = 4;
  constexpr size_t kMessages = 5000;
  std::vector<size_t> next(kThreads);  // the loop's thread alone touches it
  size_t received = 0;
  size_t out_of_order = 0;
  size_t elsewhere = 0;
  std::thread::id here = std::this_thread::get_id();
  std::vector<std::thread> threads;
  for (size_t sender = 0; sender < kThreads; ++sender)
    threads.emplace_back([&, sender] {
      for (size_t i = 0; i < kMessages; ++i)
        mailbox_.post([&, sender, i] {
          ++received;
          if (next[sender]++ != i) ++out_of_order;
          if (std::this_thread::get_id() != here) ++elsewhere;
        });
    });
  while (received < kThreads * kMessages) loop_.turn(true);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(out_of_order, 0U);
  EXPECT_EQ(elsewhere, 0U);
}

TEST_F(MailboxTest, FreesWhatWasNeverDelivered) {
  auto shared = std::make_shared<int>(1);
  {
    Mailbox closed;
    closed.post([shared] { FAIL() << "nobody listens"; });
    closed.post([shared] {});
    EXPECT_EQ(shared.use_count(), 3);
  }
  EXPECT_EQ(shared.use_count(), 1);
}

}  // namespace
}  // namespace sluice

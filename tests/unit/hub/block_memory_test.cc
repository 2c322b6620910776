#include "net/hub/block_memory.h"

#include <cstring>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace sluice {
namespace {

TEST(BlockMemory, WhatComesBackIsTakenAgain) {
  BlockMemory memory;
  void* first = memory.take(700);
  memory.give_back(first, 700);
  void* other = memory.take(300);
  EXPECT_EQ(memory.free_bytes(), 704U);
  void* again = memory.take(690);  // of the same step
  EXPECT_EQ(again, first);
  std::memset(again, 1, 704);
  EXPECT_EQ(memory.free_bytes(), 0U);
  memory.give_back(again, 690);
  memory.give_back(other, 300);
}

// A history that goes at once, by its age, is not kept.
TEST(BlockMemory, KeepsNoMoreThanItsBound) {
  constexpr size_t kBytes = 1024;
  BlockMemory memory;
  std::vector<void*> all(2 * limits::kHubFreeBlockBytes / kBytes);
  for (void*& one : all) one = memory.take(kBytes);
  for (void* one : all) memory.give_back(one, kBytes);
  memory.sort_returned();
  EXPECT_EQ(memory.free_bytes(), limits::kHubFreeBlockBytes);
  void* large = memory.take(100'000);
  memory.give_back(large, 100'000);
  memory.sort_returned();
  EXPECT_EQ(memory.free_bytes(), limits::kHubFreeBlockBytes);
}

// The home takes while other workers give back.
TEST(BlockMemory, ComesBackFromOtherThreads) {
  constexpr int kThreads = 3;
  constexpr int kRounds = 2000;
  BlockMemory memory;
  std::vector<std::vector<char*>> given(kThreads);
  for (int round = 0; round < kRounds / 100; ++round) {
    std::vector<std::thread> threads;
    for (std::vector<char*>& its : given) {
      for (int i = 0; i < 100; ++i) {
        its.push_back(static_cast<char*>(memory.take(200)));
        std::memset(its.back(), i, 200);
      }
      threads.emplace_back([&memory, &its] {
        for (char* one : its) memory.give_back(one, 200);
        its.clear();
      });
      // While those before give theirs back.
      memory.give_back(memory.take(200), 200);
    }
    for (std::thread& thread : threads) thread.join();
  }
  memory.sort_returned();
  EXPECT_LE(memory.free_bytes(), (kThreads * 100 + kThreads) * 256U);
}

}  // namespace
}  // namespace sluice

#include "core/record_ring.h"

#include <string>
#include <thread>

#include <gtest/gtest.h>

namespace sluice {
namespace {

bool put(RecordRing& ring, const std::string& text) {
  if (!ring.begin(text.size())) return false;
  size_t half = text.size() / 2;
  ring.write(text.data(), half);
  ring.write(text.data() + half, text.size() - half);
  ring.commit();
  return true;
}

std::string numbered(uint64_t i) {
  return std::to_string(i) + std::string(i * 7 % 40, 'x');
}

TEST(RecordRing, RecordsComeOutAsTheyWentIn) {
  RecordRing ring(64);
  std::string record;
  EXPECT_FALSE(ring.read(record));
  for (uint64_t i = 0; i < 1000; ++i) {  // around the end, at every offset
    ASSERT_TRUE(put(ring, numbered(i)));
    EXPECT_FALSE(ring.empty());
    ASSERT_TRUE(ring.read(record));
    EXPECT_EQ(record, numbered(i));
    EXPECT_TRUE(ring.empty());
  }
}

TEST(RecordRing, APartThatIsEmptyMayBeNowhere) {
  RecordRing ring(64);
  ASSERT_TRUE(ring.begin(2));
  ring.write(nullptr, 0);
  ring.write("ab", 2);
  ring.write(nullptr, 0);
  ring.commit();
  std::string record;
  ASSERT_TRUE(ring.read(record));
  EXPECT_EQ(record, "ab");
}

TEST(RecordRing, WhatHasNoRoomIsNotBegun) {
  RecordRing ring(64);
  EXPECT_TRUE(put(ring, std::string(30, 'a')));
  EXPECT_FALSE(put(ring, std::string(27, 'b')));
  EXPECT_TRUE(put(ring, std::string(26, 'c'))) << "with the size of each it is full";
  EXPECT_FALSE(put(ring, ""));
  std::string record;
  EXPECT_TRUE(ring.read(record) && record == std::string(30, 'a'));
  EXPECT_TRUE(put(ring, std::string(30, 'd')));
  EXPECT_TRUE(ring.read(record) && record == std::string(26, 'c'));
  EXPECT_TRUE(ring.read(record) && record == std::string(30, 'd'));
  EXPECT_FALSE(put(ring, std::string(61, 'e'))) << "never";
  EXPECT_TRUE(put(ring, std::string(60, 'f')));
}

TEST(RecordRing, NothingIsSeenBeforeItIsCommitted) {
  RecordRing ring(64);
  ASSERT_TRUE(ring.begin(3));
  ring.write("abc", 3);
  EXPECT_TRUE(ring.empty());
  ring.commit();
  EXPECT_FALSE(ring.empty());
}

TEST(RecordRing, TwoThreads) {
  constexpr uint64_t kRecords = 50'000;
  RecordRing ring(256);
  std::thread producer([&ring] {
    for (uint64_t i = 0; i < kRecords;) {
      if (put(ring, numbered(i)))
        ++i;
      else
        std::this_thread::yield();
    }
  });
  std::string record;
  for (uint64_t i = 0; i < kRecords;) {
    if (ring.read(record))
      ASSERT_EQ(record, numbered(i++));
    else
      std::this_thread::yield();
  }
  producer.join();
}

}  // namespace
}  // namespace sluice

#include "net/stream/clumps.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

struct Counted {
  Clumps clumps;
  Clumps::Counts counts{};

  void read(uint32_t events, uint32_t unsent = 0, bool sending = false, bool paced = false) {
    clumps.on_read(events, unsent, sending, paced, counts);
  }
  void expect(uint64_t upstream, uint64_t client, uint64_t gateway) const {
    EXPECT_EQ(counts, (Clumps::Counts{upstream, client, gateway}));
  }
};

TEST(Clumps, EventsThatComeAndLeaveAloneAreNone) {
  Counted counted;
  for (int i = 0; i < 3; ++i) counted.read(1);
  counted.read(0, 1);
  counted.expect(0, 0, 0);
}

TEST(Clumps, OneReadWithSeveralIsTheUpstreams) {
  Counted counted;
  counted.read(3);
  counted.expect(2, 0, 0);
}

TEST(Clumps, SeveralReadsBeforeASendAreOurs) {
  Counted counted;
  counted.read(1);
  counted.read(1, 1);
  counted.read(2, 2);
  counted.expect(1, 0, 2);
}

TEST(Clumps, PacedReadsAreOurs) {
  Counted counted;
  counted.read(4, 0, false, /*paced=*/true);
  counted.expect(0, 0, 3);
}

// The first that waits behind a send leaves alone, unless another joins it.
TEST(Clumps, EventsThatWaitBehindASendAreTheClients) {
  Counted counted;
  counted.read(1);
  counted.read(1, 1, /*sending=*/true);
  counted.expect(0, 0, 0);
  counted.read(1, 2, true);
  counted.read(1, 3, true);
  counted.expect(0, 2, 0);
}

TEST(Clumps, WhatWaitedBehindTheSendBeforeIsOnItsWay) {
  Counted counted;
  counted.read(1);
  counted.read(1, 1, true);
  counted.read(1, 0, true);  // that send has left, and taken the count of unsent ones with it
  counted.expect(0, 0, 0);
}

TEST(Clumps, AReadThatWasPutOffForTheClientIsTheClients) {
  Counted counted;
  counted.clumps.read_on_late();
  counted.read(5);
  counted.read(2);
  counted.expect(1, 4, 0);
}

}  // namespace
}  // namespace sluice

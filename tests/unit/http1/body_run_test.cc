#include "net/http1/body_run.h"

#include <gtest/gtest.h>

#include "tests/unit/pool/chain_testing.h"

namespace sluice::test {
namespace {

TEST(BodyRun, PutsThePiecesOfAReadTogether) {
  ChainRig rig;
  Lease lease = rig.slot("5;ab<framing>cd<framing>efgh");
  BodyRun body(lease);
  EXPECT_EQ(body.take(), "");
  body.on_body({lease.data() + 2, 2});
  body.on_body({lease.data() + 13, 2});
  body.on_body({lease.data() + 24, 2});
  std::string_view run = body.take();
  EXPECT_EQ(run, "abcdef");
  EXPECT_EQ(run.data(), lease.data() + 2) << "the first piece stays where it is";
  EXPECT_EQ(std::string(lease.data() + 26, 2), "gh") << "what has not been parsed yet";
}

TEST(BodyRun, BeginsAnewWhenItWasTaken) {
  ChainRig rig;
  Lease lease = rig.slot("ab--cd");
  BodyRun body(lease);
  body.on_body({lease.data(), 2});
  EXPECT_EQ(body.take(), "ab");
  body.on_body({lease.data() + 4, 2});
  EXPECT_EQ(body.take(), "cd");
  EXPECT_EQ(std::string(lease.data(), 6), "ab--cd");
}

}  // namespace
}  // namespace sluice::test

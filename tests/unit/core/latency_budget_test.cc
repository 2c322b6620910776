// The automatic budget against a model of a worker: what each event costs woken for at once and
// gathered, how loaded the worker is, how noisy its clock, and whether its peers wait for it. It
// must settle on the better way from wherever it starts.
#include "core/latency_budget.h"

#include <algorithm>
#include <optional>
#include <random>
#include <utility>

#include <gtest/gtest.h>

namespace sluice {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;

class Model {
 public:
  explicit Model(std::optional<uint64_t> fixed_ns = std::nullopt) : budget(fixed_ns) {}

  LatencyBudget budget;
  double busy_at_once = 0.7;   // the part of the core that this load takes, woken for at once
  double cost_gathered = 0.8;  // of an event, relative to that
  double bytes_gathered = 1;   // in the same time; less than 1 where peers wait for us
  double noise = 0;            // standard deviation of one sample's CPU time
  double bursts = 0;           // and of its bytes
  bool late = false;           // the first sample after a change is still of the way before
  unsigned switches = 0;
  double gathered_s = 0;  // time during which it did

  void run(double seconds) {
    auto samples = static_cast<unsigned>(seconds * 1e9 / double{LatencyBudget::kSampleNs});
    for (unsigned i = 0; i < samples; ++i) {
      bool gathers = budget.gather_ns(true) > 0;
      bool settled = budget.gathers();
      bool gathered = std::exchange(gathers_before_, gathers);
      bool as_gathered = late ? gathered : gathers;
      double bytes = 1e6 * (as_gathered ? bytes_gathered : 1) * factor(bursts);
      double cost = busy_at_once / 1e6 * (as_gathered ? cost_gathered : 1) * factor(noise);
      now_ns_ += LatencyBudget::kSampleNs;
      cpu_ns_ +=
          static_cast<uint64_t>(std::min(1.0, bytes * cost) * double{LatencyBudget::kSampleNs});
      bytes_ += static_cast<uint64_t>(bytes);
      EXPECT_TRUE(budget.sample_due(now_ns_));
      budget.sample(now_ns_, cpu_ns_, bytes_);
      EXPECT_FALSE(budget.sample_due(now_ns_ + LatencyBudget::kSampleNs - 1));
      switches += settled != budget.gathers() ? 1 : 0;
      gathered_s += gathers ? double{LatencyBudget::kSampleNs} / 1e9 : 0;
    }
  }
  void sleep(double seconds) {
    now_ns_ += static_cast<uint64_t>(seconds * 1e9);
    budget.sample(now_ns_, cpu_ns_, bytes_);
  }
  // Into that state, whatever the load that is to come.
  void settle_on(bool gathering) {
    double cost = std::exchange(cost_gathered, gathering ? 0.5 : 2);
    double bytes = std::exchange(bytes_gathered, 1);
    double busy = std::exchange(busy_at_once, 0.8);
    run(200);
    ASSERT_EQ(budget.gathers(), gathering);
    cost_gathered = cost;
    bytes_gathered = bytes;
    busy_at_once = busy;
    switches = 0;
    gathered_s = 0;
  }

 private:
  double factor(double deviation) {
    return deviation == 0 ? 1 : std::max(0.1, std::normal_distribution(1.0, deviation)(random_));
  }

  std::mt19937_64 random_{7};
  uint64_t now_ns_ = kSecond;
  uint64_t cpu_ns_ = kSecond;
  uint64_t bytes_ = 0;
  bool gathers_before_ = false;
};

TEST(LatencyBudget, IsNoneUnlessAskedFor) {
  Model model(0);
  model.run(10);
  EXPECT_EQ(model.budget.gather_ns(true), 0U);
}

TEST(LatencyBudget, OfATimeIsThatTimeWhereThereWasWork) {
  LatencyBudget budget(500'000);
  EXPECT_EQ(budget.gather_ns(true), 500'000U);
  EXPECT_EQ(budget.gather_ns(false), 0U);
}

TEST(LatencyBudget, AutomaticIsNothingBelowHalfACore) {
  Model model;
  EXPECT_EQ(model.budget.gather_ns(true), 0U) << "nothing is known yet";
  model.busy_at_once = 0.49;
  model.run(300);
  EXPECT_EQ(model.gathered_s, 0) << "it is not even tried";
}

TEST(LatencyBudget, AutomaticIsAllOrNothing) {
  Model model;
  model.settle_on(true);
  EXPECT_EQ(model.budget.gather_ns(true), LatencyBudget::kAutoNs);
  EXPECT_EQ(model.budget.gather_ns(false), 0U);
}

struct Load {
  const char* name;
  double busy_at_once;
  double cost_gathered;
  double bytes_gathered;
  bool gathering_is_better;
};

class AnyLoad : public testing::TestWithParam<Load> {};

INSTANTIATE_TEST_SUITE_P(Load, AnyLoad,
                         testing::Values(Load{"BusyAndItPays", 0.7, 0.8, 1, true},
                                         Load{"ItPaysAndTheCoreIsHalfIdleThen", 0.55, 0.65, 1,
                                              true},
                                         Load{"SaturatedAndItPays", 0.99, 0.75, 1, true},
                                         Load{"ItCostsMore", 0.7, 1.17, 1, false},
                                         Load{"ItCostsFarMore", 0.6, 1.5, 1, false},
                                         Load{"ItSavesNothing", 0.8, 1.0, 1, false},
                                         Load{"PeersWaitForUs", 0.99, 0.8, 0.6, false}),
                         [](const auto& load) { return load.param.name; });

TEST_P(AnyLoad, SettlesOnTheBetterWayFromEveryStartAndStaysThere) {
  const Load& load = GetParam();
  for (bool start : {false, true}) {
    for (double noise : {0.0, 0.05, 0.15}) {
      Model model;
      model.settle_on(start);
      model.busy_at_once = load.busy_at_once;
      model.cost_gathered = load.cost_gathered;
      model.bytes_gathered = load.bytes_gathered;
      model.noise = noise;
      model.bursts = noise;
      // The next trial may be a minute away, and noise may need another.
      model.run(200);
      EXPECT_EQ(model.budget.gathers(), load.gathering_is_better) << start << noise;
      EXPECT_EQ(model.switches, start == load.gathering_is_better ? 0U : 1U) << start << noise;
      model.switches = 0;
      model.gathered_s = 0;
      model.run(600);
      EXPECT_EQ(model.switches, 0U) << "it does not hesitate";
      double wrong = load.gathering_is_better ? 600 - model.gathered_s : model.gathered_s;
      EXPECT_LT(wrong, 600 * 0.02) << "trials are rare where they change nothing";
    }
  }
}

TEST(LatencyBudget, WhatAChangeHasNotReachedYetIsNotCounted) {
  Model model;
  model.cost_gathered = 0.91;  // just enough, without a sample of the other way in between
  model.late = true;
  model.run(200);
  EXPECT_TRUE(model.budget.gathers());
}

TEST(LatencyBudget, EndsWithTheLoad) {
  Model model;
  model.settle_on(true);
  model.busy_at_once = 0.2;
  model.run(1);
  EXPECT_FALSE(model.budget.gathers());
}

TEST(LatencyBudget, OneBusyMomentIsNotLoad) {
  Model model;
  model.busy_at_once = 1;
  model.run(0.02);
  EXPECT_EQ(model.gathered_s, 0);
}

TEST(LatencyBudget, ALongWaitIsForgottenAtOnceAndEndsATrial) {
  Model model;
  model.run(0.5);
  EXPECT_GT(model.gathered_s, 0) << "a trial is under way";
  model.sleep(100);
  EXPECT_LT(model.budget.busy(), 0.1);
  EXPECT_EQ(model.budget.gather_ns(true), 0U);
}

TEST(LatencyBudget, NothingMovedIsNoReason) {
  Model model;
  model.bytes_gathered = 0;
  model.run(30);
  EXPECT_FALSE(model.budget.gathers());
}

}  // namespace
}  // namespace sluice

// The choice within a group, with the board that workers choose by.
#include "net/upstream/balance.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/text.h"

namespace sluice {
namespace {

constexpr unsigned kWorkers = 2;

// A group of upstreams and workers that choose among them.
class Group {
 public:
  explicit Group(Balance balance, const std::vector<double>& weights) {
    route_.settings.balance = balance;
    board_.reserve(weights.size());
    for (uint32_t i = 0; i < weights.size(); ++i) {
      route_.upstreams.emplace_back();
      candidates_.push_back({.index = i,
                             .id = i,
                             .weight = weights[i],
                             .url_hash = hash_text("http://upstream-" + std::to_string(i))});
    }
  }

  // The worker begins a stream; its upstream.
  uint32_t begin(unsigned worker, std::optional<uint64_t> key = std::nullopt) {
    uint32_t index = balancers_[worker].pick(route_, candidates_, key, board_).index;
    board_.attempt_begun(worker, index);
    return index;
  }
  void end(unsigned worker, uint32_t index) { board_.attempt_ended(worker, index); }
  uint64_t outstanding(uint32_t index) const { return board_.outstanding(index); }
  std::vector<uint64_t> spread() const {
    std::vector<uint64_t> all;
    for (const Candidate& candidate : candidates_) all.push_back(board_.outstanding(candidate.id));
    return all;
  }
  std::vector<Candidate>& candidates() { return candidates_; }

 private:
  Route route_;
  UpstreamBoard board_;
  std::vector<Candidate> candidates_;
  std::array<Balancer, kWorkers> balancers_{Balancer(0), Balancer(1)};
};

using Spread = std::vector<uint64_t>;

// Streams of two workers that stay, as event streams do; one worker begins nine of ten.
Spread spread_of(Balance::Method method, const std::vector<double>& weights) {
  Group group({.method = method}, weights);
  for (unsigned i = 0; i < 10'000; ++i) group.begin(i % 10 == 0 ? 1 : 0);
  return group.spread();
}

TEST(Balance, TenThousandStreamsOfTwoWorkersSpreadEvenly) {
  EXPECT_EQ(spread_of(Balance::Method::kLeast, {1, 1, 1, 1}), Spread(4, 2500));
  EXPECT_EQ(spread_of(Balance::Method::kRoundRobin, {1, 1, 1, 1}), Spread(4, 2500));
  for (uint64_t count : spread_of(Balance::Method::kRandomTwo, {1, 1, 1, 1})) {
    EXPECT_GE(count, 2490U);
    EXPECT_LE(count, 2510U);
  }
}

TEST(Balance, WeightsAreShares) {
  EXPECT_EQ(spread_of(Balance::Method::kLeast, {1, 2, 3, 4}), (Spread{1000, 2000, 3000, 4000}));
  EXPECT_EQ(spread_of(Balance::Method::kRoundRobin, {1, 2, 3, 4}),
            (Spread{1000, 2000, 3000, 4000}));
}

// Streams of the other worker end: what comes next goes where they were.
TEST(Balance, TheLeastIsThatOfAllWorkers) {
  Group group({}, {1, 1, 1});
  unsigned ended = 0;
  for (unsigned i = 0; i < 30; ++i) {
    if (group.begin(1) == 1) ++ended;
  }
  ASSERT_EQ(group.spread(), Spread(3, 10));
  for (unsigned i = 0; i < ended; ++i) group.end(1, 1);
  for (unsigned i = 0; i < ended; ++i) EXPECT_EQ(group.begin(0), 1U);
}

TEST(Balance, TiesAreTakenInTurn) {
  Group group({}, {1, 1, 1});
  std::vector<uint32_t> order;
  for (unsigned i = 0; i < 6; ++i) {
    order.push_back(group.begin(0));
    group.end(0, order.back());
  }
  EXPECT_EQ(order, (std::vector<uint32_t>{0, 1, 2, 0, 1, 2}));
}

TEST(Balance, AHeavyUpstreamsTurnsLieBetweenThoseOfOthers) {
  Group group({.method = Balance::Method::kRoundRobin}, {5, 1, 1});
  std::string order;
  for (unsigned i = 0; i < 7; ++i) order += static_cast<char>('a' + group.begin(0));
  EXPECT_EQ(order, "aabacaa");
}

// --- hash ---

const Balance kHash{.method = Balance::Method::kHash, .key = Balance::Key::kClient};

// With nothing outstanding: where a key is at home.
uint32_t home(Group& group, unsigned worker, uint64_t key) {
  uint32_t index = group.begin(worker, key);
  group.end(worker, index);
  return index;
}

TEST(Balance, AHashIsTheSameOnAllWorkers) {
  Group group(kHash, {1, 1, 1, 1});
  std::map<uint32_t, int> homes;
  for (uint64_t key = 0; key < 1000; ++key) {
    uint32_t index = home(group, 0, mix(key));
    EXPECT_EQ(home(group, 1, mix(key)), index);
    ++homes[index];
  }
  for (const auto& [index, count] : homes) {
    EXPECT_GT(count, 190) << index;
    EXPECT_LT(count, 310) << index;
  }
}

// The group in another order and with other numbers, as a reload or a restart may have it.
TEST(Balance, AHashGoesByTheUrl) {
  Group group(kHash, {1, 1, 1, 1});
  Group other(kHash, {1, 1, 1, 1});
  for (uint32_t i = 0; i < 4; ++i)
    other.candidates()[i].url_hash = group.candidates()[3 - i].url_hash;
  for (uint64_t key = 0; key < 1000; ++key)
    EXPECT_EQ(home(other, 0, mix(key)), 3 - home(group, 0, mix(key)));
}

TEST(Balance, AnUpstreamThatGoesMovesItsOwnKeysOnly) {
  Group group(kHash, {1, 1, 1, 1});
  std::vector<uint32_t> before;
  for (uint64_t key = 0; key < 1000; ++key) before.push_back(home(group, 0, mix(key)));
  group.candidates().pop_back();
  std::set<uint32_t> heirs;
  for (uint64_t key = 0; key < 1000; ++key) {
    uint32_t now = home(group, 0, mix(key));
    if (before[key] == 3)
      heirs.insert(now);
    else
      EXPECT_EQ(now, before[key]);
  }
  EXPECT_EQ(heirs.size(), 3U) << "they are spread over all that are left";
}

// All streams have the same key.
TEST(Balance, AHashIsBoundedByTheMeanLoad) {
  Group group(kHash, {1, 1, 1, 1});
  for (uint64_t begun = 1; begun <= 1000; ++begun) {
    group.begin(begun % 2, 42);
    double bound = std::ceil(1.25 * static_cast<double>(begun) / 4);
    for (uint64_t count : group.spread()) EXPECT_LE(static_cast<double>(count), bound);
  }
  Spread spread = group.spread();
  EXPECT_EQ(*std::ranges::max_element(spread), 313U) << "the key's home has all that it may";
}

TEST(Balance, ARequestWithoutAKeyGoesToTheLeast) {
  Group group(kHash, {1, 1, 1});
  for (unsigned i = 0; i < 30; ++i) group.begin(0);
  EXPECT_EQ(group.spread(), Spread(3, 10));
}

}  // namespace
}  // namespace sluice

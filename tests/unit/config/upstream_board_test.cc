#include "net/config/upstream_board.h"

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "net/config/snapshot.h"

namespace sluice {
namespace {

TEST(StablePartsArray, ItemsStayWhereTheyAre) {
  StablePartsArray<uint32_t> array;
  EXPECT_EQ(array.find(0), nullptr);
  std::vector<uint32_t*> places;
  for (uint32_t i = 0; i < 100; ++i) {
    places.push_back(&array.at(i));
    EXPECT_EQ(*places.back(), 0U);
    *places.back() = i;
  }
  for (uint32_t i = 0; i < 100; ++i) {
    EXPECT_EQ(array.find(i), places[i]);
    EXPECT_EQ(*array.find(i), i);
  }
  EXPECT_EQ(array.find(1000), nullptr);
  EXPECT_EQ(array.find(UINT32_MAX), nullptr);
}

TEST(UpstreamBoard, AddsUpWhatAllWorkersHave) {
  UpstreamBoard board;
  board.reserve(100);
  EXPECT_EQ(board.outstanding(99), 0U);
  board.attempt_begun(0, 99);
  board.attempt_begun(1023, 99);
  board.attempt_begun(1023, 98);
  EXPECT_EQ(board.outstanding(99), 2U);
  EXPECT_EQ(board.outstanding(98), 1U);
  board.attempt_ended(0, 99);
  EXPECT_EQ(board.outstanding(99), 1U);
  EXPECT_EQ(board.outstanding(0), 0U);
}

TEST(UpstreamBoard, IsReadWhileWorkersWrite) {
  constexpr uint32_t kUpstreams = 70;
  UpstreamBoard board;
  board.reserve(kUpstreams);
  std::vector<std::thread> workers;
  std::atomic<unsigned> left{4};
  for (unsigned worker = 0; worker < 4; ++worker)
    workers.emplace_back([&, worker] {
      for (unsigned i = 0; i < 20'000; ++i) {
        board.attempt_begun(worker, i % kUpstreams);
        if (i % 2 == 0) board.attempt_ended(worker, i % kUpstreams);
      }
      --left;
    });
  uint64_t most = 0;
  while (left > 0)
    for (uint32_t id = 0; id < kUpstreams; ++id) most = std::max(most, board.outstanding(id));
  for (std::thread& worker : workers) worker.join();
  EXPECT_LE(most, 4U * 20'000 / kUpstreams + 4);
  uint64_t total = 0;
  for (uint32_t id = 0; id < kUpstreams; ++id) total += board.outstanding(id);
  EXPECT_EQ(total, 4U * 10'000);
}

TEST(UpstreamBoard, OutlivesReloads) {
  Config config;
  Route& route = config.routes.emplace_back();
  route.path = "/";
  route.upstreams = {{.url = "http://a", .host = {}, .address = {}},
                     {.url = "http://b", .host = {}, .address = {}}};
  auto first = std::make_unique<ConfigSnapshot>(config);
  first->board().attempt_begun(0, 1);
  first->board().health(1).drain(5);
  config.routes[0].upstreams = {{.url = "http://c", .host = {}, .address = {}},
                                {.url = "http://b", .host = {}, .address = {}}};
  ConfigSnapshot second(config, first.get());
  first.reset();
  uint32_t b = second.find_route("/")->upstreams[1].id;
  EXPECT_EQ(second.board().outstanding(b), 1U);
  EXPECT_EQ(second.board().health(b).state(6), UpstreamState::kDrained);
  EXPECT_EQ(second.board().health(2).state(6), UpstreamState::kClosed);
}

TEST(UpstreamPlaces, AreNeverMoreThanTheLimitWhoeverTakesThem) {
  UpstreamPlaces places;
  std::atomic<uint64_t> most_seen = 0;
  std::vector<std::thread> workers;
  for (unsigned worker = 0; worker < 4; ++worker)
    workers.emplace_back([&] {
      for (int i = 0; i < 20'000; ++i) {
        if (!places.take(3)) continue;
        uint64_t taken = places.taken;
        for (uint64_t seen = most_seen; seen < taken;)
          if (most_seen.compare_exchange_weak(seen, taken)) break;
        --places.taken;
      }
    });
  for (std::thread& worker : workers) worker.join();
  EXPECT_LE(most_seen, 3U);
  EXPECT_EQ(places.taken, 0U);
}

TEST(UpstreamPlaces, TheTurnIsTheOldest) {
  UpstreamPlaces places;
  places.claim(20);
  places.claim(30);
  EXPECT_EQ(places.turn, 20U);
  places.claim(10);
  EXPECT_EQ(places.turn, 10U);
  places.disclaim(20);
  EXPECT_EQ(places.turn, 10U) << "it was no longer that one's";
  places.disclaim(10);
  EXPECT_EQ(places.turn, 0U);
}

TEST(UpstreamHealth, SaysSinceWhen) {
  UpstreamHealth health;
  EXPECT_EQ(health.state(10), UpstreamState::kClosed);
  EXPECT_EQ(health.since_ms(10), 0U);
  health.drain(20);
  health.drain(25);
  EXPECT_EQ(health.state(30), UpstreamState::kDrained);
  EXPECT_EQ(health.since_ms(30), 20U) << "once is enough";
  health.undrain(40);
  health.undrain(45);
  EXPECT_EQ(health.state(50), UpstreamState::kClosed);
  EXPECT_EQ(health.since_ms(50), 40U);
  health.ejected_until_ms = 70;
  EXPECT_EQ(health.state(69), UpstreamState::kOpen);
  EXPECT_EQ(health.state(70), UpstreamState::kHalfOpen);
  EXPECT_EQ(health.since_ms(80), 70U);
  health.set_unhealthy(60);
  EXPECT_EQ(health.state(69), UpstreamState::kUnhealthy) << "ejected or not";
  EXPECT_EQ(health.since_ms(69), 60U);
  health.drain(75);
  EXPECT_EQ(health.state(80), UpstreamState::kDrained);
}

TEST(UpstreamHealth, AnEjectionEndsEarlyOnce) {
  UpstreamHealth health;
  EXPECT_FALSE(health.end_ejection_early(10)) << "there is none";
  health.ejected_until_ms = 70;
  EXPECT_TRUE(health.end_ejection_early(20));
  EXPECT_EQ(health.state(20), UpstreamState::kHalfOpen);
  EXPECT_FALSE(health.end_ejection_early(21)) << "it is over";
  EXPECT_EQ(health.ejected_until_ms, 20U);
}

// --- the pace of reconnects ---

constexpr uint64_t kLate = UINT64_MAX;

TEST(ReconnectPace, SpreadsThoseThatComeAtOnce) {
  UpstreamHealth upstream;
  for (uint64_t i = 0; i < 10; ++i)
    EXPECT_EQ(upstream.take_reconnect(100, 5000, kLate), 5000 + 10 * i);
  EXPECT_EQ(upstream.take_reconnect(100, 9000, kLate), 9000U) << "nothing is saved up or owed";
}

TEST(ReconnectPace, IsOffAtZero) {
  UpstreamHealth upstream;
  for (int i = 0; i < 10; ++i) EXPECT_EQ(upstream.take_reconnect(0, 5000, kLate), 5000U);
}

TEST(ReconnectPace, AReconnectThatComesTooLateTakesNoTurn) {
  UpstreamHealth upstream;
  for (int i = 0; i < 3; ++i) (void)upstream.take_reconnect(1, 5000, kLate);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(upstream.take_reconnect(1, 5000, 8000), 8000U);
  EXPECT_EQ(upstream.take_reconnect(1, 7000, kLate), 8000U);
}

TEST(ReconnectPace, IsOneForAllWorkers) {
  constexpr uint64_t kRate = 1'000'000;  // one a microsecond
  constexpr uint64_t kEach = 20'000;
  UpstreamHealth upstream;
  auto take_all = [&upstream] {
    for (uint64_t i = 0; i < kEach; ++i) (void)upstream.take_reconnect(kRate, 5000, kLate);
  };
  std::thread other(take_all);
  take_all();
  other.join();
  EXPECT_EQ(upstream.next_reconnect_us, 5'000'000 + 2 * kEach);
}

}  // namespace
}  // namespace sluice

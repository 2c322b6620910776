// The prober of a real gateway, asking real sockets: when it asks, what it makes of an answer, and
// who gets requests then. The clock is the test's.
#include "net/probe/prober.h"

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/gateway/gateway_testing.h"
#include "tests/unit/transport/conn_testing.h"

namespace sluice::test {
namespace {

using testing::HasSubstr;

constexpr const char* kGood = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
constexpr const char* kBad = "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n";
// The interval and its jitter.
constexpr uint64_t kIntervalMs = 5'000;
constexpr uint64_t kAtMostMs = kIntervalMs + kIntervalMs / 10;

class ProberTest : public testing::Test {
 protected:
  ProberTest() {
    StreamSettings& settings = config_.routes[0].settings;
    settings.health = "/up?full";
    settings.health_fail = 2;
    settings.health_pass = 2;
    settings.slow_start_ms = 0;
  }
  void start(unsigned worker = 0) {
    int listener = listen_on_loopback(&port_);
    rig_ = std::make_unique<GatewayRig>(config_, std::vector<int>{listener}, 1000, nullptr, worker);
  }
  void reload(const Config& config) {
    snapshot_ = std::make_shared<ConfigSnapshot>(config, &*rig_->gateway.context().snapshot);
    rig_->gateway.reload(snapshot_, {}, [] {});
    rig_->settle();
  }
  void add_upstreams(unsigned count) {
    for (; count > 0; --count) {
      others_.push_back(std::make_unique<Upstreams>());
      config_.routes[0].upstreams.push_back(
          config_to(others_.back()->port()).routes[0].upstreams[0]);
    }
  }
  const Prober& prober() const { return rig_->gateway.prober(); }
  UpstreamHealth& health(uint32_t id = 0) const {
    return rig_->gateway.context().snapshot->board().health(id);
  }
  UpstreamState state(uint32_t id = 0) const { return health(id).state(rig_->loop.now_ms()); }
  uint64_t failed(EjectReason reason) const {
    return health().probes.failed[static_cast<unsigned>(reason)];
  }
  // The next probe of the upstream, whose request has been read.
  Wire next_probe(const Upstreams& upstream, std::string* request = nullptr) {
    if (prober().under_way() == 0) rig_->pass(kAtMostMs);
    EXPECT_GT(prober().under_way(), 0U);
    rig_->settle();  // it connects
    Wire wire = upstream.accept();
    rig_->settle();
    std::string head = wire.receive_through("\r\n\r\n");
    if (request) *request = head;
    return wire;
  }
  void await_end_of_probes() {
    rig_->turn_until_true([this] { return prober().under_way() == 0; });
  }
  void answer_probe(const Upstreams& upstream, std::string_view with) {
    Wire wire = next_probe(upstream);
    wire.send(with);
    await_end_of_probes();
  }

  Upstreams upstream_;
  std::vector<std::unique_ptr<Upstreams>> others_;
  Config config_ = config_to(upstream_.port());
  uint16_t port_ = 0;
  std::shared_ptr<ConfigSnapshot> snapshot_;
  std::unique_ptr<GatewayRig> rig_;
};

TEST_F(ProberTest, AsksInPlainWordsAndCloses) {
  start();
  std::string request;
  Wire wire = next_probe(upstream_, &request);
  EXPECT_EQ(request,
            "GET /up?full HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(upstream_.port()) +
                "\r\nUser-Agent: sluice-health\r\nAccept: */*\r\nConnection: close\r\n\r\n");
  wire.send("HTTP/1.1 200 OK\r\n\r\n");
  await_end_of_probes();
  EXPECT_EQ(wire.await_end(), 0) << "the head is enough";
  EXPECT_EQ(health().probes.passed, 1U);
}

TEST_F(ProberTest, OnlyTheFirstWorkerAsks) {
  start(1);
  rig_->pass(10 * kAtMostMs);
  rig_->settle();
  EXPECT_EQ(prober().under_way(), 0U);
  EXPECT_EQ(health().probes.passed + failed(EjectReason::kTimeout), 0U);
}

TEST_F(ProberTest, KeepsToTheIntervalFromProbeToProbe) {
  start();
  answer_probe(upstream_, kGood);
  for (int i = 0; i < 20; ++i) {
    rig_->pass(kIntervalMs - kIntervalMs / 10 - 1);
    EXPECT_EQ(prober().under_way(), 0U) << "not before";
    rig_->pass(kIntervalMs / 5 + 1);
    ASSERT_EQ(prober().under_way(), 1U) << "and not after";
    answer_probe(upstream_, kGood);
  }
}

TEST_F(ProberTest, OneUpstreamHasOneProbeAtATime) {
  config_.routes[0].settings.health_timeout_ms = kMinuteMs;
  start();
  Wire wire = next_probe(upstream_);
  for (int i = 0; i < 5; ++i) {
    rig_->pass(kAtMostMs);
    EXPECT_EQ(prober().under_way(), 1U);
  }
  wire.send(kGood);
  rig_->turn_until_true([this] { return health().probes.passed == 1; });
  rig_->turn_until_true([this] { return prober().under_way() == 1; });
}

TEST_F(ProberTest, AllTogetherAreBounded) {
  add_upstreams(limits::kProbesMax + 3);
  start();
  rig_->pass(kIntervalMs);
  rig_->settle();
  EXPECT_EQ(prober().under_way(), limits::kProbesMax);
  // Those that waited are next, though nothing is due.
  rig_->pass(config_.routes[0].settings.health_timeout_ms);
  rig_->settle();
  EXPECT_EQ(prober().under_way(), 4U);
}

TEST_F(ProberTest, OneThatWaitsItsTurnIsForgottenWithItsCheck) {
  add_upstreams(limits::kProbesMax);
  start();
  rig_->pass(kIntervalMs);
  ASSERT_EQ(prober().under_way(), limits::kProbesMax);
  config_.routes[0].settings.health.clear();
  reload(config_);
  EXPECT_EQ(prober().under_way(), 0U);
}

struct Answer {
  const char* what;
  std::string bytes;
  bool closes;
  std::optional<EjectReason> failure;
};

class ProberAnswerTest : public ProberTest, public testing::WithParamInterface<Answer> {};

TEST_P(ProberAnswerTest, IsJudged) {
  start();
  Wire wire = next_probe(upstream_);
  wire.send(GetParam().bytes);
  if (GetParam().closes) wire.hang_up();
  await_end_of_probes();
  EXPECT_EQ(health().probes.passed, GetParam().failure ? 0U : 1U);
  EXPECT_EQ(health().probes.passed + failed(GetParam().failure.value_or(EjectReason::kStatus)), 1U);
}

std::string interim(unsigned times) {
  std::string text;
  while (times-- > 0) text += "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
  return text;
}

INSTANTIATE_TEST_SUITE_P(
    All, ProberAnswerTest,
    testing::Values(
        Answer{"good", kGood, false, {}}, Answer{"redirect", "HTTP/1.1 301 X\r\n\r\n", false, {}},
        Answer{"interim_first", interim(16) + kGood, false, {}},
        Answer{"http10", "HTTP/1.0 200 OK\r\n\r\nall is well", true, {}},
        Answer{"bad_status", kBad, false, EjectReason::kStatus},
        Answer{"not_found", "HTTP/1.1 404 X\r\n\r\n", false, EjectReason::kStatus},
        Answer{"closed", "", true, EjectReason::kBroken},
        Answer{"cut_within_the_head", "HTTP/1.1 200 OK\r\nA: b\r\n", true, EjectReason::kBroken},
        Answer{"only_interim", interim(1), true, EjectReason::kBroken},
        Answer{"too_many_interim", interim(17) + kGood, false, EjectReason::kBroken},
        Answer{"garbage", "220 smtp.example.org ESMTP\r\n\r\n", false, EjectReason::kBroken},
        Answer{"huge_head", "HTTP/1.1 200 OK\r\nA: " + std::string(20'000, 'a'), false,
               EjectReason::kBroken},
        Answer{"two_lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
               false, EjectReason::kBroken}),
    [](const auto& test) { return test.param.what; });

TEST_F(ProberTest, AnswersMayComeByteByByte) {
  start();
  Wire wire = next_probe(upstream_);
  for (char c : interim(1) + "HTTP/1.1 204 No\r\nA: b\r\n\r\n") {
    wire.send({&c, 1});
    rig_->loop.turn(false);
  }
  await_end_of_probes();
  EXPECT_EQ(health().probes.passed, 1U);
}

TEST_F(ProberTest, TheTimeoutBoundsTheWholeProbe) {
  start();
  Wire wire = next_probe(upstream_);
  wire.send("HTTP/1.1 200 OK\r\n");
  rig_->pass(config_.routes[0].settings.health_timeout_ms - 1);
  EXPECT_EQ(prober().under_way(), 1U);
  wire.send("A: b\r\n");
  rig_->settle();
  rig_->pass(1);
  await_end_of_probes();
  EXPECT_EQ(failed(EjectReason::kTimeout), 1U);
}

TEST_F(ProberTest, NobodyListens) {
  uint16_t port = 0;
  int held = listen_on_loopback(&port);
  close_socket(held);
  config_.routes[0].upstreams = config_to(port).routes[0].upstreams;
  start();
  rig_->pass(kIntervalMs);
  await_end_of_probes();
  EXPECT_EQ(failed(EjectReason::kConnect), 1U);
}

TEST_F(ProberTest, MemoryThatHasRunOutIsNoFaultOfTheUpstream) {
  start();
  rig_->memory_limit.bytes_max = rig_->memory_limit.bytes;  // no class grows
  std::array<int, 2> ends{};
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  Wire peer(ends[1]);
  ConnLog log;
  auto* hog = new TestConn(rig_->memory, {ends[0]}, log);  // deletes itself
  hog->keeps_leases = true;
  hog->grant(1 << 20);
  while (!rig_->http_message.exhausted()) {
    peer.send("x");
    rig_->loop.turn(false);
  }
  Wire wire = next_probe(upstream_);
  wire.send(kGood);
  rig_->settle();
  EXPECT_EQ(prober().under_way(), 1U) << "it cannot hear it";
  rig_->pass(config_.routes[0].settings.health_timeout_ms);
  await_end_of_probes();
  EXPECT_EQ(failed(EjectReason::kTimeout), 0U) << "nothing was learnt";
  hog->close(CloseMode::kOrderly);
  log.leases.clear();
  rig_->turn_until_true([&] { return log.deleted; });
  answer_probe(upstream_, kGood);
  EXPECT_EQ(health().probes.passed, 1U);
}

TEST_F(ProberTest, NorIsItThatThereIsNoSocket) {
  start();
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  int next_fd = dup(STDIN_FILENO);
  rlimit full{.rlim_cur = static_cast<rlim_t>(next_fd), .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &full), 0);
  close(next_fd);
  rig_->pass(kIntervalMs);
  EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(prober().under_way(), 0U);
  EXPECT_THAT(rig_->messages_so_far(), HasSubstr("no socket for a health probe"));
  EXPECT_EQ(failed(EjectReason::kConnect), 0U);
  answer_probe(upstream_, kGood);
  EXPECT_EQ(health().probes.passed, 1U) << "it goes on";
}

TEST_F(ProberTest, AnUpstreamWithoutAnAddressFails) {
  start();
  struct Nowhere final : ProbeTargets {
    std::optional<std::vector<Address>> addresses_to_probe(const Upstream&) override {
      return std::vector<Address>{};
    }
    std::unique_ptr<WireQueue> wire_to_probe(const Upstream&) override { return nullptr; }
    void probe_failed_at(const Upstream&, const Address&) override {}
  } nowhere;
  Prober unresolved(rig_->gateway.context(), nowhere);
  for (int i = 0; i < 4; ++i) rig_->pass(kAtMostMs);
  EXPECT_GE(failed(EjectReason::kConnect), 3U);
  EXPECT_EQ(state(), UpstreamState::kUnhealthy);
  EXPECT_EQ(unresolved.under_way(), 0U);
}

TEST_F(ProberTest, GatewaysDoNotProbeInStep) {
  std::vector<std::string> when;
  for (const char* instance : {"one", "one", "other"}) {
    config_.instance = instance;
    start();
    std::string due;
    for (uint64_t i = 0; i < kAtMostMs; i += 50) {
      due += prober().under_way() > 0 ? '1' : '0';
      rig_->pass(50);
    }
    when.push_back(due);
    rig_.reset();
  }
  EXPECT_EQ(when[0], when[1]);
  EXPECT_NE(when[0], when[2]);
}

TEST_F(ProberTest, NorIsItThatTheHeapHasNoRoomForAHead) {
  start();
  Wire wire = next_probe(upstream_);
  rig_->memory_limit.heap_max = 0;
  wire.send("HTTP/1.1 503 No\r\nA: b\r\n");
  await_end_of_probes();
  EXPECT_EQ(wire.await_end(), 0);
  EXPECT_EQ(failed(EjectReason::kBroken) + failed(EjectReason::kTimeout), 0U);
}

// --- what follows ---

TEST_F(ProberTest, LeavesOutWhoeverFailsAndTakesItBack) {
  start();
  answer_probe(upstream_, kBad);
  EXPECT_EQ(state(), UpstreamState::kClosed);
  answer_probe(upstream_, kBad);
  EXPECT_EQ(state(), UpstreamState::kUnhealthy);
  EXPECT_THAT(rig_->messages_so_far(), HasSubstr(config_.routes[0].upstreams[0].url +
                                                 " is left out, its probes fail: status 503"));
  answer_probe(upstream_, kGood);
  EXPECT_EQ(state(), UpstreamState::kUnhealthy);
  answer_probe(upstream_, kGood);
  EXPECT_EQ(state(), UpstreamState::kClosed);
}

TEST_F(ProberTest, AReloadWithoutTheCheckTakesItBack) {
  start();
  answer_probe(upstream_, kBad);
  answer_probe(upstream_, kBad);
  ASSERT_EQ(state(), UpstreamState::kUnhealthy);
  Wire wire = next_probe(upstream_);
  Config without = config_;
  without.routes[0].settings.health.clear();
  reload(without);
  EXPECT_EQ(state(), UpstreamState::kClosed);
  EXPECT_EQ(wire.await_end(), 0) << "the probe under way is of no interest";
  EXPECT_EQ(prober().under_way(), 0U);
  rig_->pass(10 * kAtMostMs);
  EXPECT_EQ(prober().under_way(), 0U);
  EXPECT_EQ(failed(EjectReason::kBroken) + failed(EjectReason::kTimeout), 0U);
  reload(config_);
  answer_probe(upstream_, kBad);
  EXPECT_EQ(state(), UpstreamState::kClosed) << "it begins anew";
}

TEST_F(ProberTest, AReloadWithAnotherQuestionAsksThat) {
  start();
  answer_probe(upstream_, kBad);
  Wire wire = next_probe(upstream_);
  Config other = config_;
  other.routes[0].settings.health = "/other";
  reload(other);
  wire.send(kBad);
  EXPECT_EQ(prober().under_way(), 0U);
  std::string request;
  next_probe(upstream_, &request).send(kBad);
  await_end_of_probes();
  EXPECT_THAT(request, HasSubstr("GET /other "));
  EXPECT_EQ(state(), UpstreamState::kClosed) << "one bad answer to each";
  answer_probe(upstream_, kBad);
  EXPECT_EQ(state(), UpstreamState::kUnhealthy);
}

TEST_F(ProberTest, AShorterIntervalIsTakenOverAtOnce) {
  config_.routes[0].settings.health_interval_ms = 60 * kMinuteMs;
  start();
  rig_->pass(60 * kMinuteMs);
  answer_probe(upstream_, kGood);
  Config quicker = config_;
  quicker.routes[0].settings.health_interval_ms = kIntervalMs;
  reload(quicker);
  rig_->pass(kAtMostMs);
  EXPECT_EQ(prober().under_way(), 1U);
}

TEST_F(ProberTest, AnOldConfigurationIsLetGo) {
  start();
  Wire wire = next_probe(upstream_);
  reload(config_);
  std::weak_ptr<ConfigSnapshot> former = std::exchange(snapshot_, nullptr);
  reload(config_);
  EXPECT_TRUE(former.expired());
  wire.send(kGood);
  await_end_of_probes();
  EXPECT_EQ(health().probes.passed, 1U) << "the same question";
}

TEST_F(ProberTest, ADrainEndsIt) {
  start();
  Wire wire = next_probe(upstream_);
  rig_->gateway.drain();
  rig_->settle();
  EXPECT_EQ(wire.await_end(), 0);
  EXPECT_EQ(prober().under_way(), 0U);
  reload(config_);
  rig_->pass(10 * kAtMostMs);
  EXPECT_EQ(prober().under_way(), 0U);
  EXPECT_EQ(failed(EjectReason::kBroken) + failed(EjectReason::kTimeout), 0U);
}

}  // namespace
}  // namespace sluice::test

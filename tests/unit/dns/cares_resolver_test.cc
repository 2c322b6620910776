// The resolver on a real ring, and a DNS server that answers rightly, wrongly or not at all.
#include "net/dns/cares_resolver.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/base/limits.h"
#include "tests/unit/core/kernel_testing.h"
#include "tests/unit/dns/dns_server.h"

namespace sluice {
namespace {

using test::DnsMessage;
using test::DnsServer;
using test::DnsType;
using testing::AnyOf;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::StrEq;
using enum DnsAnswer::Status;

struct Asker final : DnsAsker {
  void on_answer(DnsAnswer answer) override {
    ++answers;
    last = std::move(answer);
    if (then) then();
  }
  std::vector<std::string> ips() const {
    std::vector<std::string> all;
    for (const Address& address : last.addresses) all.push_back(address.ip());
    return all;
  }

  unsigned answers = 0;
  DnsAnswer last;
  std::function<void()> then;
};

class CaresResolverTest : public testing::Test {
 protected:
  ~CaresResolverTest() override {
    resolver_->close();
    turn_until([this] { return loop_.operations() == 0; });
    loop_.turn(false);
    EXPECT_EQ(loop_.counters().stale_completions, 0U);
  }
  // For longer than all tries of a look-up take.
  template <typename Condition>
  void turn_until(Condition condition) {
    auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!condition() && std::chrono::steady_clock::now() < deadline) {
      loop_.turn(false);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    ASSERT_TRUE(condition());
  }
  void serve(DnsServer::Answers answers) {
    server_ = std::make_unique<DnsServer>(std::move(answers));
    resolver_ = std::make_unique<CaresResolver>(loop_, std::vector<Address>{server_->address()});
  }
  DnsAnswer look_up(const std::string& name, IpFamily family = IpFamily::kV4) {
    unsigned before = asker_.answers;
    resolver_->ask(name, family, asker_);
    EXPECT_EQ(asker_.answers, before) << "not within the call";
    turn_until([&] { return asker_.answers > before; });
    return asker_.last;
  }

  std::unique_ptr<Ring> ring_ = test::make_ring();
  Loop loop_{*ring_};
  std::unique_ptr<DnsServer> server_;
  std::unique_ptr<CaresResolver> resolver_ =
      std::make_unique<CaresResolver>(loop_, std::vector<Address>{});
  Asker asker_;
};

TEST_F(CaresResolverTest, ANameHasAddressesOfEitherFamily) {
  serve([](const DnsMessage::Question& question) {
    DnsMessage message(question);
    if (question.type == DnsType::kA)
      return message.address("10.0.0.1").address("10.0.0.2").bytes();
    return message.address("fd00::1", 30).bytes();
  });
  EXPECT_EQ(look_up("a.test.").status, kFound);
  EXPECT_THAT(asker_.ips(), ElementsAre("10.0.0.1", "10.0.0.2"));
  EXPECT_EQ(asker_.last.ttl_ms, 60'000U);
  EXPECT_EQ(look_up("a.test.", IpFamily::kV6).status, kFound);
  EXPECT_THAT(asker_.ips(), ElementsAre("fd00::1"));
  EXPECT_EQ(asker_.last.ttl_ms, 30'000U);
}

TEST_F(CaresResolverTest, TheLeastTimeToLiveCountsThatOfAnAliasToo) {
  serve([](const DnsMessage::Question& question) {
    DnsMessage message(question);
    std::string alias = DnsMessage::name("b.test");
    message.add(DnsType::kCname, 7, alias);
    message.add(DnsType::kA, 300, std::string("\x0a\x00\x00\x01", 4), alias);
    return message.bytes();
  });
  EXPECT_EQ(look_up("a.test.").status, kFound);
  EXPECT_EQ(asker_.last.ttl_ms, 7'000U);
  EXPECT_THAT(asker_.ips(), ElementsAre("10.0.0.1"));
}

TEST_F(CaresResolverTest, NoSuchNameAndNoSuchAddressAreAnswers) {
  serve([](const DnsMessage::Question& question) {
    bool none = question.name == "none.test";
    return DnsMessage(question, none ? DnsMessage::kNxDomain : DnsMessage::kNoError).bytes();
  });
  DnsAnswer none = look_up("none.test.");
  EXPECT_EQ(none.status, kNone);
  EXPECT_STREQ(none.reason, "no_such_name");
  DnsAnswer empty = look_up("empty.test.");
  EXPECT_EQ(empty.status, kNone);
  EXPECT_STREQ(empty.reason, "no_address");
}

TEST_F(CaresResolverTest, AServerThatCannotTellIsNoAnswer) {
  serve([](const DnsMessage::Question& question) {
    bool fails = question.name == "fails.test";
    return DnsMessage(question, fails ? DnsMessage::kServFail : DnsMessage::kRefused).bytes();
  });
  EXPECT_EQ(look_up("fails.test.").status, kFailed);
  EXPECT_THAT(asker_.last.reason, AnyOf(StrEq("server_failure"), StrEq("refused")));
  EXPECT_EQ(look_up("refused.test.").status, kFailed);
}

TEST_F(CaresResolverTest, AServerThatSaysNothingIsGivenUpAfterItsTries) {
  serve([](const DnsMessage::Question&) { return std::optional<std::string>(); });
  DnsAnswer silent = look_up("a.test.");
  EXPECT_EQ(silent.status, kFailed);
  EXPECT_STREQ(silent.reason, "no_answer");
  EXPECT_EQ(server_->asked(), 2U);
}

TEST_F(CaresResolverTest, ALargeAnswerComesOverTcp) {
  serve([](const DnsMessage::Question& question) {
    DnsMessage message(question);
    if (!question.tcp) return message.truncated().bytes();
    for (int i = 1; i <= 100; ++i) message.address("10.0.1." + std::to_string(i));
    return message.bytes();
  });
  EXPECT_EQ(look_up("many.test.").status, kFound);
  EXPECT_EQ(asker_.last.addresses.size(), 100U);
}

// What is no answer to the question is passed over, and the right one behind it counts.
TEST_F(CaresResolverTest, ForgedAnswersAreNone) {
  serve([](const DnsMessage::Question& question) {
    std::string right = DnsMessage(question).address("10.0.0.1").bytes();
    if (question.name == "id.test") {
      std::string wrong = DnsMessage(question).address("10.6.6.6").bytes();
      wrong[0] = static_cast<char>(wrong[0] + 1);
      return wrong;
    }
    if (question.name == "other.test") {
      DnsMessage::Question other = question;
      other.section = DnsMessage::name("evil.test") + DnsMessage::number(1) + DnsMessage::number(1);
      return DnsMessage(other).address("10.6.6.6").bytes();
    }
    if (question.name == "loop.test")  // a name that points at itself
      return DnsMessage(question)
          .add(DnsType::kA, 60, std::string("\x0a\x06\x06\x06", 4), "\xc0\x1b")
          .bytes();
    if (question.name == "short.test") return right.substr(0, right.size() - 3);
    if (question.name == "long.test")
      return DnsMessage(question).add(DnsType::kA, 60, std::string(100, 'x')).bytes();
    if (question.name == "empty.test") return std::string();
    return right;
  });
  for (const char* name :
       {"id.test.", "other.test.", "loop.test.", "short.test.", "long.test.", "empty.test."}) {
    DnsAnswer answer = look_up(name);
    EXPECT_NE(answer.status, kFound) << name;
    EXPECT_THAT(asker_.ips(), IsEmpty()) << name;
  }
  EXPECT_EQ(look_up("right.test.").status, kFound);
}

TEST_F(CaresResolverTest, TheHostsFileCountsAndAsksNoServer) {
  serve([](const DnsMessage::Question& question) { return DnsMessage(question).bytes(); });
  EXPECT_EQ(look_up("localhost").status, kFound);
  EXPECT_THAT(asker_.ips(), ElementsAre("127.0.0.1"));
  EXPECT_EQ(asker_.last.ttl_ms, 0U);
  EXPECT_EQ(server_->asked(), 0U);
}

TEST_F(CaresResolverTest, ManyAreAskedAtOnce) {
  serve([](const DnsMessage::Question& question) {
    return DnsMessage(question)
        .address("10.0.0." + question.name.substr(1, question.name.find('.') - 1))
        .bytes();
  });
  std::vector<std::unique_ptr<Asker>> askers;
  for (int i = 0; i < 200; ++i) {
    askers.push_back(std::make_unique<Asker>());
    resolver_->ask("n" + std::to_string(i) + ".test.", IpFamily::kV4, *askers.back());
  }
  turn_until([&] {
    return std::ranges::all_of(askers, [](const auto& asker) { return asker->answers == 1; });
  });
  for (int i = 0; i < 200; ++i)
    EXPECT_THAT(askers[static_cast<size_t>(i)]->ips(), ElementsAre("10.0.0." + std::to_string(i)));
}

// More at once would be lost, or refused.
TEST_F(CaresResolverTest, OthersWaitWhereManyAreUnderWay) {
  std::atomic<bool> silent = true;
  serve([&silent](const DnsMessage::Question& question) -> std::optional<std::string> {
    if (silent) return std::nullopt;
    return DnsMessage(question).address("10.0.0.1").bytes();
  });
  std::vector<std::unique_ptr<Asker>> askers;
  for (int i = 0; i < 100; ++i) {
    askers.push_back(std::make_unique<Asker>());
    resolver_->ask("n" + std::to_string(i) + ".test.", IpFamily::kV4, *askers.back());
  }
  turn_until([this] { return server_->asked() == limits::kDnsQuestionsMax; });
  silent = false;
  turn_until([&] {
    return std::ranges::all_of(askers, [](const auto& asker) { return asker->answers == 1; });
  });
}

// Whoever pins a name wants no other answer, in no family.
TEST_F(CaresResolverTest, WhatStandsInTheHostsFileIsAskedOfNobody) {
  std::string path = testing::TempDir() + "sluice-resolver-hosts";
  std::ofstream(path) << "127.0.0.5 app.test\n";
  serve([](const DnsMessage::Question& question) {
    return DnsMessage(question).address("fd00::9").bytes();
  });
  resolver_ = std::make_unique<CaresResolver>(loop_, std::vector<Address>{server_->address()},
                                              path.c_str());
  EXPECT_EQ(look_up("app.test").status, kFound);
  EXPECT_THAT(asker_.ips(), ElementsAre("127.0.0.5"));
  EXPECT_EQ(look_up("app.test", IpFamily::kV6).status, kNone);
  EXPECT_EQ(server_->asked(), 0U);
  std::remove(path.c_str());
}

// As the system's own resolver does (resolv.conf(5)), whose search list LOCALDOMAIN replaces.
class SearchList : public CaresResolverTest {
 protected:
  SearchList() { setenv("LOCALDOMAIN", "broken.test good.test", 1); }
  ~SearchList() override { unsetenv("LOCALDOMAIN"); }

  // Which names were asked for, in order.
  void serve_and_note() {
    serve([this](const DnsMessage::Question& question) {
      std::lock_guard lock(mutex_);
      asked_.push_back(question.name);
      if (question.name.ends_with("broken.test"))
        return DnsMessage(question, DnsMessage::kServFail).bytes();
      if (question.name == "app.good.test") return DnsMessage(question).address("10.0.0.1").bytes();
      return DnsMessage(question, DnsMessage::kNxDomain).bytes();
    });
  }
  std::vector<std::string> asked() {
    std::lock_guard lock(mutex_);
    asked_.erase(std::unique(asked_.begin(), asked_.end()), asked_.end());  // tries
    return asked_;
  }

  std::mutex mutex_;
  std::vector<std::string> asked_;
};

TEST_F(SearchList, ADomainThatFailsDoesNotHideTheNext) {
  serve_and_note();
  EXPECT_EQ(look_up("app").status, kFound);
  EXPECT_THAT(asked(), ElementsAre("app.broken.test", "app.good.test"));
}

TEST_F(SearchList, WhatOneDomainCouldNotTellIsNotKnownToBeNone) {
  serve_and_note();
  EXPECT_EQ(look_up("none").status, kFailed);
  EXPECT_THAT(asked(), ElementsAre("none.broken.test", "none.good.test", "none"));
}

TEST_F(SearchList, ANameWithADotIsTriedAsItIsFirst) {
  serve_and_note();
  EXPECT_EQ(look_up("app.good.test").status, kFound);
  EXPECT_THAT(asked(), ElementsAre("app.good.test"));
  EXPECT_EQ(look_up("app.good").status, kFailed);
  EXPECT_THAT(asked(), ElementsAre("app.good.test", "app.good", "app.good.broken.test",
                                   "app.good.good.test"));
}

TEST_F(SearchList, AFinalDotSparesTheServersTheList) {
  serve_and_note();
  EXPECT_EQ(look_up("app.").status, kNone);
  EXPECT_THAT(asked(), ElementsAre("app"));
}

TEST_F(CaresResolverTest, AnAskerMayAskAgainWithinItsAnswer) {
  serve([](const DnsMessage::Question& question) {
    return DnsMessage(question).address("10.0.0.1").bytes();
  });
  asker_.then = [this] {
    if (asker_.answers < 3) resolver_->ask("a.test.", IpFamily::kV4, asker_);
  };
  look_up("a.test.");
  turn_until([this] { return asker_.answers == 3; });
}

TEST_F(CaresResolverTest, AnAskerThatHasForgottenIsNotTold) {
  serve([](const DnsMessage::Question& question) {
    return DnsMessage(question).address("10.0.0.1").bytes();
  });
  Asker other;
  Asker never;
  resolver_->ask("a.test.", IpFamily::kV4, other);
  resolver_->ask("b.test.", IpFamily::kV4, never);
  resolver_->forget(never);
  loop_.turn(false);
  resolver_->forget(other);
  look_up("c.test.");
  EXPECT_EQ(other.answers, 0U);
  EXPECT_EQ(never.answers, 0U);
}

// What it had asked is asked anew.
TEST_F(CaresResolverTest, AReloadLosesNoQuestion) {
  std::atomic<bool> silent = true;
  serve([&silent](const DnsMessage::Question& question) -> std::optional<std::string> {
    if (silent) return std::nullopt;
    return DnsMessage(question).address("10.0.0.1").bytes();
  });
  resolver_->ask("a.test.", IpFamily::kV4, asker_);
  turn_until([this] { return server_->asked() == 1; });
  silent = false;
  resolver_->reload();
  // Before the second try of the first one is due.
  for (int i = 0; i < 200 && asker_.answers == 0; ++i) {
    loop_.turn(false);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_EQ(server_->asked(), 2U);
  turn_until([this] { return asker_.answers == 1; });
  EXPECT_THAT(asker_.ips(), ElementsAre("10.0.0.1"));
}

TEST_F(CaresResolverTest, ClosedWithQuestionsUnderWayItLeavesNothing) {
  serve([](const DnsMessage::Question&) { return std::optional<std::string>(); });
  resolver_->ask("a.test.", IpFamily::kV4, asker_);
  turn_until([this] { return server_->asked() == 1; });
  resolver_->close();
  resolver_->ask("b.test.", IpFamily::kV4, asker_);
  turn_until([this] { return loop_.operations() == 0; });
  EXPECT_EQ(asker_.answers, 0U);
}

// No server is reached, and that is told.
TEST_F(CaresResolverTest, NobodyListensThere) {
  Address nobody = test::loopback(1);
  resolver_ = std::make_unique<CaresResolver>(loop_, std::vector<Address>{nobody});
  EXPECT_EQ(look_up("a.test.").status, kFailed);
}

}  // namespace
}  // namespace sluice

// Real sockets of this host: addresses that accept, that refuse, and that do not answer (a full
// backlog, so that the connect stays under way).
#include "net/transport/connect_race.h"

#include <cerrno>
#include <list>
#include <memory>
#include <string>
#include <sys/resource.h>
#include <sys/socket.h>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/socket.h"
#include "net/base/limits.h"
#include "tests/unit/core/kernel_testing.h"
#include "tests/unit/gateway/net_testing.h"

namespace sluice {
namespace {

using test::loopback;
using test::turn_until;
using testing::ElementsAre;
using testing::IsEmpty;

class ConnectRaceTest : public testing::Test, public ConnectRace::Owner {
 protected:
  ~ConnectRaceTest() override {
    race_.reset();
    turn_until(loop_, [this] { return loop_.operations() == 0; });
    if (fd_ >= 0) close_socket(fd_);
    for (int listener : listeners_) close_socket(listener);
    EXPECT_EQ(loop_.counters().stale_completions, 0U);
  }

  Address accepting() {
    uint16_t port = 0;
    listeners_.push_back(test::listen_on_loopback(&port));
    return loopback(port);
  }
  static Address refusing() {
    uint16_t port = 0;
    close_socket(test::listen_on_loopback(&port));
    return loopback(port);
  }
  Address silent() {
    Address address = accepting();
    listen(listeners_.back(), 0);
    backlogs_.push_back(test::Wire::connect_to(address.port()));
    return address;
  }
  void race(std::vector<Address> addresses) {
    race_ = std::make_unique<ConnectRace>(loop_, *this, std::move(addresses), SocketShape{});
    started_ = race_->start();
  }
  void await_end() {
    turn_until(loop_, [this] { return fd_ >= 0 || lost_; });
  }

  void on_race_won(int fd, const Address& to) override {
    fd_ = fd;
    winner_ = to.text();
    race_.reset();
  }
  void on_race_lost() override {
    lost_ = true;
    error_ = race_->error();
  }
  void on_address_failed(const Address& address) override { failed_.push_back(address.text()); }

  std::unique_ptr<Ring> ring_ = test::make_ring();
  Loop loop_{*ring_};
  std::vector<int> listeners_;
  std::list<test::Wire> backlogs_;
  std::unique_ptr<ConnectRace> race_;
  bool started_ = false;
  int fd_ = -1;
  bool lost_ = false;
  int error_ = 0;
  std::string winner_;
  std::vector<std::string> failed_;
};

TEST_F(ConnectRaceTest, TheFirstAddressThatAcceptsIsTheOne) {
  Address first = accepting();
  race({first, accepting()});
  EXPECT_TRUE(started_);
  await_end();
  EXPECT_EQ(winner_, first.text());
  EXPECT_THAT(failed_, IsEmpty());
  Address peer;
  peer.size = peer_address(fd_, &peer.storage);
  EXPECT_EQ(peer.text(), winner_);
}

TEST_F(ConnectRaceTest, ARefusalIsFollowedByTheNextAtOnce) {
  Address refuses = refusing();
  Address accepts = accepting();
  race({refuses, accepts});
  uint64_t began_ms = loop_.now_ms();
  await_end();
  EXPECT_EQ(winner_, accepts.text());
  EXPECT_THAT(failed_, ElementsAre(refuses.text()));
  EXPECT_EQ(ring_->counters().submissions, 2U) << "no timer was waited for, from " << began_ms;
}

TEST_F(ConnectRaceTest, SilenceIsFollowedByTheNextAfterAWhile) {
  Address quiet = silent();
  Address accepts = accepting();
  race({quiet, accepts});
  uint64_t began_ms = loop_.now_ms();
  await_end();
  EXPECT_EQ(winner_, accepts.text());
  EXPECT_THAT(failed_, ElementsAre(quiet.text())) << "it is slower than one that began later";
  EXPECT_GE(loop_.now_ms(), began_ms + limits::kConnectDelayMs);
}

TEST_F(ConnectRaceTest, ASlowOneMayStillWin) {
  Address slow = silent();
  Address quiet = silent();
  race({slow, quiet});
  turn_until(loop_, [this] { return loop_.operations() == 2; });
  // There is room in its backlog again, and the kernel sends its SYN once more.
  close_socket(accept_waiting(listeners_[0]));
  await_end();
  EXPECT_EQ(winner_, slow.text());
  EXPECT_THAT(failed_, IsEmpty());
}

TEST_F(ConnectRaceTest, WhereNoneAcceptsTheLastErrorIsTold) {
  race({refusing(), refusing(), refusing()});
  await_end();
  EXPECT_TRUE(lost_);
  EXPECT_EQ(error_, ECONNREFUSED);
  EXPECT_FALSE(race_->no_socket());
  EXPECT_EQ(failed_.size(), 3U);
}

TEST_F(ConnectRaceTest, AnOlderOneThatFailsDoesNotHurryTheOthers) {
  Address quiet = silent();
  Address refuses = refusing();
  Address accepts = accepting();
  race({quiet, refuses, accepts});
  await_end();
  EXPECT_EQ(winner_, accepts.text());
  EXPECT_THAT(failed_, ElementsAre(refuses.text(), quiet.text()));
}

TEST_F(ConnectRaceTest, NothingIsLeftOfOneThatIsGivenUp) {
  race({silent(), silent()});
  turn_until(loop_, [this] { return loop_.operations() == 2; });
  race_.reset();
  turn_until(loop_, [this] { return loop_.operations() == 0; });
  EXPECT_EQ(fd_, -1);
  EXPECT_THAT(failed_, IsEmpty());
}

TEST_F(ConnectRaceTest, GivenUpItTellsWhichHadTheirTime) {
  Address quiet = silent();
  Address late = silent();
  race({quiet, late});
  uint64_t began_ms = loop_.now_ms();
  race_->give_up();
  EXPECT_THAT(failed_, IsEmpty()) << "it has only begun";
  turn_until(loop_, [&] { return loop_.now_ms() >= began_ms + limits::kConnectDelayMs; });
  race_->give_up();
  EXPECT_THAT(failed_, ElementsAre(quiet.text()));
}

TEST_F(ConnectRaceTest, TheOldestGivesWayWhereManyAreUnderWay) {
  std::vector<Address> quiet;
  for (size_t i = 0; i < limits::kConnectsAtOnce + 1; ++i) quiet.push_back(silent());
  race(quiet);
  turn_until(loop_, [this] { return !failed_.empty(); });
  EXPECT_THAT(failed_, ElementsAre(quiet[0].text()));
  turn_until(loop_, [this] { return loop_.operations() == limits::kConnectsAtOnce; });
}

TEST_F(ConnectRaceTest, GivenUpInTheSameTurn) {
  race({accepting()});
  race_.reset();
  turn_until(loop_, [this] { return loop_.operations() == 0; });
  EXPECT_EQ(fd_, -1);
}

TEST_F(ConnectRaceTest, WithoutASocketItIsLostAtOnce) {
  Address accepts = accepting();
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  rlimit none = before;
  none.rlim_cur = 0;
  setrlimit(RLIMIT_NOFILE, &none);
  race({accepts, accepts});
  setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_FALSE(started_);
  EXPECT_TRUE(race_->lost());
  EXPECT_TRUE(race_->no_socket());
  EXPECT_EQ(race_->error(), EMFILE);
  EXPECT_THAT(failed_, IsEmpty()) << "which is no fault of the address";
}

}  // namespace
}  // namespace sluice

// The small server where the kernel refuses what it asks of epoll: a connection may be lost, the
// process and everybody else are not.
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/httpd/httpd.h"
#include "tests/unit/httpd/httpd_client.h"

namespace {

// How often, and with what, each of these system calls still fails.
struct Fault {
  std::atomic<int> times{0};
  std::atomic<int> error{0};

  void arm(int count, int with) {
    error = with;
    times = count;
  }
  bool strikes() {
    if (times == 0) return false;
    --times;
    errno = error;
    return true;
  }
};
Fault add_fails, modify_fails, pwait2_fails, wait_fails;

}  // namespace

// In place of glibc's.
extern "C" int epoll_ctl(int epoll, int op, int fd, epoll_event* event) noexcept {
  if (op == EPOLL_CTL_ADD && add_fails.strikes()) return -1;
  if (op == EPOLL_CTL_MOD && modify_fails.strikes()) return -1;
  return static_cast<int>(syscall(SYS_epoll_ctl, epoll, op, fd, event));
}
extern "C" int epoll_pwait2(int epoll, epoll_event* events, int most, const timespec* timeout,
                            const sigset_t*) {
  if (pwait2_fails.strikes()) return -1;
  return static_cast<int>(syscall(SYS_epoll_pwait2, epoll, events, most, timeout, nullptr, 0));
}
extern "C" int epoll_wait(int epoll, epoll_event* events, int most, int timeout_ms) {
  if (wait_fails.strikes()) return -1;
  return static_cast<int>(
      syscall(SYS_epoll_pwait, epoll, events, most, timeout_ms, nullptr, size_t{0}));
}

namespace sluice {
namespace {

using ::testing::EndsWith;

constexpr int kAlways = 1 << 30;

class HttpdEpollErrors : public ::testing::Test {
 protected:
  void start(const HttpdLimits& limits = {}) {
    server_ = std::make_unique<Httpd>(limits);
    server_->route("GET", "/later", [](const HttpdRequest&, HttpdResponder answer) {
      answer.after_ms(1, [answer] { answer.respond(200, "text/plain", "at last"); });
    });
    std::string error;
    ASSERT_EQ("", server_->start(*parse_address("127.0.0.1:0", &error), "httpd-test"));
  }
  ~HttpdEpollErrors() override {
    for (Fault* fault : {&add_fails, &modify_fails, &pwait2_fails, &wait_fails}) fault->times = 0;
  }

  void expect_service(HttpdClient& client) {
    client.send("GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_THAT(client.receive_response(), EndsWith("at last"));
  }
  void expect_service() {
    HttpdClient client(server_->address().port());
    expect_service(client);
  }

  std::unique_ptr<Httpd> server_;
};

TEST_F(HttpdEpollErrors, WhatCannotBeWatchedIsClosed) {
  start();
  HttpdClient before(server_->address().port());
  expect_service(before);
  for (Fault* fault : {&add_fails, &modify_fails}) {
    uint64_t dropped = server_->dropped();
    fault->arm(1, fault == &add_fails ? ENOSPC : ENOMEM);
    HttpdClient refused(server_->address().port());
    EXPECT_EQ("", refused.receive_to_close());
    EXPECT_EQ(dropped + 1, server_->dropped());
    expect_service();
    expect_service(before);
  }
}

TEST_F(HttpdEpollErrors, AListenerThatCouldNotBeWatchedIsTriedAgain) {
  start({.connections_max = 1});
  HttpdClient first(server_->address().port());
  expect_service(first);  // now the listener rests
  HttpdClient second(server_->address().port());
  modify_fails.arm(3, ENOMEM);
  first.leave();
  expect_service(second);
  EXPECT_EQ(0, modify_fails.times);
}

TEST_F(HttpdEpollErrors, AListenerThatCouldNotRestTakesNoMoreThanItMay) {
  start({.connections_max = 1});
  modify_fails.arm(kAlways, ENOMEM);  // the connection cannot be watched, the listener not rest
  HttpdClient refused(server_->address().port());
  EXPECT_EQ("", refused.receive_to_close());
  modify_fails.times = 0;
  expect_service();
}

TEST_F(HttpdEpollErrors, AWaitThatIsNotKnownIsDoneTheOldWay) {
  for (int error : {ENOSYS, EPERM}) {
    pwait2_fails.arm(kAlways, error);
    start();
    expect_service();
  }
}

TEST_F(HttpdEpollErrors, AWaitThatFailsIsDoneAgain) {
  pwait2_fails.arm(5, EINTR);
  start();
  expect_service();
  EXPECT_EQ(0, pwait2_fails.times);
  pwait2_fails.arm(kAlways, EBADF);
  wait_fails.arm(5, ENOMEM);
  expect_service();
  EXPECT_EQ(0, wait_fails.times);
}

TEST_F(HttpdEpollErrors, AtTheStartTheyAreSaid) {
  Httpd server;
  add_fails.arm(1, ENOSPC);
  std::string error;
  EXPECT_EQ("epoll_ctl: No space left on device",
            server.start(*parse_address("127.0.0.1:0", &error), "httpd-test"));
}

TEST_F(HttpdEpollErrors, FdsThatAreHeldBackServeWhereOthersHaveTakenAll) {
  start({.fds_held_back = 2});
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  rlimit few{.rlim_cur = 200, .rlim_max = before.rlim_max};
  setrlimit(RLIMIT_NOFILE, &few);
  std::vector<int> taken;
  for (int fd = eventfd(0, 0); fd >= 0; fd = eventfd(0, 0)) taken.push_back(fd);
  for (int i = 0; i < 2; ++i) {  // for the clients' own ends
    close(taken.back());
    taken.pop_back();
  }
  {
    HttpdClient first(server_->address().port());
    HttpdClient second(server_->address().port());
    expect_service(first);
    expect_service(second);
  }
  for (int fd : taken) close(fd);
  setrlimit(RLIMIT_NOFILE, &before);
}

}  // namespace
}  // namespace sluice

// The process from its first system call to its exit status: each test runs a server in a child
// process and reads what it says.
#include "net/process/server.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <poll.h>
#include <sched.h>
#include <string>
#include <sys/resource.h>
#include <sys/wait.h>
#include <system_error>
#include <thread>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/gateway/net_testing.h"
#include "tests/unit/httpd/httpd_client.h"

namespace sluice::test {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// For some seconds at most.
template <typename Condition>
bool comes_true(Condition condition) {
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

// What reading flags and file once more comes to.
ConfigResult again(const Config& config) {
  return {.config = std::make_shared<Config>(config), .message = ""};
}

class ServerProcess {
 public:
  // Applied in the child, before the server is made.
  using Prepare = void (*)();

  explicit ServerProcess(
      const Config& config, Prepare prepare = [] {}) {
    int fds[2];
    EXPECT_EQ(pipe2(fds, O_CLOEXEC), 0);
    child_ = fork();
    if (child_ == 0) {
      dup2(fds[1], STDERR_FILENO);
      prepare();
      int status =
          Server(std::make_shared<Config>(config), [&config] { return again(config); }).run();
      _exit(status);
    }
    close(fds[1]);
    said_fd_ = fds[0];
  }
  ~ServerProcess() {
    if (child_ > 0) {
      kill(child_, SIGKILL);
      waitpid(child_, nullptr, 0);
    }
    close(said_fd_);
  }
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  // What it has said, once `text` is among it.
  const std::string& said(std::string_view text) {
    while (said_.find(text) == std::string::npos) {
      if (hear()) continue;
      ADD_FAILURE() << "never said \"" << text << "\", only: " << said_;
      break;
    }
    return said_;
  }
  // The port in "listening on 127.0.0.1:PORT".
  uint16_t port_behind(std::string_view words) {
    std::string before(words);
    before += " 127.0.0.1:";
    size_t at = said("; scanner ").find(before);
    if (at == std::string::npos) {
      ADD_FAILURE() << "no port: " << said_;
      return 0;
    }
    return static_cast<uint16_t>(std::stoul(said_.substr(at + before.size())));
  }
  uint16_t port() { return port_behind("listening on"); }
  void signal(int number) const { kill(child_, number); }
  // Its exit status, and all that it has said by then.
  int wait() {
    while (hear()) {
    }
    int status = 0;
    EXPECT_EQ(waitpid(child_, &status, 0), child_);
    child_ = 0;
    EXPECT_TRUE(WIFEXITED(status)) << status;
    return WEXITSTATUS(status);
  }
  const std::string& all_said() const { return said_; }

 private:
  // False at its end, or where nothing comes for long.
  bool hear() {
    pollfd readable{said_fd_, POLLIN, 0};
    if (poll(&readable, 1, 20'000) != 1) return false;
    char buffer[4096];
    ssize_t n = read(said_fd_, buffer, sizeof(buffer));
    if (n > 0) said_.append(buffer, static_cast<size_t>(n));
    return n > 0;
  }

  pid_t child_ = 0;
  int said_fd_ = -1;
  std::string said_;
};

class ServerTest : public ::testing::Test {
 protected:
  ServerTest() {
    config_.listen.push_back(loopback(0));
    config_.admin = loopback(0);
    config_.threads = 2;
    config_.pin = false;
  }

  Upstreams upstreams_;
  Config config_ = config_to(upstreams_.port());
};

// --- start-up ---

TEST_F(ServerTest, SaysWhatItRunsOn) {
  ServerProcess server(config_);
  server.port();
  server.port_behind("admin on");
  EXPECT_THAT(server.said(" of slots a worker in "),
              AllOf(HasSubstr(": 2 workers; scanner "), HasSubstr("; io_uring with ")));
  server.signal(SIGTERM);
  EXPECT_EQ(server.wait(), 0);
}

TEST_F(ServerTest, HasAWorkerForEachCpuThatItMayUse) {
  cpu_set_t before;
  ASSERT_EQ(sched_getaffinity(0, sizeof(before), &before), 0);
  cpu_set_t one;
  CPU_ZERO(&one);
  for (size_t cpu = 0; CPU_COUNT(&one) == 0; ++cpu)
    if (CPU_ISSET(cpu, &before)) CPU_SET(cpu, &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
  config_.threads = 0;
  ServerProcess server(config_);
  EXPECT_EQ(sched_setaffinity(0, sizeof(before), &before), 0);
  EXPECT_THAT(server.said(" of slots a worker in "), HasSubstr(": 1 worker; scanner "));
  server.signal(SIGTERM);
  EXPECT_EQ(server.wait(), 0);
}

TEST_F(ServerTest, EveryWorkerListensOnThePortThatItSays) {
  ServerProcess server(config_);
  std::array<char, 32> listening{};
  std::snprintf(listening.data(), listening.size(), ":%04X 00000000:0000 0A", server.port());
  std::ifstream table("/proc/net/tcp");
  unsigned listeners = 0;
  for (std::string line; std::getline(table, line);)
    listeners += line.find(listening.data()) != line.npos ? 1 : 0;
  EXPECT_EQ(listeners, config_.threads);
  server.signal(SIGTERM);
  EXPECT_EQ(server.wait(), 0);
}

TEST_F(ServerTest, SaysWhichPortIsTaken) {
  uint16_t port = 0;
  int taken = listen_on_loopback(&port);
  config_.listen.push_back(loopback(port));
  ServerProcess server(config_);
  EXPECT_EQ(server.wait(), 1);
  EXPECT_THAT(server.all_said(), HasSubstr("sluice: --listen " + loopback(port).text() +
                                           ": Address already in use\n"));
  close_socket(taken);
}

TEST_F(ServerTest, SaysWhichAdminPortIsTakenAndNothingElseAtALowerLogLevel) {
  uint16_t port = 0;
  int taken = listen_on_loopback(&port);
  config_.admin = loopback(port);
  config_.log_level = LogLevel::kWarn;
  ServerProcess server(config_);
  EXPECT_EQ(server.wait(), 1);
  EXPECT_THAT(server.all_said(), AllOf(StartsWith("sluice: --admin " + loopback(port).text()),
                                       EndsWith("Address already in use\n")));
  EXPECT_EQ(std::count(server.all_said().begin(), server.all_said().end(), '\n'), 1);
  close_socket(taken);
}

TEST_F(ServerTest, SaysWhichScannerTheCpuLacks) {
  config_.simd = "mmx";
  ServerProcess server(config_);
  EXPECT_EQ(server.wait(), 1);
  EXPECT_EQ(server.all_said(),
            "sluice: --simd mmx is not supported by this CPU; use --simd auto\n");
}

TEST_F(ServerTest, SaysWhichLogCannotBeOpened) {
  config_.access_log = "/no/such/directory/access.log";
  ServerProcess server(config_);
  EXPECT_EQ(server.wait(), 1);
  EXPECT_THAT(server.all_said(), HasSubstr("/no/such/directory/access.log"));
}

TEST_F(ServerTest, SaysHowManyFdsItNeeds) {
  ServerProcess server(config_, [] {
    rlimit few{.rlim_cur = 30, .rlim_max = 30};
    setrlimit(RLIMIT_NOFILE, &few);
  });
  EXPECT_EQ(server.wait(), 1);
  EXPECT_THAT(server.all_said(),
              StartsWith("sluice: RLIMIT_NOFILE is 30, and 2 workers need at least "));
}

size_t open_fds() {
  namespace fs = std::filesystem;
  return static_cast<size_t>(
      std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator()));
}

// How many fds a start that fails leaves open, once the server is gone; -1: it does not come to an
// end, or does not fail.
int fds_left_by(
    const Config& config, ServerProcess::Prepare prepare = [] {}) {
  pid_t child = fork();
  if (child == 0) {
    prepare();
    size_t before = open_fds();
    try {
      if (Server(std::make_shared<Config>(config), [&config] { return again(config); }).run() != 1)
        _exit(255);
    } catch (const std::system_error&) {  // no thread: main() says so
    }
    _exit(static_cast<int>(open_fds() - before));
  }
  int status = 0;
  if (!comes_true([&] { return waitpid(child, &status, WNOHANG) == child; })) {
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    return -1;
  }
  return WIFEXITED(status) && WEXITSTATUS(status) != 255 ? WEXITSTATUS(status) : -1;
}

TEST_F(ServerTest, LeavesNothingOpenWhereALaterPortIsTaken) {
  uint16_t port = 0;
  int taken = listen_on_loopback(&port);
  config_.listen.push_back(loopback(port));
  EXPECT_EQ(fds_left_by(config_), 0);
  config_.demo = true;
  EXPECT_EQ(fds_left_by(config_), 0);
  close_socket(taken);
}

TEST_F(ServerTest, LeavesNothingOpenWhereTheAdminPortIsTaken) {
  uint16_t port = 0;
  int taken = listen_on_loopback(&port);
  config_.admin = loopback(port);
  EXPECT_EQ(fds_left_by(config_), 0);
  close_socket(taken);
}

TEST_F(ServerTest, LeavesNothingOpenWhereThereIsNoMemoryForAPool) {
  config_.pool_http_message = {uint64_t{1} << 31, uint64_t{1} << 31};
  EXPECT_EQ(fds_left_by(config_), 0);
}

// A user who may have `threads` threads, this one among them.
template <unsigned threads>
void allow_threads() {
  rlimit few{.rlim_cur = threads, .rlim_max = threads};
  setrlimit(RLIMIT_NPROC, &few);
  if (setuid(61'000 + threads) != 0) _exit(255);
}

TEST_F(ServerTest, ComesToAnEndWhereThereIsNoThreadForOneOfItsParts) {
  if (getuid() != 0) GTEST_SKIP() << "takes a user who has no other threads";
  EXPECT_EQ(fds_left_by(config_, allow_threads<1>), 0) << "of the first worker";
  EXPECT_EQ(fds_left_by(config_, allow_threads<2>), 0) << "of the second worker";
  EXPECT_EQ(fds_left_by(config_, allow_threads<3>), 0) << "of the admin port";
  EXPECT_EQ(fds_left_by(config_, allow_threads<4>), 0) << "of the log";
}

// --- serving ---

constexpr std::string_view kRequest = "GET /a HTTP/1.1\r\nhost: test\r\n\r\n";

TEST_F(ServerTest, ServesOnEveryAddress) {
  config_.listen.push_back(loopback(0));
  ServerProcess server(config_);
  std::string said = server.said("; scanner ");
  size_t second = said.rfind("listening on 127.0.0.1:");
  ASSERT_NE(second, said.find("listening on 127.0.0.1:"));
  for (uint16_t port : {server.port(), static_cast<uint16_t>(std::stoul(said.substr(
                                           second + std::strlen("listening on 127.0.0.1:"))))}) {
    Wire client = Wire::connect_to(port);
    client.send(kRequest);
    Wire upstream = upstreams_.accept();
    EXPECT_THAT(upstream.receive_through("\r\n\r\n"), StartsWith("GET /a HTTP/1.1\r\n"));
    upstream.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    EXPECT_THAT(client.receive_through("ok"), StartsWith("HTTP/1.1 200 "));
  }
}

TEST_F(ServerTest, BringsTheDemoAlong) {
  config_.demo = true;
  config_.routes[0].upstreams.clear();
  ServerProcess server(config_);
  Wire client = Wire::connect_to(server.port());
  client.send("GET /events?count=1 HTTP/1.1\r\nhost: test\r\n\r\n");
  EXPECT_THAT(client.receive_through("\r\n0\r\n\r\n"), HasSubstr("id: 1\n"));
}

TEST_F(ServerTest, NeedsNoAdminPort) {
  config_.admin_on = false;
  ServerProcess server(config_);
  EXPECT_THAT(server.said("; scanner "), Not(HasSubstr("admin on")));
  server.signal(SIGTERM);
  EXPECT_EQ(server.wait(), 0);
}

TEST_F(ServerTest, OpensItsAccessLogAnewWhenToldTo) {
  namespace fs = std::filesystem;
  fs::path log = fs::path(::testing::TempDir()) / ("sluice_log_" + std::to_string(getpid()));
  fs::path moved = log.string() + ".1";
  fs::remove(log);
  config_.access_log = log.string();
  ServerProcess server(config_);
  Wire client = Wire::connect_to(server.port());
  fs::rename(log, moved);
  server.signal(SIGUSR1);
  ASSERT_TRUE(comes_true([&log] { return fs::exists(log); }));
  client.send("GET /logged HTTP/1.1\r\nhost: test\r\nexpect: tea\r\n\r\n");
  client.receive_through("\r\n\r\n");
  client.hang_up();
  server.signal(SIGTERM);
  EXPECT_EQ(server.wait(), 0);
  std::ifstream lines(log);
  std::string line;
  std::getline(lines, line);
  EXPECT_THAT(line, HasSubstr("/logged"));
  fs::remove(log);
  fs::remove(moved);
}

// --- the end ---

class ServerEnd : public ServerTest {
 protected:
  // A stream whose first event has arrived.
  struct OpenStream {
    Wire client;
    Wire upstream;
  };
  OpenStream open_stream(uint16_t port) const {
    Wire client = Wire::connect_to(port);
    client.send(kRequest);
    Wire upstream = upstreams_.accept();
    upstream.receive_through("\r\n\r\n");
    upstream.send(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        "9\r\ndata: 1\n\n\r\n");
    client.receive_through("data: 1\n\n\r\n");
    return {std::move(client), std::move(upstream)};
  }
};

TEST_F(ServerEnd, FinishesStreamsAndSaysThatItIsNotReady) {
  for (int signal : {SIGTERM, SIGINT}) {
    ServerProcess server(config_);
    OpenStream stream = open_stream(server.port());
    server.signal(signal);
    uint16_t admin_port = server.port_behind("admin on");
    EXPECT_TRUE(comes_true([admin_port] {
      HttpdClient scraper(admin_port);
      scraper.send("GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n");
      return scraper.receive_response().starts_with("HTTP/1.1 503 ");
    }));
    stream.upstream.send("9\r\ndata: 2\n\n\r\n0\r\n\r\n");
    EXPECT_EQ(stream.client.receive_to_end(), "9\r\ndata: 2\n\n\r\n0\r\n\r\n");
    stream.client.hang_up();
    EXPECT_EQ(server.wait(), 0);
  }
}

TEST_F(ServerEnd, AbortsWhatTheGraceHasLeft) {
  config_.shutdown_grace_ms = 1;
  ServerProcess server(config_);
  OpenStream stream = open_stream(server.port());
  server.signal(SIGTERM);
  EXPECT_EQ(stream.client.receive_to_end(), "") << "a last chunk";
  EXPECT_EQ(server.wait(), 0);
}

TEST_F(ServerEnd, AbortsAtASecondSignal) {
  config_.shutdown_grace_ms = 3'600'000;
  ServerProcess server(config_);
  OpenStream stream = open_stream(server.port());
  server.signal(SIGTERM);
  server.said("draining");
  server.signal(SIGINT);
  EXPECT_EQ(stream.client.receive_to_end(), "") << "a last chunk";
  EXPECT_EQ(server.wait(), 0);
}

TEST_F(ServerEnd, EndsWhatIsBeingEndedAtASecondSignal) {
  config_.shutdown_grace_ms = 1;
  ServerProcess server(config_);
  OpenStream first = open_stream(server.port());
  OpenStream second = open_stream(server.port());
  server.signal(SIGTERM);
  server.said("draining");
  server.signal(SIGTERM);
  EXPECT_EQ(first.client.receive_to_end(), "");
  EXPECT_EQ(second.client.receive_to_end(), "");
  EXPECT_EQ(server.wait(), 0);
}

bool says_ready(uint16_t admin_port) {
  HttpdClient scraper(admin_port);
  scraper.send("GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n");
  return scraper.receive_response().starts_with("HTTP/1.1 200 ");
}

TEST_F(ServerEnd, ServesOnDuringTheDelayThoughItSaysThatItIsNotReady) {
  config_.shutdown_delay_ms = 3'600'000;
  ServerProcess server(config_);
  uint16_t port = server.port();
  uint16_t admin_port = server.port_behind("admin on");
  EXPECT_TRUE(says_ready(admin_port));
  OpenStream before = open_stream(port);
  server.signal(SIGTERM);
  server.said("sluice: not ready; draining in 1h\n");
  EXPECT_FALSE(says_ready(admin_port));
  OpenStream after = open_stream(port);
  // Who was told before that the connection stays is served on, and told then.
  before.upstream.send("9\r\ndata: 2\n\n\r\n0\r\n\r\n");
  before.client.receive_through("0\r\n\r\n");
  before.client.send(kRequest);
  before.upstream.receive_through("\r\n\r\n");
  before.upstream.send("HTTP/1.1 204 No Content\r\n\r\n");
  EXPECT_THAT(before.client.receive_through("\r\n\r\n"),
              AllOf(StartsWith("HTTP/1.1 204 "), HasSubstr("\r\nConnection: close\r\n")));
  after.upstream.send("9\r\ndata: 2\n\n\r\n0\r\n\r\n");
  EXPECT_THAT(after.client.receive_to_end(), EndsWith("0\r\n\r\n")) << "its head has told it";
  server.signal(SIGTERM);
  server.said("sluice: draining\n");
  EXPECT_EQ(server.wait(), 0);
}

TEST_F(ServerEnd, DrainsWhenTheDelayIsOver) {
  config_.shutdown_delay_ms = 1;
  ServerProcess server(config_);
  OpenStream stream = open_stream(server.port());
  server.signal(SIGTERM);
  server.said("sluice: draining\n");
  stream.upstream.send("9\r\ndata: 2\n\n\r\n0\r\n\r\n");
  EXPECT_EQ(stream.client.receive_to_end(), "9\r\ndata: 2\n\n\r\n0\r\n\r\n");
  stream.client.hang_up();
  EXPECT_EQ(server.wait(), 0);
}

TEST_F(ServerEnd, AbortsAtAThirdSignalWhereThereIsADelay) {
  config_.shutdown_delay_ms = 3'600'000;
  config_.shutdown_grace_ms = 3'600'000;
  ServerProcess server(config_);
  OpenStream stream = open_stream(server.port());
  server.signal(SIGTERM);
  server.said("draining in 1h");
  server.signal(SIGTERM);
  server.said("sluice: draining\n");
  server.signal(SIGTERM);
  EXPECT_EQ(stream.client.receive_to_end(), "") << "a last chunk";
  EXPECT_EQ(server.wait(), 0);
}

TEST_F(ServerEnd, AHangUpOfItsTerminalChangesNothing) {
  ServerProcess server(config_);
  OpenStream stream = open_stream(server.port());
  server.signal(SIGHUP);
  server.said("sluice: reloaded, generation 2: 1 route, 1 upstream, listening on 127.0.0.1:");
  stream.upstream.send("9\r\ndata: 2\n\n\r\n0\r\n\r\n");
  EXPECT_EQ(stream.client.receive_through("0\r\n\r\n"), "9\r\ndata: 2\n\n\r\n0\r\n\r\n");
  server.signal(SIGTERM);
  EXPECT_EQ(server.wait(), 0);
}

TEST_F(ServerEnd, RefusesWhoComesMeanwhile) {
  ServerProcess server(config_);
  uint16_t port = server.port();
  OpenStream stream = open_stream(port);
  server.signal(SIGTERM);
  EXPECT_TRUE(comes_true([port] {
    Address address = loopback(port);
    int fd = open_stream_socket(AF_INET);
    bool refused = ::connect(fd, address.sa(), address.size) != 0 && errno == ECONNREFUSED;
    close_socket(fd);
    return refused;
  }));
}

}  // namespace
}  // namespace sluice::test

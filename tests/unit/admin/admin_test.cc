#include "net/admin/admin.h"

#include <future>
#include <memory>
#include <string>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/gateway/net_testing.h"
#include "tests/unit/httpd/httpd_client.h"

namespace sluice::test {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::StartsWith;

// The admin port of two workers, the first of which has clients.
class AdminTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (unsigned i = 0; i < 2; ++i) {
      uint16_t port = 0;
      int listener = listen_on_loopback(&port);
      if (i == 0) port_ = port;
      workers_.push_back(std::make_unique<Worker>(Worker::Options{.index = i,
                                                                  .cpu = -1,
                                                                  .snapshot = snapshot_,
                                                                  .features = features_here(),
                                                                  .client_limit = &client_limit_,
                                                                  .sockets = {{"test", listener}},
                                                                  .log = &log_.add_queue()}));
      ASSERT_EQ(workers_.back()->start(), "");
    }
    for (auto& worker : workers_) ASSERT_EQ(worker->serve([] {}), "");
    start({});
  }
  // Anew, if it has been started before.
  void start(const Admin::Options& options) {
    admin_ = std::make_unique<Admin>(snapshot_, workers_, log_, options);
    ASSERT_EQ(admin_->start(), "");
  }
  void TearDown() override {
    admin_->stop();
    stop_workers();
  }
  void stop_workers() {
    for (auto& worker : workers_) {
      worker->post([](Gateway& gateway) { gateway.abort_all(); });
      worker->join();
    }
  }

  std::string fetch(std::string_view target, std::string_view fields = "",
                    std::string_view method = "GET", std::string_view host = "localhost") {
    HttpdClient client(admin_->address().port());
    std::string request(method);
    request.append(" ").append(target).append(" HTTP/1.1\r\nHost: ").append(host).append("\r\n");
    request.append(fields);
    client.send(request.append("\r\n"));
    return method == "HEAD" ? client.receive_through("\r\n\r\n") : client.receive_response();
  }

  Upstreams upstreams_;
  Config config_ = [this] {
    Config config = config_to(upstreams_.port());
    config.admin = loopback(0);
    config.admin_name = "admin.test";
    config.admin_hosts = {"sluice.test"};
    return config;
  }();
  std::shared_ptr<const ConfigSnapshot> snapshot_ = std::make_shared<ConfigSnapshot>(config_);
  ClientLimit client_limit_{200};
  LogWriter log_;
  uint16_t port_ = 0;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<Admin> admin_;
};

TEST_F(AdminTest, ShowsAPage) {
  EXPECT_THAT(fetch("/"), AllOf(StartsWith("HTTP/1.1 200 "), HasSubstr("Content-Type: text/html"),
                                HasSubstr("<title>sluice admin</title>"), EndsWith("</html>\n")));
}

TEST_F(AdminTest, AnswersEveryPathAlsoToAHead) {
  for (const char* path : {"/", "/metrics", "/streams", "/upstreams", "/healthz", "/readyz"})
    EXPECT_THAT(fetch(path, "", "HEAD"),
                AllOf(StartsWith("HTTP/1.1 200 "), HasSubstr("Content-Length: ")))
        << path;
}

TEST_F(AdminTest, RefusesOtherMethods) {
  for (const char* path : {"/", "/metrics", "/streams", "/upstreams", "/healthz", "/readyz"})
    EXPECT_THAT(fetch(path, "Content-Length: 0\r\n", "POST"),
                AllOf(StartsWith("HTTP/1.1 405 "), HasSubstr("\r\nAllow: GET, HEAD\r\n")))
        << path;
}

// --- upstreams ---

TEST_F(AdminTest, ListsUpstreams) {
  const Upstream& upstream = config_.routes[0].upstreams[0];
  EXPECT_THAT(fetch("/upstreams"),
              AllOf(StartsWith("HTTP/1.1 200 "), HasSubstr("Content-Type: application/json"),
                    HasSubstr("[{\"url\":\"" + upstream.url +
                              "\",\"state\":\"closed\",\"state_for_ms\":null,\"outstanding\":0"),
                    HasSubstr("\"routes\":[{\"path\":\"/\",\"weight\":1,\"backup\":false}]"),
                    EndsWith("\"last_ejections\":[],\"health\":null}]\n")));
}

TEST_F(AdminTest, DrainsAnUpstreamAndTakesItBack) {
  const std::string& url = config_.routes[0].upstreams[0].url;
  UpstreamHealth& health = snapshot_->board().health(0);
  EXPECT_THAT(fetch("/upstreams/drain?url=" + url, "Content-Length: 0\r\n", "POST"),
              AllOf(StartsWith("HTTP/1.1 200 "), HasSubstr("\"state\":\"drained\"")));
  EXPECT_TRUE(health.drained);
  EXPECT_THAT(fetch("/upstreams"), HasSubstr("\"state\":\"drained\",\"state_for_ms\":"));
  EXPECT_THAT(fetch("/metrics"), HasSubstr("\",state=\"drained\"} 1\n"));
  std::string encoded = "http%3A%2f%2F" + url.substr(7);
  EXPECT_THAT(fetch("/upstreams/undrain?url=" + encoded, "Content-Length: 0\r\n", "POST"),
              AllOf(StartsWith("HTTP/1.1 200 "), HasSubstr("\"state\":\"closed\"")));
  EXPECT_FALSE(health.drained);
}

TEST_F(AdminTest, RefusesOrdersThatNameNoUpstream) {
  auto status = [this](const std::string& target, const char* fields = "") {
    return fetch(target, std::string("Content-Length: 0\r\n") + fields, "POST").substr(9, 3);
  };
  for (const char* path : {"/upstreams/drain", "/upstreams/undrain"}) {
    EXPECT_EQ(status(path), "400");
    for (const char* url : {"%", "%4", "%4x", "http:%zz"})
      EXPECT_EQ(status(std::string(path) + "?url=" + url), "400") << url;
    EXPECT_EQ(status(std::string(path) + "?url=http://127.0.0.1:1"), "404");
    EXPECT_EQ(status(path + ("?url=" + config_.routes[0].upstreams[0].url), "Origin: http://x\r\n"),
              "403");
  }
  EXPECT_FALSE(snapshot_->board().health(0).drained);
}

TEST_F(AdminTest, KnowsNoOtherPaths) {
  for (const char* path : {"/metric", "/metrics/", "/streams/1", "//", "/healthz%20"})
    EXPECT_THAT(fetch(path), StartsWith("HTTP/1.1 404 ")) << path;
}

TEST_F(AdminTest, AnswersUnderItsOwnNamesOnly) {
  for (const char* path :
       {"/", "/metrics", "/streams", "/upstreams", "/healthz", "/readyz", "/nothing"})
    EXPECT_THAT(fetch(path, "", "GET", "rebound.test:9901"),
                AllOf(StartsWith("HTTP/1.1 421 Misdirected Request\r\n"),
                      HasSubstr("application/problem+json"), HasSubstr("--admin-host")))
        << path;
  for (const char* host : {"localhost:9901", "127.0.0.1", "admin.test", "Sluice.test:1"})
    EXPECT_THAT(fetch("/streams", "", "GET", host), StartsWith("HTTP/1.1 200 ")) << host;
}

TEST_F(AdminTest, IsHealthyAndReadyUntilItDrains) {
  EXPECT_THAT(fetch("/healthz"), AllOf(StartsWith("HTTP/1.1 200 "), EndsWith("\r\n\r\nok\n")));
  EXPECT_THAT(fetch("/readyz"), AllOf(StartsWith("HTTP/1.1 200 "), EndsWith("\r\n\r\nready\n")));
  admin_->set_draining();
  EXPECT_THAT(fetch("/healthz"), AllOf(StartsWith("HTTP/1.1 200 "), EndsWith("\r\n\r\nok\n")));
  EXPECT_THAT(fetch("/readyz"), AllOf(StartsWith("HTTP/1.1 503 "), EndsWith("\r\n\r\ndraining\n")));
}

TEST_F(AdminTest, RendersMetricsInTheFormatThatIsAskedFor) {
  constexpr const char* kOpenMetrics = "application/openmetrics-text";
  for (const char* accept : {"", "Accept: text/plain\r\n", "Accept: */*\r\n"})
    EXPECT_THAT(fetch("/metrics", accept),
                AllOf(StartsWith("HTTP/1.1 200 "), HasSubstr("\r\nContent-Type: text/plain;"),
                      Not(HasSubstr("# EOF"))))
        << accept;
  EXPECT_THAT(
      fetch("/metrics", "Accept: application/openmetrics-text; version=1.0.0,text/plain\r\n"),
      AllOf(StartsWith("HTTP/1.1 200 "),
            HasSubstr(std::string("\r\nContent-Type: ") + kOpenMetrics), EndsWith("# EOF\n")));
}

// The value of the sample that a line of the metrics begins with.
std::string sample(const std::string& metrics, const std::string& name) {
  size_t at = metrics.find("\n" + name + " ");
  if (at == std::string::npos) return "no " + name;
  at += name.size() + 2;
  return metrics.substr(at, metrics.find('\n', at) - at);
}

TEST_F(AdminTest, TellsOfTheProcess) {
  std::string metrics = fetch("/metrics");
  EXPECT_GT(std::stod(sample(metrics, "process_resident_memory_bytes")), 1'000'000.0);
  // At the least: two listeners, two rings, the admin port and its client.
  EXPECT_GE(std::stod(sample(metrics, "process_open_fds")), 6.0);
  EXPECT_EQ(sample(metrics, "sluice_draining"), "0");
  admin_->set_draining();
  EXPECT_EQ(sample(fetch("/metrics"), "sluice_draining"), "1");
}

TEST_F(AdminTest, ListsNoStreamsWhereThereAreNone) {
  EXPECT_THAT(fetch("/streams"),
              AllOf(StartsWith("HTTP/1.1 200 "),
                    HasSubstr("\r\nContent-Type: application/json\r\n"), EndsWith("\r\n\r\n[]\n")));
}

TEST_F(AdminTest, ListsStreamsAsJson) {
  Wire client = Wire::connect_to(port_);
  client.send("GET /a?\"b\\ HTTP/1.1\r\nhost: test\r\n\r\n");
  Wire upstream = upstreams_.accept();
  upstream.receive_through("\r\n\r\n");
  upstream.send(
      "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
      "9\r\ndata: 1\n\n\r\n");
  client.receive_through("data: 1\n\n");
  std::string response = fetch("/streams");
  std::string body = response.substr(response.find("\r\n\r\n") + 4);
  EXPECT_THAT(body,
              MatchesRegex("\\[\\{\"id\":[0-9]+,\"worker\":0,.*,\"age_ms\":[0-9]+,.*\\}\\]\n"));
  const std::string& url = config_.routes[0].upstreams[0].url;
  for (const std::string& member :
       {std::string(R"("route":"/")"), R"("upstream":")" + url + R"(")",
        std::string(R"("client":"127.0.0.1")"), std::string(R"("method":"GET")"),
        std::string(R"("target":"/a?***")"), std::string(R"("state":"streaming")"),
        std::string(R"("status":200)"), std::string(R"("events":1)"), std::string(R"("bytes":9)"),
        std::string(R"("window":8192)"), std::string(R"("held":0)"),
        std::string(R"("event_stream":true)"), std::string(R"("stalled":false)")})
    EXPECT_THAT(body, HasSubstr(member));
}

TEST_F(AdminTest, ListsTheStreamsOfAllWorkersBetweenCommas) {
  Wire one = Wire::connect_to(port_);
  Wire two = Wire::connect_to(port_);
  for (Wire* client : {&one, &two}) client->send("GET /a HTTP/1.1\r\nhost: test\r\n\r\n");
  Wire first = upstreams_.accept();
  Wire second = upstreams_.accept();
  first.receive_through("\r\n\r\n");
  second.receive_through("\r\n\r\n");
  EXPECT_THAT(fetch("/streams"),
              AllOf(HasSubstr("\r\n\r\n[{\"id\":"), HasSubstr("},\n{\"id\":"), EndsWith("}]\n")));
}

TEST_F(AdminTest, AnswersWithoutAWorkerThatHasStopped) {
  stop_workers();
  EXPECT_THAT(fetch("/metrics"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(fetch("/streams"), EndsWith("\r\n\r\n[]\n"));
}

// While it lives a worker does nothing else.
class Stuck {
 public:
  explicit Stuck(Worker& worker) {
    std::promise<void> begun;
    worker.post([&begun, end = end_.get_future().share()](Gateway&) {
      begun.set_value();
      end.wait();
    });
    begun.get_future().wait();
  }
  ~Stuck() { end_.set_value(); }
  Stuck(const Stuck&) = delete;
  Stuck& operator=(const Stuck&) = delete;

 private:
  std::promise<void> end_;
};

TEST_F(AdminTest, GivesUpAWorkerThatIsStuck) {
  start({.answer_within = std::chrono::milliseconds(50)});
  {
    Stuck stuck(*workers_[1]);
    for (int i = 0; i < 3; ++i)
      for (const char* path : {"/streams", "/metrics"})
        EXPECT_THAT(fetch(path), AllOf(StartsWith("HTTP/1.1 503 "), HasSubstr("\r\nRetry-After: 1"),
                                       HasSubstr("A worker did not answer in time.")));
  }
  for (const char* path : {"/streams", "/metrics"})
    while (!fetch(path).starts_with("HTTP/1.1 200 ")) {
    }
}

constexpr std::chrono::hours kForEver{10'000};

TEST_F(AdminTest, AnswersOthersWhileAWorkerIsStuck) {
  start({.answer_within = kForEver});
  HttpdClient metrics(admin_->address().port());
  HttpdClient streams(admin_->address().port());
  {
    Stuck stuck(*workers_[1]);
    metrics.send("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    streams.send("GET /streams HTTP/1.1\r\nHost: localhost\r\n\r\n");
    for (const char* path : {"/healthz", "/readyz", "/", "/healthz"})
      EXPECT_THAT(fetch(path), StartsWith("HTTP/1.1 200 ")) << path;
    EXPECT_FALSE(metrics.has_input() || streams.has_input());
  }
  EXPECT_THAT(metrics.receive_response(), HasSubstr("sluice_streams"));
  EXPECT_THAT(streams.receive_response(), EndsWith("[]\n"));
}

TEST_F(AdminTest, LetsFewWaitForTheWorkers) {
  start({.answer_within = kForEver});
  std::vector<std::unique_ptr<HttpdClient>> clients;
  size_t refused = 0;
  {
    Stuck stuck(*workers_[0]);
    for (int i = 0; i < 20; ++i) {
      HttpdClient& client =
          *clients.emplace_back(std::make_unique<HttpdClient>(admin_->address().port()));
      client.send("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
      fetch("/healthz");  // by then it has been read
      if (!client.has_input()) continue;
      EXPECT_THAT(client.receive_response(),
                  AllOf(StartsWith("HTTP/1.1 503 "), HasSubstr("\r\nRetry-After: 1\r\n")));
      ++refused;
      clients.pop_back();
    }
    EXPECT_EQ(refused, 12U);
    clients[0]->leave();  // its place is free
    fetch("/healthz");
    clients[0] = std::make_unique<HttpdClient>(admin_->address().port());
    clients[0]->send("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
  }
  for (auto& client : clients) EXPECT_THAT(client->receive_response(), StartsWith("HTTP/1.1 200 "));
}

// Clients and upstreams of the gateway may take every file descriptor that it does not hold back.
TEST_F(AdminTest, AnswersWhereOthersHaveTakenAllFds) {
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  rlimit few{.rlim_cur = 200, .rlim_max = before.rlim_max};
  setrlimit(RLIMIT_NOFILE, &few);
  std::vector<int> taken;
  for (int fd = eventfd(0, EFD_CLOEXEC); fd >= 0; fd = eventfd(0, EFD_CLOEXEC)) taken.push_back(fd);
  {
    std::vector<std::unique_ptr<HttpdClient>> clients;
    for (int i = 0; i < 4; ++i) {
      close(taken.back());  // for the client's own end
      taken.pop_back();
      HttpdClient& client =
          *clients.emplace_back(std::make_unique<HttpdClient>(admin_->address().port()));
      client.send("GET /streams HTTP/1.1\r\nHost: localhost\r\n\r\n");
      EXPECT_THAT(client.receive_response(), StartsWith("HTTP/1.1 200 ")) << i;
    }
  }
  for (int fd : taken) close(fd);
  setrlimit(RLIMIT_NOFILE, &before);
}

TEST_F(AdminTest, TakesNoLargeBody) {
  EXPECT_THAT(fetch("/metrics", "Content-Length: 5000\r\n"), StartsWith("HTTP/1.1 413 "));
}

TEST_F(AdminTest, SaysWhyItCannotStart) {
  config_.admin = admin_->address();
  Admin second(std::make_shared<ConfigSnapshot>(config_), workers_, log_, {});
  EXPECT_THAT(second.start(), HasSubstr(admin_->address().text() + ": Address already in use"));
}

}  // namespace
}  // namespace sluice::test

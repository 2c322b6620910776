#include "net/observe/access_log.h"

#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/clock.h"
#include "core/log.h"
#include "net/context/metrics.h"
#include "tests/unit/gateway/net_testing.h"

namespace sluice {
namespace {

using test::TestWorker;
using test::Upstreams;
using test::Wire;
using testing::MatchesRegex;

class AccessLogTest : public testing::Test {
 protected:
  void start(AccessLogFormat format, bool log_query = false) {
    Config config = test::config_to(upstreams_.port());
    config.access_log = "-";
    config.access_log_format = format;
    config.log_query = log_query;
    worker_ = std::make_unique<TestWorker>(std::move(config));
  }

  // A request that is answered with two events.
  void exchange() {
    Wire client = worker_->connect();
    client.send(
        "POST /v1/chat?x=\"1\" HTTP/1.1\r\nhost: test\r\nuser-agent: curl/8\r\ncontent-length: "
        "5\r\n\r\nhello");
    Wire upstream = upstreams_.accept();
    upstream.receive_through("hello");
    upstream.send(
        "HTTP/1.1 201 Created\r\ncontent-type: text/event-stream\r\n\r\n"
        "data: 1\n\ndata: 2\n\n");
    upstream.hang_up();
    client.receive_through("0\r\n\r\n");
    await_end();
  }
  void refusal(std::string_view bytes) {
    Wire client = worker_->connect();
    client.send(bytes);
    client.receive_through("\r\n\r\n");
    await_end();
  }
  void await_end() {
    for (int i = 0; i < 1000; ++i)
      if (worker_->ask([](Gateway& gateway) { return gateway.metrics().streams_ended; }) > 0)
        return;
    FAIL() << "the stream has not ended";
  }
  std::string lines() {
    worker_->stop();
    return worker_->access_lines();
  }
  std::string upstream_url() const {
    return "http://127\\.0\\.0\\.1:" + std::to_string(upstreams_.port());
  }

  const std::string time_ = "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\\.[0-9]{3}Z";
  const std::string ms_ = "[0-9]+\\.[0-9]{3}";
  Upstreams upstreams_;
  std::unique_ptr<TestWorker> worker_;
};

TEST_F(AccessLogTest, WritesTextLines) {
  start(AccessLogFormat::kText);
  exchange();
  EXPECT_THAT(
      lines(),
      MatchesRegex(time_ + " 127\\.0\\.0\\.1 \"POST /v1/chat\\?\\*\\*\\* HTTP/1\\.1\" 201 " +
                   "in=5 out=18 events=2 first_event_ms=" + ms_ + " time_ms=" + ms_ +
                   " upstream=" + upstream_url() +
                   " request_id=0-403 host=test agent=\"curl/8\" ending=complete\n"));
}

TEST_F(AccessLogTest, BeginsWithTheTimeOfTheRequest) {
  for (AccessLogFormat format : {AccessLogFormat::kText, AccessLogFormat::kJson}) {
    start(format);
    std::string before;
    append_timestamp(before, wall_clock_ms() - 1000);
    exchange();
    std::string after;
    append_timestamp(after, wall_clock_ms() + 1000);
    std::string_view key = format == AccessLogFormat::kJson ? "{\"time\":\"" : "";
    std::string time = lines().substr(key.size(), before.size());
    EXPECT_GT(time, before);
    EXPECT_LT(time, after);
  }
}

TEST_F(AccessLogTest, ShowsAQueryOnlyWhereItMayBeShown) {
  for (bool log_query : {false, true}) {
    for (AccessLogFormat format : {AccessLogFormat::kText, AccessLogFormat::kJson}) {
      start(format, log_query);
      exchange();
      std::string text = lines();
      EXPECT_EQ(text.find("x=") != std::string::npos, log_query) << text;
      EXPECT_EQ(text.find("/v1/chat?***") != std::string::npos, !log_query) << text;
    }
  }
}

TEST_F(AccessLogTest, CutsALongTargetAndHidesItsQuery) {
  start(AccessLogFormat::kJson);
  std::string path = "/" + std::string(limits::kLoggedTargetBytes, 'p');
  refusal("GET " + path + "?secret HTTP/1.1\r\nhost: test\r\nupgrade: websocket\r\n\r\n");
  EXPECT_THAT(lines(), testing::HasSubstr("\"target\":\"" +
                                          path.substr(0, limits::kLoggedTargetBytes) + "\""));
}

TEST_F(AccessLogTest, WritesJsonLines) {
  start(AccessLogFormat::kJson, /*log_query=*/true);
  exchange();
  EXPECT_THAT(
      lines(),
      MatchesRegex("\\{\"time\":\"" + time_ + "\",\"id\":[0-9]+,\"request_id\":\"0-403\"," +
                   "\"client\":\"127\\.0\\.0\\.1\"," +
                   "\"method\":\"POST\",\"target\":\"/v1/"
                   "chat\\?x=\\\\\"1\\\\\"\",\"protocol\":\"HTTP/1\\.1\"," +
                   "\"host\":\"test\",\"user_agent\":\"curl/8\",\"route\":\"/\",\"upstream\":\"" +
                   upstream_url() + "\"," +
                   "\"status\":201,\"bytes_in\":5,\"bytes_out\":18,\"events\":2," +
                   "\"first_event_ms\":" + ms_ + ",\"time_ms\":" + ms_ +
                   ",\"ending\":\"complete\",\"side\":\"none\"\\}\n"));
}

TEST_F(AccessLogTest, ShowsWhatIsNotKnownAsADash) {
  start(AccessLogFormat::kText);
  refusal("\x16\x03\x01\x02");  // a TLS hello
  EXPECT_THAT(
      lines(),
      MatchesRegex(
          time_ + " 127\\.0\\.0\\.1 \"- - HTTP/1\\.[01]\" 400 in=0 out=0 events=0 " +
          "first_event_ms=- time_ms=" + ms_ +
          " upstream=- request_id=0-403 host=- agent=\"-\" ending=refused reason=[a-z_]+\n"));
}

TEST_F(AccessLogTest, ShowsWhatIsNotKnownAsNull) {
  start(AccessLogFormat::kJson);
  refusal("\x16\x03\x01\x02");
  EXPECT_THAT(
      lines(),
      MatchesRegex(".*\"method\":\"\",\"target\":\"\",\"protocol\":\"HTTP/"
                   "1\\.[01]\",\"host\":\"\",\"user_agent\":\"\",\"route\":\"\","
                   "\"upstream\":\"\",\"status\":400,.*"
                   "\"first_event_ms\":null,.*"
                   "\"ending\":\"refused\",\"side\":\"client\",\"reason\":\"[a-z_]+\"\\}\n"));
}

TEST_F(AccessLogTest, CountsLinesThatFoundNoRoom) {
  start(AccessLogFormat::kText);
  worker_->ask([this](Gateway&) {  // on the thread that writes to the queue
    while (worker_->log().push(LogTarget::kFile, std::string(50, 'x'))) {
    }
    return true;
  });
  uint64_t dropped = worker_->log().dropped();
  exchange();
  EXPECT_EQ(worker_->log().dropped(), dropped + 1);
  EXPECT_EQ(lines().find("POST"), std::string::npos);
}

}  // namespace
}  // namespace sluice

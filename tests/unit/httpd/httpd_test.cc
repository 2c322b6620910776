#include "net/httpd/httpd.h"

#include <atomic>
#include <chrono>
#include <future>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/httpd/httpd_client.h"

namespace sluice {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr std::string_view kText = "text/plain";

Address loopback() {
  std::string error;
  return *parse_address("127.0.0.1:0", &error);
}

// A server with one route for each way to answer.
class HttpdTest : public ::testing::Test {
 protected:
  void start(const HttpdLimits& limits = {}) {
    server_ = std::make_unique<Httpd>(limits);
    server_->route("GET", "/hello", [](const HttpdRequest& request, HttpdResponder answer) {
      std::string name(request.parameter("name").value_or("world"));
      answer.respond(200, kText, "hello " + name);
    });
    server_->route("POST", "/echo", [](const HttpdRequest& request, HttpdResponder answer) {
      answer.respond(200, kText, request.body);
    });
    server_->route("GET", "/empty",
                   [](const HttpdRequest&, HttpdResponder answer) { answer.respond(204, "", ""); });
    server_->route("GET", "/two", [](const HttpdRequest&, HttpdResponder answer) {
      answer.begin_stream(kText);
      answer.write("one\n");
      answer.write("");
      answer.after_ms(1, [answer] {
        answer.write("two\n");
        answer.end();
        answer.write("after the end");
      });
    });
    server_->route("GET", "/endless", [this](const HttpdRequest&, HttpdResponder answer) {
      answer.begin_stream(kText);
      write_again(answer, counted(), "tick\n");
    });
    server_->route("GET", "/flood", [this](const HttpdRequest&, HttpdResponder answer) {
      answer.begin_stream(kText);
      write_again(answer, counted(), std::string(kFloodBytes, 'x'));
    });
    server_->route("GET", "/burst", [](const HttpdRequest&, HttpdResponder answer) {
      answer.begin_stream(kText);
      for (int i = 0; i < 200; ++i) answer.write(std::string(kFloodBytes, 'x'));
      answer.end();
    });
    server_->route("GET", "/held", [this](const HttpdRequest&, HttpdResponder answer) {
      answer.begin_stream(kText);
      answer.write(std::string(kHeldBytes, 'x'));
      answer.after_ms(3'600'000, [count = counted()] {});
    });
    server_->route("GET", "/later", [this](const HttpdRequest&, HttpdResponder answer) {
      pending_.set_value(answer);
    });
    if (!hosts_.empty()) server_->restrict_hosts(hosts_, "Ask for another.");
    ASSERT_EQ("", server_->start(loopback(), "httpd-test"));
  }

  // While a stream's callbacks exist, streams_ counts it.
  std::shared_ptr<std::atomic<int>> counted() {
    ++streams_;
    return {&streams_, [](std::atomic<int>* count) { --*count; }};
  }
  static void write_again(const HttpdResponder& answer,
                          const std::shared_ptr<std::atomic<int>>& count, const std::string& text) {
    answer.write(text);
    answer.after_ms(0, [=] { write_again(answer, count, text); });
  }

  uint16_t port() const { return server_->address().port(); }
  void await_streams(int count) const {
    auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (streams_ != count && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::yield();
    }
    EXPECT_EQ(count, streams_);
  }

  static constexpr size_t kHeldBytes = 24 * 1024 * 1024;  // more than socket buffers hold
  static constexpr size_t kFloodBytes = 32 * 1024;
  std::atomic<int> streams_{0};
  std::vector<std::string> hosts_;  // empty: any
  std::promise<HttpdResponder> pending_;
  std::unique_ptr<Httpd> server_;  // last: its thread uses the others
};

std::string get(std::string_view target, std::string_view method = "GET") {
  return std::string(method) + " " + std::string(target) + " HTTP/1.1\r\nHost: a\r\n\r\n";
}

TEST_F(HttpdTest, AnswersAndKeepsTheConnection) {
  start();
  HttpdClient client(port());
  for (int i = 0; i < 3; ++i) {
    client.send(get("/hello?x=1&name=you"));
    std::string response = client.receive_response();
    EXPECT_THAT(
        response,
        AllOf(StartsWith("HTTP/1.1 200 OK\r\nDate: "), EndsWith("\r\n\r\nhello you"),
              HasSubstr("\r\nContent-Type: text/plain\r\n"), Not(HasSubstr("Connection:"))));
  }
}

TEST_F(HttpdTest, AnswersPipelinedRequestsInOrder) {
  start();
  HttpdClient client(port());
  client.send(get("/hello?name=1") + get("/two") + get("/empty") + get("/hello?name=2"));
  EXPECT_THAT(client.receive_response(), EndsWith("hello 1"));
  EXPECT_THAT(client.receive_through("\r\n\r\n"), HasSubstr("Transfer-Encoding: chunked\r\n"));
  EXPECT_EQ("4\r\none\n\r\n4\r\ntwo\n\r\n0\r\n\r\n", client.receive_through("0\r\n\r\n"));
  EXPECT_THAT(client.receive_response(),
              AllOf(StartsWith("HTTP/1.1 204 No Content\r\n"), Not(HasSubstr("Content-"))));
  EXPECT_THAT(client.receive_response(), EndsWith("hello 2"));
}

TEST_F(HttpdTest, AnswersAHeadWithTheHeadAlone) {
  start();
  HttpdClient client(port());
  client.send(get("/hello", "HEAD") + get("/endless", "HEAD") + get("/hello"));
  EXPECT_THAT(client.receive_through("\r\n\r\n"), HasSubstr("Content-Length: 11\r\n"));
  EXPECT_THAT(client.receive_through("\r\n\r\n"), HasSubstr("Transfer-Encoding: chunked\r\n"));
  EXPECT_THAT(client.receive_response(),
              AllOf(StartsWith("HTTP/1.1 200"), EndsWith("hello world")));
  await_streams(0);
}

TEST_F(HttpdTest, RefusesUnknownPathsAndMethods) {
  start();
  HttpdClient client(port());
  client.send(get("/nothing") + get("/hello", "DELETE") + get("/echo") + get("/hello"));
  EXPECT_THAT(client.receive_response(),
              AllOf(StartsWith("HTTP/1.1 404 Not Found\r\n"), HasSubstr("application/problem+json"),
                    HasSubstr(R"("status":404)")));
  EXPECT_THAT(client.receive_response(),
              AllOf(StartsWith("HTTP/1.1 405 "), HasSubstr("\r\nAllow: GET, HEAD\r\n")));
  EXPECT_THAT(client.receive_response(),
              AllOf(StartsWith("HTTP/1.1 405 "), HasSubstr("\r\nAllow: POST\r\n")));
  EXPECT_THAT(client.receive_response(), StartsWith("HTTP/1.1 200"));
}

TEST_F(HttpdTest, AnswersForItsOwnHostsOnly) {
  hosts_ = {"httpd.test"};
  start();
  auto get_from = [this](std::string_view target, std::string_view host) {
    HttpdClient client(port());
    client.send("GET " + std::string(target) + " HTTP/1.1\r\nHost: " + std::string(host) +
                "\r\n\r\n");
    return client.receive_response();
  };
  for (const char* host : {"httpd.test", "localhost:1", "127.0.0.1"})
    EXPECT_THAT(get_from("/hello", host), StartsWith("HTTP/1.1 200 ")) << host;
  for (const char* target : {"/hello", "/nothing", "http://rebound.test/hello"})
    EXPECT_THAT(get_from(target, target[0] == '/' ? "rebound.test" : "localhost"),
                AllOf(StartsWith("HTTP/1.1 421 Misdirected Request\r\n"),
                      HasSubstr("application/problem+json"), HasSubstr("Ask for another.")))
        << target;
  HttpdClient client(port());
  client.send("GET /hello HTTP/1.0\r\n\r\n");
  EXPECT_THAT(client.receive_to_close(), StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpdTest, RefusesALargeBodyAndStillDeliversTheAnswer) {
  start({.body_bytes_max = 1000});
  // More than the socket buffers hold: the server has to take it, though it has answered.
  std::string body(16'000'000, 'x');
  std::string post = "POST /echo HTTP/1.1\r\nHost: a\r\n";
  for (const std::string& request :
       {post + "Content-Length: 16000000\r\n\r\n" + body,
        post + "Transfer-Encoding: chunked\r\n\r\nf42400\r\n" + body + "\r\n0\r\n\r\n"}) {
    HttpdClient client(port());
    client.send(request);
    EXPECT_THAT(client.receive_to_close(), StartsWith("HTTP/1.1 413 "));
    EXPECT_TRUE(client.closed_cleanly());
  }
  HttpdClient client(port());
  client.send(post + "Content-Length: 1000\r\n\r\n" + std::string(1000, 'y'));
  EXPECT_THAT(client.receive_response(), AllOf(StartsWith("HTTP/1.1 200"), EndsWith("yyy")));
}

TEST_F(HttpdTest, DropsTheTimersOfAClientThatHasGone) {
  start({.stream_bytes_max = 2 * kHeldBytes});
  HttpdClient leaving(port());
  HttpdClient half_closing(port());
  for (HttpdClient* client : {&leaving, &half_closing}) {
    client->send(get("/endless"));
    client->receive_through("tick");
  }
  await_streams(2);
  leaving.leave();
  await_streams(1);
  half_closing.shut_down_sending();
  await_streams(0);
  // One that has not even read what was written before.
  HttpdClient unreading(port(), 4096);
  unreading.send(get("/held"));
  unreading.receive_through("\r\n\r\n");
  await_streams(1);
  unreading.shut_down_sending();
  await_streams(0);
}

TEST_F(HttpdTest, AnswersAClientThatShutDownItsSendingSide) {
  start();
  HttpdClient client(port());
  client.send(get("/hello?name=1") + get("/hello?name=2"));
  client.shut_down_sending();
  EXPECT_THAT(client.receive_to_close(), AllOf(HasSubstr("hello 1"), EndsWith("hello 2")));
}

TEST_F(HttpdTest, PausesAStreamWhoseClientIsSlow) {
  start();
  constexpr size_t kBytes = 24 * 1024 * 1024;  // far more than the socket buffers and the bound
  HttpdClient slow(port(), 4096);
  slow.send(get("/flood"));
  slow.receive_through("\r\n\r\n");
  HttpdClient fast(port());  // shows that the server could have overrun the slow one by now
  fast.send(get("/flood"));
  fast.receive_bytes(kBytes);
  EXPECT_EQ(2, streams_);
  slow.receive_bytes(kBytes / 4);
  EXPECT_EQ(2, streams_);
}

TEST_F(HttpdTest, DropsAStreamAboveItsBound) {
  start();
  HttpdClient client(port());
  client.send(get("/burst"));
  EXPECT_THAT(client.receive_to_close(), Not(HasSubstr("\r\n0\r\n\r\n")));
}

TEST_F(HttpdTest, DropsAClientThatDoesNotRead) {
  start({.write_timeout_ms = 50});
  HttpdClient client(port(), 4096);
  client.send(get("/flood"));
  client.receive_through("\r\n\r\n");
  await_streams(0);
}

TEST_F(HttpdTest, DropsAClientThatSendsNothingMore) {
  start({.head_timeout_ms = 50, .body_timeout_ms = 50, .idle_timeout_ms = 50});
  HttpdClient silent(port());
  EXPECT_EQ("", silent.receive_to_close());
  HttpdClient in_head(port());
  in_head.send("GET /hel");
  EXPECT_THAT(in_head.receive_to_close(), StartsWith("HTTP/1.1 408 "));
  HttpdClient in_body(port());
  in_body.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc");
  EXPECT_THAT(in_body.receive_to_close(), StartsWith("HTTP/1.1 408 "));
  HttpdClient idle(port());
  idle.send(get("/hello"));
  EXPECT_THAT(idle.receive_to_close(), AllOf(StartsWith("HTTP/1.1 200"), EndsWith("hello world")));
}

TEST_F(HttpdTest, AHeadThatTricklesInHasNoMoreTimeThanAnother) {
  start({.head_timeout_ms = 200});
  HttpdClient client(port());
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!client.has_input() && std::chrono::steady_clock::now() < deadline) {
    client.send("G");
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_TRUE(client.has_input());
}

TEST_F(HttpdTest, HoldsNoMoreConnectionsThanItMay) {
  start({.connections_max = 1});
  HttpdClient first(port());
  first.send(get("/hello?name=1"));
  EXPECT_THAT(first.receive_response(), EndsWith("hello 1"));
  HttpdClient second(port());
  second.send(get("/hello?name=2"));
  for (int i = 0; i < 50; ++i) {  // turns in which the second could have been answered
    first.send(get("/hello?name=3"));
    EXPECT_THAT(first.receive_response(), EndsWith("hello 3"));
  }
  EXPECT_FALSE(second.has_input());
  first.leave();
  EXPECT_THAT(second.receive_response(), EndsWith("hello 2"));
}

TEST_F(HttpdTest, WhoIsIdleGivesWayToOthers) {
  start({.connections_max = 3, .idle_give_way = true});
  HttpdClient in_head(port());
  in_head.send("GET /hel");
  HttpdClient idle(port());
  HttpdClient later_idle(port());
  for (HttpdClient* client : {&idle, &later_idle}) {
    client->send(get("/hello"));
    EXPECT_THAT(client->receive_response(), EndsWith("hello world"));
  }
  HttpdClient fourth(port());
  fourth.send(get("/hello?name=4"));
  EXPECT_THAT(fourth.receive_response(), EndsWith("hello 4"));
  EXPECT_EQ("", idle.receive_to_close()) << "the one that has been idle for longest";
  for (int i = 0; i < 10; ++i) {
    HttpdClient another(port());
    another.send(get("/hello?name=5"));
    EXPECT_THAT(another.receive_response(), EndsWith("hello 5"));
  }
  in_head.send("lo HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_THAT(in_head.receive_response(), EndsWith("hello world")) << "it was not idle";
  EXPECT_GE(server_->dropped(), 1U);
}

TEST_F(HttpdTest, WhoIsSlowGivesWayToOthers) {
  start({.connections_max = 4, .idle_give_way = true});
  std::vector<std::unique_ptr<HttpdClient>> slow;
  for (int i = 0; i < 4; ++i) {
    slow.push_back(std::make_unique<HttpdClient>(port()));
    slow.back()->send("GET /hel");
  }
  HttpdClient client(port());
  client.send(get("/hello"));
  EXPECT_THAT(client.receive_response(), EndsWith("hello world"));
}

TEST_F(HttpdTest, WhoWaitsForUsDoesNotGiveWay) {
  start({.connections_max = 1, .idle_give_way = true});
  HttpdClient waiting(port());
  waiting.send(get("/later"));
  HttpdResponder answer = pending_.get_future().get();
  HttpdClient other(port());
  EXPECT_EQ("", other.receive_to_close());
  server_->post([answer] { answer.respond(200, kText, "at last"); });
  EXPECT_THAT(waiting.receive_response(), EndsWith("at last"));
  EXPECT_EQ(server_->dropped(), 1U);
}

TEST_F(HttpdTest, TheSlowestReaderGivesWayWhereTooMuchIsUnsent) {
  start({.stream_bytes_max = 2 * kHeldBytes, .unsent_bytes_max = kHeldBytes});
  HttpdClient idle(port());  // for longer, and with nothing to read
  idle.send(get("/hello"));
  idle.receive_response();
  HttpdClient first(port(), 4096);
  first.send(get("/held"));
  first.receive_through("\r\n\r\n");
  await_streams(1);
  HttpdClient second(port(), 4096);
  second.send(get("/held"));
  second.receive_through("\r\n\r\n");
  first.receive_to_close();
  await_streams(1);
  EXPECT_EQ(server_->dropped(), 1U);
  second.receive_bytes(kHeldBytes / 2);
  idle.send(get("/hello"));
  EXPECT_THAT(idle.receive_response(), EndsWith("hello world"));
}

TEST_F(HttpdTest, AnswersLaterFromAPostedCallback) {
  start();
  HttpdClient client(port());
  client.send(get("/later"));
  HttpdResponder answer = pending_.get_future().get();
  server_->post([answer] {
    EXPECT_TRUE(answer.open());
    answer.respond(200, kText, "at last");
    answer.respond(200, kText, "twice");
    EXPECT_FALSE(answer.open());
  });
  EXPECT_THAT(client.receive_response(), EndsWith("at last"));
  client.send(get("/hello"));
  EXPECT_THAT(client.receive_response(), EndsWith("hello world"));
}

TEST_F(HttpdTest, StopsWhileStreamsAreOpen) {
  start();
  HttpdClient clients[]{HttpdClient(port()), HttpdClient(port()), HttpdClient(port())};
  for (HttpdClient& client : clients) {
    client.send(get("/endless"));
    client.receive_through("tick");
  }
  server_->stop();
  EXPECT_EQ(0, streams_);
  for (HttpdClient& client : clients) {
    EXPECT_THAT(client.receive_to_close(), Not(HasSubstr("\r\n0\r\n\r\n")));
  }
  server_->stop();
  server_->post([] { FAIL(); });
}

TEST_F(HttpdTest, SaysWhyItCannotStart) {
  start();
  Httpd second;
  EXPECT_THAT(second.start(server_->address(), "httpd-test"),
              HasSubstr("cannot bind 127.0.0.1:" + std::to_string(port()) + ": Address already"));
}

}  // namespace
}  // namespace sluice

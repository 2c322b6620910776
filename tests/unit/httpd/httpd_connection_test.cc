// One connection of the small server without its loop: the test is the loop, and has the other end
// of a socket pair.
#include <array>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/http/problem.h"
#include "net/httpd/connection.h"

namespace sluice {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using Wait = HttpdConnection::Wait;

constexpr std::string_view kText = "text/plain";
constexpr std::string_view kGet = "GET /a?b=c HTTP/1.1\r\nHost: h\r\n\r\n";
constexpr std::string_view kPostHead = "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n";

class HttpdConnectionTest : public ::testing::Test {
 protected:
  HttpdConnectionTest() { begin(); }
  ~HttpdConnectionTest() override { leave(); }

  // Anew, with limits_ as they are now.
  void begin() {
    leave();
    connection_.reset();
    std::array<int, 2> fds{};
    ASSERT_EQ(0, ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()));
    peer_ = fds[1];
    connection_ = std::make_unique<HttpdConnection>(1, fds[0], limits_);
  }
  void leave() {
    if (peer_ >= 0) ::close(peer_);
    peer_ = -1;
  }

  // Bytes of the peer's, received. True: they complete a request.
  bool receive(std::string_view bytes) {
    EXPECT_EQ(static_cast<ssize_t>(bytes.size()),
              ::send(peer_, bytes.data(), bytes.size(), MSG_NOSIGNAL));
    connection_->on_readiness(EPOLLIN);
    return next_request();
  }
  bool next_request() {
    bool complete = connection_->next_request();
    connection_->flush();
    return complete;
  }
  // What has been sent to the peer so far, without waiting.
  std::string sent() {
    connection_->flush();
    connection_->close_if_done();
    std::string text;
    std::array<char, 4096> buffer{};
    ssize_t n = 0;
    while ((n = ::recv(peer_, buffer.data(), buffer.size(), MSG_DONTWAIT)) > 0) {
      text.append(buffer.data(), static_cast<size_t>(n));
    }
    ended_ = n == 0;
    return text;
  }
  void respond(std::string_view body) { connection_->respond(200, kText, body, {}); }

  HttpdLimits limits_;
  std::unique_ptr<HttpdConnection> connection_;
  int peer_ = -1;
  bool ended_ = false;  // the peer has read our end
};

TEST_F(HttpdConnectionTest, TakesARequestByteByByte) {
  std::string request = std::string(kPostHead) + "abcde";
  for (char c : request.substr(0, request.size() - 1)) ASSERT_FALSE(receive({&c, 1}));
  ASSERT_TRUE(receive(request.substr(request.size() - 1)));
  EXPECT_EQ("POST", connection_->request().head.method());
  EXPECT_EQ("abcde", connection_->request().body);
}

TEST_F(HttpdConnectionTest, SplitsPathAndQuery) {
  ASSERT_TRUE(receive(kGet));
  EXPECT_EQ("/a", connection_->request().path);
  EXPECT_EQ("b=c", connection_->request().query);
}

TEST_F(HttpdConnectionTest, OpensOneExchangeAfterTheOther) {
  ASSERT_TRUE(receive(std::string(kGet) + std::string(kPostHead) + "abcde" + std::string(kGet)));
  EXPECT_EQ(1U, connection_->exchange());
  EXPECT_FALSE(next_request()) << "the first one has no answer yet";
  respond("1");
  EXPECT_FALSE(connection_->next_request()) << "its answer has not left";
  EXPECT_THAT(sent(), EndsWith("\r\n\r\n1"));
  ASSERT_TRUE(next_request());
  EXPECT_EQ(2U, connection_->exchange());
  EXPECT_EQ("abcde", connection_->request().body);
  respond("2");
  EXPECT_THAT(sent(), EndsWith("\r\n\r\n2"));
  ASSERT_TRUE(next_request());
  EXPECT_EQ("", connection_->request().body);
}

TEST_F(HttpdConnectionTest, SendsContinueWhenTheClientWaitsForIt) {
  EXPECT_FALSE(
      receive("POST /a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
              "Content-Length: 2\r\n\r\n"));
  EXPECT_EQ("HTTP/1.1 100 Continue\r\n\r\n", sent());
  EXPECT_TRUE(receive("ok"));
}

TEST_F(HttpdConnectionTest, SendsNoContinueWithoutABody) {
  EXPECT_TRUE(receive("GET /a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n\r\n"));
  EXPECT_EQ("", sent());
}

TEST_F(HttpdConnectionTest, FramesAStreamInChunks) {
  ASSERT_TRUE(receive(kGet));
  connection_->begin_stream(kText, {{"X-A", "b"}});
  connection_->write("0123456789");
  connection_->write("");
  connection_->write("x");
  EXPECT_THAT(sent(), AllOf(HasSubstr("\r\nX-A: b\r\n"),
                            EndsWith("\r\nTransfer-Encoding: chunked\r\n\r\na\r\n0123456789\r\n"
                                     "1\r\nx\r\n")));
  connection_->end();
  EXPECT_EQ("0\r\n\r\n", sent());
  EXPECT_FALSE(ended_);
  EXPECT_TRUE(receive(kGet));
}

TEST_F(HttpdConnectionTest, DelimitsByCloseForHttp10) {
  ASSERT_TRUE(receive("GET /a HTTP/1.0\r\n\r\n"));
  connection_->begin_stream(kText, {});
  connection_->write("one\n");
  connection_->end();
  EXPECT_THAT(sent(), AllOf(HasSubstr("\r\nConnection: close\r\n"), Not(HasSubstr("chunked")),
                            EndsWith("\r\n\r\none\n")));
  EXPECT_TRUE(ended_);
}

TEST_F(HttpdConnectionTest, AbortsWithoutTheLastChunk) {
  ASSERT_TRUE(receive(kGet));
  connection_->begin_stream(kText, {});
  connection_->write("half");
  connection_->abort();
  EXPECT_THAT(sent(), EndsWith("\r\n\r\n4\r\nhalf\r\n"));
  EXPECT_TRUE(ended_);
  EXPECT_FALSE(receive(kGet)) << "the end of the answer could not be told";
}

TEST_F(HttpdConnectionTest, RefusesWhatIsNotHttpAndLingersUntilThePeerCloses) {
  for (std::string_view bytes : {"GET /a HTTP/1.1\r\n\r\n", "\x16\x03\x01\x02 hello",
                                 "GET /a HTTP/1.1\r\nHost : h\r\n\r\n"}) {
    begin();
    EXPECT_FALSE(receive(bytes));
    EXPECT_THAT(sent(), AllOf(StartsWith("HTTP/1.1 400 "), HasSubstr("Connection: close\r\n")));
    EXPECT_TRUE(ended_);
    EXPECT_EQ(Wait::kClose, connection_->wait());
    EXPECT_FALSE(receive(kGet)) << "what comes after it is not a request";
    EXPECT_FALSE(connection_->dead());
    leave();
    connection_->on_readiness(EPOLLIN);
    connection_->close_if_done();
    EXPECT_TRUE(connection_->dead());
  }
}

TEST_F(HttpdConnectionTest, RefusesABodyAboveItsBound) {
  limits_.body_bytes_max = 4;
  EXPECT_FALSE(receive(kPostHead));
  EXPECT_THAT(sent(), StartsWith("HTTP/1.1 413 "));
  begin();
  EXPECT_FALSE(
      receive("POST /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
              "3\r\nabc\r\n2\r\nde\r\n"));
  EXPECT_THAT(sent(), StartsWith("HTTP/1.1 413 "));
  limits_.body_bytes_max = 5;
  begin();
  EXPECT_TRUE(receive(std::string(kPostHead) + "abcde"));
}

TEST_F(HttpdConnectionTest, WaitsForWhatComesNextEachForItsTime) {
  limits_ = {.head_timeout_ms = 1,
             .body_timeout_ms = 2,
             .write_timeout_ms = 3,
             .idle_timeout_ms = 4,
             .linger_timeout_ms = 5};
  begin();
  auto expect = [this](Wait wait, uint64_t ms) {
    EXPECT_EQ(wait, connection_->wait());
    EXPECT_EQ(ms, connection_->wait_ms());
  };
  expect(Wait::kFirstByte, 1);
  receive(kPostHead.substr(0, 9));
  expect(Wait::kHead, 1);
  receive(kPostHead.substr(9));
  expect(Wait::kBody, 2);
  receive("abcde");
  expect(Wait::kNothing, 0);
  respond("x");
  expect(Wait::kRead, 3);
  sent();
  expect(Wait::kNextRequest, 4);
  receive("GET /a HTTP/1.0\r\n\r\n");
  respond("x");
  sent();
  expect(Wait::kClose, 5);
}

TEST_F(HttpdConnectionTest, AnswersARequestThatStoppedComingAndDropsWhoSentNone) {
  for (std::string_view begun : {kPostHead.substr(0, 9), kPostHead}) {
    begin();
    receive(begun);
    connection_->on_wait_over();
    EXPECT_THAT(sent(), StartsWith("HTTP/1.1 408 "));
    EXPECT_TRUE(ended_);
  }
  begin();
  connection_->on_wait_over();
  EXPECT_TRUE(connection_->dead());
}

TEST_F(HttpdConnectionTest, ToldOfProgressOnce) {
  EXPECT_FALSE(connection_->take_progress());
  receive(kPostHead);
  EXPECT_FALSE(connection_->take_progress()) << "no byte of the body has come";
  receive("abc");
  EXPECT_TRUE(connection_->take_progress());
  EXPECT_FALSE(connection_->take_progress());
  receive("de");
  EXPECT_TRUE(connection_->take_progress());
  respond("x");
  sent();
  EXPECT_TRUE(connection_->take_progress());
  EXPECT_FALSE(connection_->take_progress());
}

TEST_F(HttpdConnectionTest, ReadsNoMoreThanItMayHold) {
  limits_.input_bytes_max = 100;
  begin();
  ASSERT_TRUE(receive(kGet));
  EXPECT_EQ(uint32_t{EPOLLIN | EPOLLRDHUP}, connection_->epoll_interest());
  receive(std::string(100, 'x'));
  EXPECT_EQ(uint32_t{EPOLLRDHUP}, connection_->epoll_interest()) << "only a leave is of interest";
  // A reader of the input would take this for the end.
  connection_->on_readiness(EPOLLIN);
  connection_->close_if_done();
  EXPECT_FALSE(connection_->dead());
}

TEST_F(HttpdConnectionTest, AsksToWriteWhileSomethingIsUnsent) {
  ASSERT_TRUE(receive(kGet));
  respond("x");
  EXPECT_TRUE(connection_->epoll_interest() & EPOLLOUT);
  sent();
  EXPECT_FALSE(connection_->epoll_interest() & EPOLLOUT);
}

TEST_F(HttpdConnectionTest, PausesAStreamAndDropsItAboveItsBound) {
  limits_ = {.stream_pause_bytes = 1000, .stream_bytes_max = 4000};
  begin();
  ASSERT_TRUE(receive(kGet));
  connection_->begin_stream(kText, {});
  connection_->write("x");
  EXPECT_FALSE(connection_->stream_paused());
  connection_->write(std::string(1000, 'x'));
  EXPECT_TRUE(connection_->stream_paused());
  sent();
  EXPECT_FALSE(connection_->stream_paused());
  connection_->write(std::string(3000, 'x'));
  EXPECT_FALSE(connection_->dead());
  connection_->write(std::string(1000, 'x'));
  EXPECT_TRUE(connection_->dead());
}

TEST_F(HttpdConnectionTest, FinOfThePeerEndsAnOpenExchangeButNotACompleteAnswer) {
  ASSERT_TRUE(receive(kGet));
  ::shutdown(peer_, SHUT_WR);
  connection_->on_readiness(EPOLLIN | EPOLLRDHUP);
  connection_->close_if_done();
  EXPECT_TRUE(connection_->dead());

  begin();
  ASSERT_TRUE(receive(kGet));
  respond("all of it");
  ::shutdown(peer_, SHUT_WR);
  connection_->on_readiness(EPOLLIN | EPOLLRDHUP);
  connection_->close_if_done();
  EXPECT_FALSE(connection_->dead());
  EXPECT_THAT(sent(), EndsWith("all of it"));
  EXPECT_TRUE(connection_->dead());
}

TEST_F(HttpdConnectionTest, ErrorOfTheSocketIsItsDeath) {
  connection_->on_readiness(EPOLLERR);
  EXPECT_TRUE(connection_->dead());
}

TEST(ProblemBody, IsTheJsonOfRfc9457) {
  EXPECT_EQ(R"({"type":"about:blank","title":"Not Found","status":404,"detail":"No such page."})"
            "\n",
            problem_body(404, "No such page."));
}

}  // namespace
}  // namespace sluice

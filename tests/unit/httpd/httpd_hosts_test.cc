#include <gtest/gtest.h>

#include "net/http1/parser.h"
#include "net/httpd/hosts.h"

namespace sluice {
namespace {

// Whether a request that reached `local` is for one of the hosts.
bool includes(const std::vector<std::string>& names, const std::string& local,
              const std::string& request) {
  struct NoBody final : BodySink {
    void on_body(std::string_view) override {}
  };
  Head head;
  NoBody body;
  Http1Parser parser(Http1Parser::Role::kRequest, {});
  parser.begin(&head);
  EXPECT_EQ(parser.feed(request, body).event, Http1Parser::Event::kHead) << request;
  return HttpdHosts(names).include(head, *parse_ip(local));
}

bool includes_host(const std::string& host, const std::string& local = "192.0.2.1",
                   const std::vector<std::string>& names = {}) {
  return includes(names, local, "GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n");
}

TEST(HttpdHosts, IncludeLoopbackAtAnyPort) {
  for (const char* host :
       {"localhost", "LocalHost", "localhost.", "localhost:1", "127.0.0.1", "127.0.0.1:9901",
        "127.255.0.3:", "[::1]", "[::1]:9901", "[0:0:0:0:0:0:0:1]:80", "[::ffff:127.0.0.1]"})
    EXPECT_TRUE(includes_host(host)) << host;
}

TEST(HttpdHosts, IncludeTheAddressThatTheClientReached) {
  EXPECT_TRUE(includes_host("192.0.2.1:9901"));
  EXPECT_TRUE(includes_host("192.0.2.1", "::ffff:192.0.2.1")) << "of a dual-stack listener";
  EXPECT_TRUE(includes_host("[2001:DB8:0::1]:80", "2001:db8::1"));
  EXPECT_FALSE(includes_host("192.0.2.2"));
  EXPECT_FALSE(includes_host("[2001:db8::2]", "2001:db8::1"));
}

TEST(HttpdHosts, ExcludeNamesThatAnybodyMayOwn) {
  for (const char* host : {"rebound.test", "rebound.test:9901", "localhost.rebound.test",
                           "127.0.0.1.rebound.test", "192.0.2.1.rebound.test", "127.1", "127.x",
                           "2130706433", "0x7f.0.0.1", "notlocalhost", "0.0.0.0", "[::]"})
    EXPECT_FALSE(includes_host(host)) << host;
}

TEST(HttpdHosts, IncludeTheNamesGiven) {
  const std::vector<std::string> names{"Sluice.test", "203.0.113.9", "2001:db8:0::5"};
  for (const char* host : {"sluice.TEST:80", "sluice.test.", "203.0.113.9:9901", "[2001:db8::5]"})
    EXPECT_TRUE(includes_host(host, "192.0.2.1", names)) << host;
  for (const char* host : {"a.sluice.test", "sluice.test.evil", "203.0.113.90"})
    EXPECT_FALSE(includes_host(host, "192.0.2.1", names)) << host;
}

TEST(HttpdHosts, GoByTheTargetWhereItNamesTheHost) {
  const std::string to_us = "\r\nHost: localhost\r\n\r\n";
  EXPECT_FALSE(includes({}, "192.0.2.1", "GET http://rebound.test/streams HTTP/1.1" + to_us));
  EXPECT_TRUE(includes({}, "192.0.2.1", "GET http://localhost:1/streams HTTP/1.1" + to_us));
  EXPECT_TRUE(includes({}, "192.0.2.1", "GET http://[::1] HTTP/1.1\r\nHost: rebound.test\r\n\r\n"));
  EXPECT_FALSE(includes({}, "192.0.2.1", "CONNECT rebound.test:80 HTTP/1.1" + to_us));
}

TEST(HttpdHosts, IncludeHttp10WithoutAHost) {
  EXPECT_TRUE(includes({}, "192.0.2.1", "GET /healthz HTTP/1.0\r\n\r\n"));
  EXPECT_FALSE(includes({}, "192.0.2.1", "GET /healthz HTTP/1.0\r\nHost: rebound.test\r\n\r\n"));
}

}  // namespace
}  // namespace sluice

#include "net/hub/call.h"

#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/http1/http1_testing.h"

namespace sluice {
namespace {

using At = Start::At;

HubCall call_of(const std::string& target, const std::string& fields = "",
                const std::string& method = "GET", const std::vector<std::string>& origins = {}) {
  Head head;
  std::string text = method + " /hub" + target + " HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n";
  test::parse_head(test::Role::kRequest, text, head);
  Route route;
  route.path = "/hub";
  route.hub_cors = origins;
  HubCall call;
  read_hub_call(head, route, call);
  return call;
}

HubCall subscription(const std::string& target, const std::string& fields = "") {
  return call_of(target, "Accept: text/event-stream\r\n" + fields);
}

struct Refused {
  const char* target;
  int status;
};

// What docs/hub.md does not name is refused, and nothing is guessed.
TEST(HubCall, WhatGoesWithWhat) {
  constexpr Refused kSubscriptions[] = {
      {"/streams/a-1", 0},
      {"/streams/a-1?position=0&mode=poke&slow=skip&require=complete", 0},
      {"/streams/a-1?member=0&size=2", 0},
      {"/categories/a?position=5&correlation=b&member=1&size=2", 0},
      {"/categories/a?since=2026-11-27T03:11:42Z", 0},
      {"/categories/a?since=2026-11-27T03:11:42.5Z", 0},
      {"/categories/a?since=1795749102000", 0},
      {"/categories/a?group=g&size=2", 0},
      {"/categories/a?group=g&size=1000&wait=yes&position=latest&mode=poke", 0},
      {"/subscribe?category=a&stream=b-1&group=g&size=2&wait=no", 0},
      {"/subscribe?stream=a-1&position=1", 0},
      {"/streams/a-1?last_event_id=x&position=3", 0},
      {"/streams/a-1?&&position=3&", 0},
      {"/streams/a-1?position", 400},
      {"/streams/a-1?position=", 400},
      {"/streams/a-1?position=-1", 400},
      {"/streams/a-1?position=+1", 400},
      {"/streams/a-1?position=1.0", 400},
      {"/streams/a-1?position=0x1", 400},
      {"/streams/a-1?position=9223372036854775808", 400},
      {"/streams/a-1?position=1&position=2", 400},
      {"/streams/a-1?position=1&since=1", 400},
      {"/streams/a-1?since=1&earliest", 400},
      {"/streams/a-1?latest&earliest", 400},
      {"/streams/a-1?Position=1", 400},
      {"/streams/a-1?position=1%", 400},
      {"/streams/a-1?%zz=1", 400},
      {"/categories/a?since=2026-11-27", 400},
      {"/categories/a?since=2026-11-27T03:11:42", 400},
      {"/categories/a?since=2026-11-27T03:11:42+01:00", 400},
      {"/categories/a?since=2026-13-27T03:11:42Z", 400},
      {"/categories/a?since=1969-11-27T03:11:42Z", 400},
      {"/categories/a?since=", 400},
      {"/categories/a?member=0", 400},
      {"/categories/a?size=2", 400},
      {"/categories/a?member=2&size=2", 400},
      {"/categories/a?correlation=a-1", 400},
      {"/categories/a?batch=1", 400},
      {"/categories/a?type=T", 400},
      {"/categories/a?mode=none", 400},
      {"/categories/a?slow=", 400},
      {"/categories/a?require=all", 400},
      {"/categories/a?wait=yes", 400},
      {"/categories/a?group=g", 400},
      {"/categories/a?group=g&size=1001", 400},
      {"/categories/a?group=g&size=2&member=0", 400},
      {"/categories/a?group=g&size=2&since=1", 400},
      {"/categories/a?group=g&size=2&last_event_id=x", 400},
      {"/categories/a?group=g&size=2&wait=yes&require=complete", 400},
      {"/categories/a-1", 400},
      {"/categories/a/last", 404},
      {"/streams/a-1?group=g&size=2", 400},
      {"/subscribe?stream=a-1&group=g&size=2", 400},
      {"/subscribe", 400},
      {"/subscribe/a", 404},
      {"/groups/g/members", 404},
  };
  for (const Refused& one : kSubscriptions) {
    HubCall call = subscription(one.target);
    EXPECT_EQ(call.status, one.status) << one.target << ": " << call.detail;
    EXPECT_EQ(call.detail.empty(), one.status == 0) << one.target;
  }
  constexpr Refused kReads[] = {
      {"", 0},
      {"/", 0},
      {"/streams/a-1", 0},
      {"/streams/a-1?position=1", 400},
      {"/categories/a?group=g&size=2", 400},
      {"/streams/a-1/messages?position=1&batch=-1", 0},
      {"/streams/a-1/messages?position=1&batch=-2", 400},
      {"/streams/a-1/messages?batch=0", 0},
      {"/streams/a-1/messages?position=earliest", 0},
      {"/streams/a-1/messages?position=latest", 400},
      {"/streams/a-1/messages?since=1", 400},
      {"/streams/a-1/messages?last_event_id=x", 400},
      {"/streams/a-1/messages?group=g&size=1", 400},
      {"/streams/a-1/last?type=T", 0},
      {"/streams/a-1/last?position=1", 400},
      {"/streams/a-1/version?type=T", 400},
      {"/consumers/c", 0},
      {"/consumers/c?position=1", 400},
      {"/consumers/a/b", 404},
      {"/groups/g", 0},
      {"/groups/g?size=2", 400},
      {"/groups", 404},
  };
  for (const Refused& one : kReads) EXPECT_EQ(call_of(one.target).status, one.status) << one.target;
}

// They are read again as JSON and as events.
TEST(HubCall, TypeAndIdOfATextAreUtf8OfLimitedLength) {
  const std::string much(256, 'a');
  const std::pair<std::string, int> targets[] = {
      {"type=b%C3%A9&id=%E2%82%AC", 0},
      {"type=%ff", 400},
      {"type=%C3", 400},
      {"type=a%0Ab", 400},
      {"type=sluice.gap", 400},
      {"type=" + much, 400},
      {"id=%fe", 400},
      {"id=a%0Ab", 0},
      {"id=" + much, 400},
  };
  for (const auto& [query, status] : targets)
    EXPECT_EQ(call_of("/streams/a-1?" + query, "content-length: 1\r\n", "POST").status, status)
        << query;
}

TEST(HubCall, AnIdCountsBeforeAPositionAndTheFieldBeforeTheQuery) {
  for (const char* target :
       {"/streams/a-1?position=3&last_event_id=x", "/streams/a-1?last_event_id=x&since=1"}) {
    HubCall call = subscription(target);
    EXPECT_EQ(call.start.at, At::kId);
    EXPECT_EQ(call.start.id, "x");
    EXPECT_TRUE(call.resumes);
    EXPECT_EQ(subscription(target, "Last-Event-ID: y\r\n").start.id, "y");
    EXPECT_EQ(subscription(target, "Last-Event-ID:\r\n").start.id, "x");
  }
  EXPECT_FALSE(subscription("/streams/a-1?last_event_id=earliest").resumes);
  EXPECT_EQ(subscription("/streams/a-1").start.at, At::kLatest);
  EXPECT_EQ(subscription("/streams/a-1?earliest").start.at, At::kEarliest);
}

TEST(HubCall, AGroupIgnoresTheIdThatABrowserSends) {
  HubCall call = subscription("/categories/a?group=g&size=2", "Last-Event-ID: y\r\n");
  EXPECT_EQ(call.status, 0);
  EXPECT_EQ(call.start.at, At::kEarliest);
  EXPECT_EQ(call.size, 2U);
}

TEST(HubCall, OnlyAnOriginThatTheRouteNamesMayRead) {
  auto told = [](const std::string& origin, const std::vector<std::string>& origins) {
    return call_of("/streams/a-1", "Origin: " + origin + "\r\n", "GET", origins).origin;
  };
  EXPECT_EQ(told("https://b", {"https://a", "https://b"}), "https://b");
  EXPECT_EQ(told("https://c", {"https://a", "https://b"}), "");
  EXPECT_EQ(told("https://c", {"*"}), "*");
  EXPECT_EQ(told("https://c", {}), "");
}

TEST(HubCall, AGroupIsDeletedByThoseWhoMayChangeIt) {
  HubCall call = call_of("/groups/g", "", "DELETE");
  EXPECT_EQ(call.status, 0);
  EXPECT_EQ(call.what, HubCall::What::kDeleteGroup);
  EXPECT_EQ(call.group, "g");
  EXPECT_EQ(call_of("/groups/g?size=2", "", "DELETE").status, 400);
  EXPECT_EQ(call_of("/groups/g", "Origin: http://e\r\n", "DELETE").status, 403);
  EXPECT_EQ(call_of("/streams/a-1", "", "DELETE").status, 405);
}

TEST(HubCall, AConsumerIsDeletedByThoseWhoMayStoreIt) {
  HubCall call = call_of("/consumers/c", "", "DELETE");
  EXPECT_EQ(call.status, 0);
  EXPECT_EQ(call.what, HubCall::What::kDeleteConsumer);
  EXPECT_EQ(call.consumer, "c");
  EXPECT_EQ(call_of("/consumers/c", "Origin: http://e\r\n", "DELETE").status, 403);
  EXPECT_EQ(call_of("/consumers/c", "", "POST").status, 405);
}

// Where its length is known, before any of it comes.
TEST(HubCall, ABodyThatIsTooLargeIsRefused) {
  struct Body {
    const char* method;
    const char* target;
    const char* type;
    uint64_t most;
  };
  constexpr Body kBodies[] = {
      {"POST", "/streams/a-1", "text/plain", 64UL * 1024},
      {"POST", "/streams/a-1", "application/json", 1024UL * 1024},
      {"POST", "/streams/a-1", "application/x-ndjson", 1024UL * 1024},
      {"PUT", "/consumers/c", "application/json", 4096},
      {"PUT", "/groups/g/members/7?token=9", "application/json", 4096},
  };
  for (const Body& body : kBodies) {
    auto status_of = [&body](uint64_t length) {
      std::string fields = std::string("Content-Type: ") + body.type + "\r\n";
      fields += "Content-Length: " + std::to_string(length) + "\r\n";
      return call_of(body.target, fields, body.method).status;
    };
    EXPECT_EQ(status_of(body.most), 0) << body.target << " " << body.type;
    EXPECT_EQ(status_of(body.most + 1), 413) << body.target << " " << body.type;
  }
}

TEST(HubCall, Acknowledgements) {
  HubCall call = call_of("/groups/g%2D1/members/7?token=9", "", "PUT");
  EXPECT_EQ(call.status, 0);
  EXPECT_EQ(call.what, HubCall::What::kAck);
  EXPECT_EQ(call.group, "g-1");
  EXPECT_EQ(call.member, 7U);
  EXPECT_EQ(call.token, 9U);
  for (const char* target : {"/groups/g/members/7", "/groups/g/members/7?token=",
                             "/groups/g/members/-1?token=1", "/groups/%00/members/7?token=1"})
    EXPECT_EQ(call_of(target, "", "PUT").status, 400) << target;
  EXPECT_EQ(call_of("/groups/g/members/7?token=9").status, 405);
  EXPECT_EQ(call_of("/groups/g", "", "PUT").status, 405);
  EXPECT_EQ(call_of("/groups/g/members/7?token=9", "", "DELETE").status, 405);
  // A page of elsewhere may neither acknowledge nor take a member.
  EXPECT_EQ(call_of("/groups/g/members/7?token=9", "Origin: http://e\r\n", "PUT").status, 403);
  EXPECT_EQ(subscription("/categories/a?group=g&size=2", "Origin: http://e\r\n").status, 403);
  EXPECT_EQ(subscription("/categories/a?group=g&size=2", "Origin: http://h\r\n").status, 0);
  EXPECT_EQ(subscription("/categories/a", "Origin: http://e\r\n").status, 0);
}

}  // namespace
}  // namespace sluice

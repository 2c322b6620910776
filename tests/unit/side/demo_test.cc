#include "net/demo.h"

#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/demo_openai.h"
#include "tests/unit/side/side_client.h"

namespace sluice {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class DemoTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ("", demo_.start()); }

  // The whole response to one request on a connection of its own; a chunked body without framing.
  std::string fetch(std::string_view method, std::string_view target, std::string_view fields = "",
                    std::string_view body = "") {
    SideClient client(demo_.port());
    std::string request;
    request.append(method).append(" ").append(target).append(" HTTP/1.1\r\nHost: a\r\n");
    request.append("Content-Length: ").append(std::to_string(body.size())).append("\r\n");
    client.send(request.append(fields).append("\r\n").append(body));
    std::string head = client.receive_through("\r\n\r\n");
    if (head.find("chunked") != std::string::npos) return head + client.receive_chunked(&complete_);
    size_t at = head.find("Content-Length: ");
    return at == std::string::npos ? head
                                   : head + client.receive_bytes(std::stoul(head.substr(at + 16)));
  }
  // The events of such a response, blank lines and head taken off.
  static std::vector<std::string> events_of(const std::string& response) {
    std::vector<std::string> events;
    size_t begin = response.find("\r\n\r\n") + 4;
    for (size_t end; (end = response.find("\n\n", begin)) != std::string::npos; begin = end + 2) {
      events.push_back(response.substr(begin, end - begin));
    }
    EXPECT_EQ(begin, response.size()) << "a piece of an event at the end";
    return events;
  }
  // With the number behind each `name` made 0.
  static std::string without_number(std::string text, std::string_view name) {
    for (size_t at = 0; (at = text.find(name, at)) != std::string::npos;) {
      at += name.size();
      size_t end = text.find_first_not_of("0123456789", at);
      text.replace(at, end - at, "0");
    }
    return text;
  }

  DemoUpstream demo_;
  bool complete_ = false;
};

TEST_F(DemoTest, StreamsAChatCompletion) {
  std::string response =
      fetch("POST", "/v1/chat/completions", "",
            R"({"model":"m","messages":[{"content":"\"stream\": false"}],"stream":true,"tokens":3,)"
            R"("max_tokens":2,"delay_ms":1,"stream_options":{"include_usage":true}})");
  EXPECT_TRUE(complete_);
  EXPECT_THAT(response, HasSubstr("\r\nContent-Type: text/event-stream; charset=utf-8\r\n"));
  std::vector<std::string> events = events_of(without_number(
      without_number(without_number(response, "\"created\":"), "_tokens\":"), "-demo-"));
  const std::string head =
      R"(data: {"id":"chatcmpl-demo-0","object":"chat.completion.chunk","created":0,"model":"m",)";
  auto chunk = [&](std::string_view delta, std::string_view finish) {
    return head + R"("choices":[{"index":0,"delta":{)" + std::string(delta) +
           R"(},"logprobs":null,"finish_reason":)" + std::string(finish) + R"(}],"usage":null})";
  };
  EXPECT_THAT(
      events,
      ::testing::ElementsAre(
          chunk(R"("role":"assistant","content":"")", "null"),
          chunk(R"("content":"Every")", "null"), chunk(R"("content":" word")", "null"),
          chunk("", "\"length\""),
          head +
              R"("choices":[],"usage":{"prompt_tokens":0,"completion_tokens":0,"total_tokens":0}})",
          "data: [DONE]"));
}

TEST_F(DemoTest, StreamsNoUsageUnlessAsked) {
  std::string response = fetch("POST", "/v1/chat/completions?delay_ms=1&tokens=4", "",
                               R"({"messages":[],"stream":true})");
  EXPECT_THAT(response,
              AllOf(::testing::Not(HasSubstr("usage")), HasSubstr(R"("finish_reason":"stop")"),
                    EndsWith("data: [DONE]\n\n")));
  EXPECT_EQ(4u + 3u, events_of(response).size());  // role, finish, [DONE]
}

TEST_F(DemoTest, AnswersACompletionWhole) {
  std::string chat = fetch("POST", "/v1/chat/completions", "", R"({"messages":[],"tokens":2})");
  EXPECT_THAT(
      chat,
      AllOf(HasSubstr("\r\nContent-Type: application/json\r\n"),
            HasSubstr(R"("object":"chat.completion",)"),
            HasSubstr(R"("message":{"role":"assistant","content":"Every word")"),
            HasSubstr(R"("usage":{"prompt_tokens":6,"completion_tokens":2,"total_tokens":8})")));
  std::string legacy = fetch("POST", "/v1/completions", "", R"({"prompt":"x","tokens":2})");
  EXPECT_THAT(legacy, AllOf(HasSubstr(R"("object":"text_completion",)"),
                            HasSubstr(R"("choices":[{"index":0,"text":"Every word",)")));
}

TEST_F(DemoTest, StreamsALegacyCompletion) {
  std::vector<std::string> events = events_of(fetch(
      "POST", "/v1/completions", "", R"({"prompt":"x","stream":true,"tokens":2,"delay_ms":1})"));
  ASSERT_EQ(4u, events.size());
  EXPECT_THAT(events[1],
              AllOf(HasSubstr(R"("object":"text_completion",)"),
                    HasSubstr(R"("text":" word","logprobs":null,"finish_reason":null)")));
  EXPECT_THAT(events[2], HasSubstr(R"("text":"","logprobs":null,"finish_reason":"stop")"));
  EXPECT_EQ("data: [DONE]", events[3]);
}

TEST_F(DemoTest, RefusesWhatIsNoCompletionRequest) {
  for (std::string_view body : {"", "[]", "{}", R"({"messages":)", R"({"a":{"messages":[]}})"}) {
    EXPECT_THAT(fetch("POST", "/v1/chat/completions", "", body),
                AllOf(StartsWith("HTTP/1.1 400 "), HasSubstr(R"({"error":{"message":")")))
        << body;
  }
  // What would break out of the line or the string is not repeated.
  EXPECT_THAT(fetch("POST", "/v1/chat/completions", "", "{\"messages\":[],\"model\":\"a\nb\"}"),
              HasSubstr(R"("model":"sluice-demo")"));
}

TEST_F(DemoTest, ListsModels) {
  EXPECT_THAT(fetch("GET", "/v1/models"),
              HasSubstr(R"({"object":"list","data":[{"id":"sluice-demo","object":"model",)"));
  EXPECT_THAT(fetch("GET", "/v1/models/sluice-demo"), HasSubstr(R"({"id":"sluice-demo",)"));
}

TEST_F(DemoTest, CountsEventsAndEnds) {
  std::string response = fetch("GET", "/events?rate=1000&size=100&count=5");
  EXPECT_TRUE(complete_);
  std::vector<std::string> events = events_of(without_number(response, "\"time_ms\":"));
  ASSERT_EQ(6u, events.size());
  EXPECT_EQ("retry: 1000", events[0]);
  for (uint64_t id = 1; id <= 5; ++id) {
    // A real time has 13 digits, the 0 that stands for it has one.
    EXPECT_EQ(demo_event(id, 100 - 12, 0), events[id] + "\n\n");
  }
}

TEST_F(DemoTest, ResumesBehindTheLastEventId) {
  auto ids = [](const std::vector<std::string>& events) {
    std::string list;
    for (const std::string& event : events) list += event.substr(0, event.find('\n')) + " ";
    return list;
  };
  constexpr std::string_view kTarget = "/events?rate=1000&count=5";
  constexpr std::string_view kQueried = "/events?rate=1000&count=5&last_event_id=1";
  EXPECT_EQ("retry: 1000 id: 4 id: 5 ",
            ids(events_of(fetch("GET", kTarget, "Last-Event-ID: 3\r\n"))));
  EXPECT_EQ("retry: 1000 id: 2 id: 3 id: 4 id: 5 ", ids(events_of(fetch("GET", kQueried))));
  EXPECT_EQ("retry: 1000 id: 5 ", ids(events_of(fetch("GET", kQueried, "Last-Event-ID: 4\r\n"))));
  EXPECT_EQ("retry: 1000 id: 1 id: 2 id: 3 id: 4 id: 5 ",
            ids(events_of(fetch("GET", kTarget, "Last-Event-ID: x\r\n"))));
  EXPECT_THAT(fetch("GET", kTarget, "Last-Event-ID: 5\r\n"), StartsWith("HTTP/1.1 204 "));
  // Cut after two, and on from there.
  EXPECT_EQ("retry: 1000 id: 2 id: 3 ",
            ids(events_of(fetch("GET", "/events?rate=1000&drop=2&last_event_id=1"))));
  EXPECT_FALSE(complete_);
}

TEST_F(DemoTest, KeepsAFastRateWithATimerThatIsCoarser) {
  EXPECT_EQ(20'001u, events_of(fetch("GET", "/events?rate=100000&size=0&count=20000")).size());
}

TEST_F(DemoTest, SaysWhichParameterIsWrong) {
  for (std::string_view parameter : {"rate=0", "rate=x", "rate=nan", "size=-1", "count=1e3"}) {
    EXPECT_THAT(
        fetch("GET", "/events?" + std::string(parameter)),
        AllOf(StartsWith("HTTP/1.1 400 "),
              HasSubstr(": " + std::string(parameter.substr(0, parameter.find('='))) + ".")));
  }
}

TEST(DemoEvent, IsAFunctionOfItsIdAndFillsItsSize) {
  EXPECT_EQ("id: 27\ndata: {\"sequence\":27,\"time_ms\":5,\"fill\":\"bcd\"}\n\n",
            demo_event(27, 40, 5));
  EXPECT_EQ("id: 1\ndata: {\"sequence\":1,\"time_ms\":5,\"fill\":\"\"}\n\n", demo_event(1, 0, 5));
}

TEST_F(DemoTest, ServesThePage) {
  std::string response = fetch("GET", "/");
  EXPECT_THAT(response, AllOf(HasSubstr("Content-Type: text/html; charset=utf-8"),
                              HasSubstr("window.sluiceDemo"), EndsWith("</html>\n")));
}

TEST_F(DemoTest, CutsEchoesAndFills) {
  EXPECT_THAT(fetch("GET", "/truncate"), EndsWith("\n\nid: 3\ndata: cut in the mid"));
  EXPECT_FALSE(complete_);
  std::string large(1'000'000, 'z');
  EXPECT_THAT(fetch("POST", "/echo", "", large), EndsWith("\r\n\r\n" + large));
  EXPECT_THAT(fetch("GET", "/plain?bytes=66"), EndsWith("uvwxyzabcdefghijk\nno"));
  EXPECT_THAT(fetch("GET", "/slow?ms=1"), EndsWith("That was slow.\n"));
}

TEST(JsonMember, FindsTopLevelMembersOnly) {
  constexpr std::string_view kJson =
      R"( { "a" : {"x":1, "s":"}"} , "s":"q\"}", "n":-1.5,"l":[{"n":2},"]"],"t":true})";
  EXPECT_EQ(R"({"x":1, "s":"}"})", json_member(kJson, "a"));
  EXPECT_EQ(R"("q\"}")", json_member(kJson, "s"));
  EXPECT_EQ("-1.5", json_member(kJson, "n"));
  EXPECT_EQ(R"([{"n":2},"]"])", json_member(kJson, "l"));
  EXPECT_EQ("true", json_member(kJson, "t"));
  EXPECT_EQ(std::nullopt, json_member(kJson, "x"));
  for (size_t length = 0; length < kJson.size() - 1; ++length) {
    EXPECT_EQ(std::nullopt, json_member(kJson.substr(0, length), "t")) << length;
  }
}

}  // namespace
}  // namespace sluice

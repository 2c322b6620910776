#include "net/demo/demo_openai.h"

#include <chrono>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/demo/demo_testing.h"

namespace sluice {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

using DemoOpenAiTest = DemoTest;

TEST_F(DemoOpenAiTest, StreamsAChatCompletion) {
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

TEST_F(DemoOpenAiTest, StreamsNoUsageUnlessAsked) {
  std::string response = fetch("POST", "/v1/chat/completions?delay_ms=1&tokens=4", "",
                               R"({"messages":[],"stream":true})");
  EXPECT_THAT(response,
              AllOf(::testing::Not(HasSubstr("usage")), HasSubstr(R"("finish_reason":"stop")"),
                    EndsWith("data: [DONE]\n\n")));
  EXPECT_EQ(4u + 3u, events_of(response).size());  // role, finish, [DONE]
}

TEST_F(DemoOpenAiTest, AnswersACompletionWhole) {
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

TEST_F(DemoOpenAiTest, StreamsALegacyCompletion) {
  std::vector<std::string> events = events_of(fetch(
      "POST", "/v1/completions", "", R"({"prompt":"x","stream":true,"tokens":2,"delay_ms":1})"));
  ASSERT_EQ(4u, events.size());
  EXPECT_THAT(events[1],
              AllOf(HasSubstr(R"("object":"text_completion",)"),
                    HasSubstr(R"("text":" word","logprobs":null,"finish_reason":null)")));
  EXPECT_THAT(events[2], HasSubstr(R"("text":"","logprobs":null,"finish_reason":"stop")"));
  EXPECT_EQ("data: [DONE]", events[3]);
}

TEST_F(DemoOpenAiTest, TakesItsTimeForEveryToken) {
  auto before = std::chrono::steady_clock::now();
  fetch("POST", "/v1/completions", "", R"({"prompt":"x","stream":true,"tokens":3,"delay_ms":30})");
  EXPECT_GE(std::chrono::steady_clock::now() - before, std::chrono::milliseconds(2 * 30));
}

TEST_F(DemoOpenAiTest, RefusesWhatIsNoCompletionRequest) {
  for (std::string_view body : {"", "[]", "{}", R"({"messages":)", R"({"a":{"messages":[]}})"}) {
    EXPECT_THAT(fetch("POST", "/v1/chat/completions", "", body),
                AllOf(StartsWith("HTTP/1.1 400 "), HasSubstr(R"({"error":{"message":")")))
        << body;
  }
  EXPECT_THAT(fetch("POST", "/v1/chat/completions", "", "{\"messages\":[],\"model\":\" ~\"}"),
              HasSubstr(R"("model":" ~")"));
  // What would break out of the line or the string is not repeated.
  EXPECT_THAT(fetch("POST", "/v1/chat/completions", "", "{\"messages\":[],\"model\":\"a\nb\"}"),
              HasSubstr(R"("model":"sluice-demo")"));
}

TEST_F(DemoOpenAiTest, ListsModels) {
  EXPECT_THAT(fetch("GET", "/v1/models"),
              HasSubstr(R"({"object":"list","data":[{"id":"sluice-demo","object":"model",)"));
  EXPECT_THAT(fetch("GET", "/v1/models/sluice-demo"), HasSubstr(R"({"id":"sluice-demo",)"));
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

TEST_F(DemoOpenAiTest, QueryWinsOverTheBodyAndTheNewerLimitOverTheOlder) {
  EXPECT_THAT(fetch("POST", "/v1/completions?tokens=3", "", R"({"prompt":"x","tokens":1})"),
              HasSubstr(R"("completion_tokens":3,)"));
  EXPECT_THAT(
      fetch("POST", "/v1/chat/completions", "",
            R"({"messages":[],"max_tokens":5,"max_completion_tokens":2})"),
      AllOf(HasSubstr(R"("completion_tokens":2,)"), HasSubstr(R"("finish_reason":"length")")));
}

}  // namespace
}  // namespace sluice

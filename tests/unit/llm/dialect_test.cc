#include "net/llm/dialect.h"

#include <array>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace sluice {
namespace {

struct Case {
  std::string event;
  EventRole role;
  bool finishes = false;
};

std::string chat(std::string_view delta, std::string_view finish = "null",
                 std::string_view more = R"("usage":null)") {
  std::string event = R"(data: {"id":"c1","object":"chat.completion.chunk","created":1,)";
  event += R"("model":"m","choices":[{"index":0,"delta":)";
  event.append(delta).append(R"(,"logprobs":null,"finish_reason":)").append(finish);
  return event.append("}],").append(more).append("}\n\n");
}

std::string typed(std::string_view type, std::string_view members) {
  std::string event = "event: ";
  event.append(type).append("\ndata: {\"type\":\"").append(type).append("\"").append(members);
  return event.append("}\n\n");
}

// As the service sends them, in order.
std::vector<Case> openai_cases() {
  return {
      {chat(R"({"role":"assistant","content":"","refusal":null})"), EventRole::kLifecycle},
      {": OPENROUTER PROCESSING\n\n", EventRole::kHeartbeat},
      {chat(R"({"content":"Hi \"error\": {"})"), EventRole::kContent},
      {chat(R"({ "content" : "Hi" })"), EventRole::kContent},
      {chat(R"({"content":null,"tool_calls":[{"index":0,"function":{"name":"f"}}]})"),
       EventRole::kContent},
      {chat(R"({"reasoning_content":"so","content":""})"), EventRole::kContent},
      {chat(R"({"content":"","reasoning_content":"so"})"), EventRole::kContent},
      {chat(R"({"content":"bye"})", R"("stop")"), EventRole::kContent, true},
      {chat("{}", R"("stop")"), EventRole::kOther, true},
      {chat("{}"), EventRole::kLifecycle},
      {R"(data: {"object":"chat.completion.chunk","choices":[],"usage":{"total_tokens":9}})"
       "\n\n",
       EventRole::kOther},
      {R"(data: {"choices":[],"prompt_filter_results":[{"prompt_index":0}]})"
       "\n\n",
       EventRole::kLifecycle},
      {R"(data: {"object":"text_completion","choices":[{"text":"a","finish_reason":null}]})"
       "\n\n",
       EventRole::kContent},
      {R"(data: {"object":"text_completion","choices":[{"text":"","finish_reason":null}]})"
       "\n\n",
       EventRole::kLifecycle},
      {R"(data: {"error":{"message":"no","type":"server_error"}})"
       "\n\n",
       EventRole::kError},
      {R"(data: {"object":"error","message":"no","code":500})"
       "\n\n",
       EventRole::kError},
      {chat(R"({"content":""})", R"("error")", R"("error":{"code":502})"), EventRole::kError, true},
      {chat(R"({"content":"x"})", "null", R"("error":null)"), EventRole::kContent},
      {chat(R"({"content":"x"})", "null", R"("meta":{"error":"none"})"), EventRole::kContent},
      {"event: error\ndata: {\"message\":\"no\"}\n\n", EventRole::kError},
      {"event: ping\ndata: {}\n\n", EventRole::kHeartbeat},
      {"data: hello\n\n", EventRole::kOther},
      {"data: {\"keepalive\":1}\n\n", EventRole::kOther},
      {"data: [DONE]\n\n", EventRole::kEnd},
      {"data:[DONE]\r\n\r\n", EventRole::kEnd},
      {"data\n\n", EventRole::kHeartbeat},
      {"id: 7\n\n", EventRole::kHeartbeat},
      {"\n", EventRole::kHeartbeat},
  };
}

std::vector<Case> responses_cases() {
  return {
      {typed("response.created", R"(,"sequence_number":0,"response":{"id":"r","error":null})"),
       EventRole::kLifecycle},
      {typed("response.in_progress", R"(,"response":{})"), EventRole::kLifecycle},
      {typed("response.output_item.added", R"(,"item":{"content":[]})"), EventRole::kLifecycle},
      {typed("response.content_part.added", R"(,"part":{"text":""})"), EventRole::kLifecycle},
      {typed("response.output_text.delta", R"(,"delta":"Hi","logprobs":[])"), EventRole::kContent},
      {typed("response.output_text.delta", R"(,"delta":"")"), EventRole::kLifecycle},
      {typed("response.function_call_arguments.delta", R"(,"delta":"{")"), EventRole::kContent},
      {typed("response.reasoning_summary_text.delta", R"(,"delta":"so")"), EventRole::kContent},
      {typed("response.output_text.done", R"(,"text":"Hi")"), EventRole::kOther},
      {typed("response.web_search_call.searching", ""), EventRole::kOther},
      {typed("response.image_generation_call.partial_image", R"(,"partial_image_b64":"x")"),
       EventRole::kContent},
      {"data: {\"sequence_number\":4, \"type\" : "
       "\"response.output_text.delta\",\"delta\":\"x\"}\n\n",
       EventRole::kContent},
      {typed("keepalive", R"(,"sequence_number":5)"), EventRole::kHeartbeat},
      {typed("response.completed", R"(,"response":{"status":"completed"})"), EventRole::kEnd, true},
      {typed("response.incomplete", ""), EventRole::kEnd, true},
      {typed("response.failed", ""), EventRole::kError},
      {typed("error", R"(,"code":"insufficient_quota")"), EventRole::kError},
  };
}

std::vector<Case> anthropic_cases() {
  return {
      {typed("message_start", R"(,"message":{"id":"m","content":[],"usage":{"input_tokens":3}})"),
       EventRole::kLifecycle},
      {typed("content_block_start", R"(,"index":0,"content_block":{"type":"text","text":""})"),
       EventRole::kLifecycle},
      {typed("ping", ""), EventRole::kHeartbeat},
      {"data: {\"type\": \"ping\"}\n\n", EventRole::kHeartbeat},
      {typed("content_block_delta", R"(,"index":0,"delta":{"type":"text_delta","text":"Hi"})"),
       EventRole::kContent},
      {typed("content_block_delta", R"(,"delta":{"type":"thinking_delta","thinking":"so"})"),
       EventRole::kContent},
      {typed("content_block_start",
             R"(,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}})"),
       EventRole::kLifecycle},
      {typed("content_block_delta", R"(,"delta":{"type":"input_json_delta","partial_json":""})"),
       EventRole::kLifecycle},
      {typed("content_block_delta", R"(,"delta":{"type":"input_json_delta","partial_json":"{"})"),
       EventRole::kContent},
      {typed("content_block_start", R"(,"content_block":{"type":"redacted_thinking","data":"x"})"),
       EventRole::kContent},
      {typed("content_block_stop", R"(,"index":0)"), EventRole::kOther},
      {typed("message_delta", R"(,"delta":{"stop_reason":"end_turn"},"usage":{})"),
       EventRole::kOther, true},
      {typed("message_delta", R"(,"delta":{"stop_reason":null})"), EventRole::kOther},
      {typed("brand_new", ""), EventRole::kOther},
      {typed("error", R"(,"error":{"type":"overloaded_error","message":"Overloaded"})"),
       EventRole::kError},
      {typed("message_stop", ""), EventRole::kEnd},
      {"data: {\"type\":\"message_stop\"}\n\n", EventRole::kEnd},
  };
}

void expect_roles(Dialect dialect, const std::vector<Case>& cases) {
  EventLook look;
  for (const Case& one : cases) {
    EventSight whole = look.look(dialect, Pieces(one.event));
    EXPECT_EQ(whole.role, one.role) << one.event;
    EXPECT_EQ(whole.finishes, one.finishes) << one.event;
    std::string type(whole.type);
    std::string data(whole.data);
    for (size_t cut = 1; cut < one.event.size(); ++cut) {
      std::string_view event = one.event;
      std::array<std::string_view, 3> parts = {
          event.substr(0, cut / 2), event.substr(cut / 2, cut - cut / 2), event.substr(cut)};
      EventSight sight = look.look(dialect, Pieces(parts));
      ASSERT_EQ(sight.role, one.role) << one.event << cut;
      ASSERT_EQ(sight.finishes, one.finishes) << one.event << cut;
      ASSERT_EQ(sight.type, type) << one.event << cut;
      ASSERT_EQ(sight.data, data) << one.event << cut;
    }
  }
}

TEST(DialectTest, RolesInOpenAi) {
  expect_roles(Dialect::kOpenAi, openai_cases());
}

TEST(DialectTest, RolesInResponses) {
  expect_roles(Dialect::kResponses, responses_cases());
}

TEST(DialectTest, RolesInAnthropic) {
  expect_roles(Dialect::kAnthropic, anthropic_cases());
}

// One after the other, each is what it is alone, wherever the run is cut into two pieces.
TEST(DialectTest, EventsOfARun) {
  std::string run;
  for (const Case& one : openai_cases()) run += one.event;
  EventLook look;
  for (size_t cut = 0; cut <= run.size(); cut += 7) {
    std::array<std::string_view, 2> pieces = {std::string_view(run).substr(0, cut),
                                              std::string_view(run).substr(cut)};
    EventReader reader{Pieces(pieces)};
    SharedBegin begin;
    Pieces event;
    for (const Case& one : openai_cases()) {
      ASSERT_TRUE(look.read_next(reader, event));
      ASSERT_EQ(event.size(), one.event.size()) << cut;
      EventSight sight = look.sight(Dialect::kOpenAi, &begin);
      ASSERT_EQ(sight.role, one.role) << one.event << cut;
      ASSERT_EQ(sight.finishes, one.finishes) << one.event << cut;
    }
    ASSERT_FALSE(look.read_next(reader, event));
  }
}

TEST(DialectTest, WithoutDialectOnlySilenceIsKnown) {
  expect_roles(Dialect::kNone, {{"data: [DONE]\n\n", EventRole::kOther},
                                {": c\n\n", EventRole::kHeartbeat},
                                {"retry: 5\n\n", EventRole::kHeartbeat}});
}

// Cut off anywhere, an event is read without harm, and is never taken for its dialect's end.
TEST(DialectTest, BeginsOfEvents) {
  EventLook look;
  auto check = [&](Dialect dialect, const std::vector<Case>& cases) {
    for (const Case& one : cases)
      for (size_t size = 0; size < one.event.size(); ++size) {
        auto begin = std::make_unique<char[]>(size);  // so that a sanitizer sees what is behind it
        std::copy_n(one.event.data(), size, begin.get());
        EventSight sight = look.look(dialect, Pieces(std::string_view(begin.get(), size)));
        if (one.role != EventRole::kEnd) {
          EXPECT_NE(sight.role, EventRole::kEnd) << one.event << size;
        }
      }
  };
  check(Dialect::kOpenAi, openai_cases());
  check(Dialect::kResponses, responses_cases());
  check(Dialect::kAnthropic, anthropic_cases());
}

// Data that is no JSON, or half of one, is read within its bounds.
TEST(DialectTest, BrokenJson) {
  EventLook look;
  std::string json =
      R"({"choices":[{"delta":{"content":"x"},"finish_reason":"stop"}],"error":{"a":"b"},"object":1})";
  for (Dialect dialect : {Dialect::kOpenAi, Dialect::kResponses, Dialect::kAnthropic}) {
    for (size_t from = 0; from < json.size(); ++from) {
      for (size_t size = 0; from + size <= json.size(); ++size) {
        std::string event = "data: " + json.substr(from, size) + "\n\n";
        EventSight sight = look.look(dialect, Pieces(event));
        EXPECT_NE(sight.role, EventRole::kEnd) << event;
        dialect_of_event(sight);
      }
    }
  }
}

TEST(DialectTest, LinesOfDataAreJoined) {
  EventLook look;
  EventSight sight = look.look(
      Dialect::kOpenAi, Pieces(std::string_view(
                            "data: {\"choices\":\ndata: [{\"delta\":{\"content\":\ndata: \"x\"}}]}"
                            "\n\n")));
  EXPECT_EQ(sight.role, EventRole::kContent);
  EXPECT_EQ(sight.data, "{\"choices\":\n[{\"delta\":{\"content\":\n\"x\"}}]}");
}

TEST(DialectTest, Paths) {
  EXPECT_EQ(dialect_of_path("/v1/chat/completions"), Dialect::kOpenAi);
  EXPECT_EQ(dialect_of_path("/openai/deployments/x/completions"), Dialect::kOpenAi);
  EXPECT_EQ(dialect_of_path("/v1/responses"), Dialect::kResponses);
  EXPECT_EQ(dialect_of_path("/v1/messages"), Dialect::kAnthropic);
  for (std::string_view path : {"/messages", "/", "", "/v1/messages/count_tokens", "/completion",
                                "/events", "/api/responses"})
    EXPECT_EQ(dialect_of_path(path), Dialect::kNone) << path;
}

// An upstream decodes them, so they must not keep a request from being counted.
TEST(DialectTest, PathsWithEscapes) {
  EXPECT_EQ(dialect_of_path("/v1/chat/%63ompletion%73"), Dialect::kOpenAi);
  EXPECT_EQ(dialect_of_path("%2F%63%6f%6D%70%6c%65%74%69%6f%6e%73"), Dialect::kOpenAi);
  EXPECT_EQ(dialect_of_path("/v1%2Fresponses"), Dialect::kResponses);
  EXPECT_EQ(dialect_of_path("/%zz/%/v1/message%73"), Dialect::kAnthropic);
  EXPECT_FALSE(is_path_without_cost("/files/v1/chat/completion%73"));
  for (std::string_view path : {"/completion%7", "/completion%", "/completion%7s",
                                "/completion%2573", "%73", "/completions%00", "/v1/chat%"})
    EXPECT_EQ(dialect_of_path(path), Dialect::kNone) << path;
}

TEST(DialectTest, FirstEvents) {
  EventLook look;
  auto dialect_of = [&](const std::string& event) {
    return dialect_of_event(look.look(Dialect::kNone, Pieces(event)));
  };
  EXPECT_EQ(dialect_of(openai_cases()[0].event), Dialect::kOpenAi);
  EXPECT_EQ(dialect_of(responses_cases()[0].event), Dialect::kResponses);
  EXPECT_EQ(dialect_of(anthropic_cases()[0].event), Dialect::kAnthropic);
  EXPECT_EQ(dialect_of("data: {\"type\":\"message_start\",\"message\":{}}\n\n"),
            Dialect::kAnthropic);
  for (const char* event :
       {"data: {\"choices\":[]}\n\n", "data: x\n\n", "event: message_start\ndata: {}\n\n",
        "data: {\"object\":\"chat.completion\",\"choices\":[]}\n\n", "data: [DONE]\n\n",
        "event: x\ndata: {\"object\":\"chat.completion.chunk\",\"choices\":[]}\n\n"})
    EXPECT_EQ(dialect_of(event), Dialect::kNone) << event;
}

TEST(DialectTest, MembersOfTheOutermostObject) {
  EXPECT_EQ(json_member_of(R"({"a":{"b":1},"b": "x" })", "b"), "\"x\"");
  EXPECT_EQ(json_member_of(R"({"b":1,"b":2})", "b"), "2");
  EXPECT_EQ(json_member_of(R"( {"a":[1, 2]} )", "a"), "[1, 2]");
  EXPECT_EQ(json_member_of(R"({"a":{"b":1}})", "b"), "");
  EXPECT_EQ(json_member_of("[]", "b"), "");
  EXPECT_EQ(json_member_of("", "b"), "");
}

TEST(Dialect, PathsThatCostNothing) {
  for (std::string_view path :
       {"/v1/messages/count_tokens", "/v1/responses/input_tokens", "/tokenize", "/v1/files",
        "/v1/uploads/u/parts", "/v1/messages/batches/b/cancel"})
    EXPECT_TRUE(is_path_without_cost(path)) << path;
  for (std::string_view path :
       {"/v1/messages", "/files/v1/chat/completions", "/v1/embeddings", "/v1/filesystem", "/"})
    EXPECT_FALSE(is_path_without_cost(path)) << path;
}

}  // namespace
}  // namespace sluice

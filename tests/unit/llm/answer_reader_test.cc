#include "net/llm/answer_reader.h"

#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace sluice {
namespace {

using Kind = TokenKind;

AnswerReader reader_of(const std::vector<std::string>& texts) {
  AnswerReader reader;
  for (const std::string& text : texts) {
    reader.begin_text();
    reader.read(text);
  }
  return reader;
}

void expect_usage(const Usage& usage, std::vector<std::pair<Kind, uint64_t>> expected) {
  Usage wanted;
  for (auto [kind, count] : expected) wanted.set(kind, count);
  EXPECT_EQ(usage.tokens, wanted.tokens);
  EXPECT_EQ(usage.told, wanted.told);
}

const std::string kOpenAi =
    R"({"id":"c1","object":"chat.completion.chunk","model":"gpt-4o-2024-08-06","choices":[],"usage":)"
    R"({"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,"prompt_tokens_details":)"
    R"({"cached_tokens":7,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":4,)"
    R"("audio_tokens":0,"accepted_prediction_tokens":3}}})";
const std::string kAnthropicStart =
    R"({"type":"message_start","message":{"id":"m","type":"message","role":"assistant","content":[],)"
    R"("model":"claude-sonnet-4","stop_reason":null,"usage":{"input_tokens":25,)"
    R"("cache_creation_input_tokens":11,"cache_read_input_tokens":5,"cache_creation":)"
    R"({"ephemeral_5m_input_tokens":999},"output_tokens":1,"service_tier":"standard"}}})";
const std::string kAnthropicDelta =
    R"({"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":15}})";
const std::string kResponses =
    R"({"type":"response.completed","sequence_number":9,"response":{"id":"r","model":"gpt-4.1",)"
    R"("output":[{"content":[{"type":"output_text","text":"Hello"}],"usage":{"input_tokens":1}}],)"
    R"("usage":{"input_tokens":36,"input_tokens_details":{"cached_tokens":3},"output_tokens":87,)"
    R"("output_tokens_details":{"reasoning_tokens":64},"total_tokens":123}}})";

TEST(AnswerReader, ReadsTheLastChunkOfOpenAi) {
  AnswerReader reader = reader_of({kOpenAi});
  expect_usage(
      reader.usage(),
      {{Kind::kInput, 19}, {Kind::kOutput, 10}, {Kind::kCached, 7}, {Kind::kReasoning, 4}});
  EXPECT_EQ(reader.model(), "gpt-4o-2024-08-06");
  EXPECT_TRUE(reader.is_usage_alone());
}

TEST(AnswerReader, ReadsAnthropicsStartAndItsCumulativeDelta) {
  AnswerReader reader = reader_of({kAnthropicStart});
  expect_usage(
      reader.usage(),
      {{Kind::kInput, 25}, {Kind::kOutput, 1}, {Kind::kCached, 5}, {Kind::kCacheWrite, 11}});
  EXPECT_EQ(reader.model(), "claude-sonnet-4");
  EXPECT_FALSE(reader.is_usage_alone());
  reader.begin_text();
  reader.read(kAnthropicDelta);
  EXPECT_EQ(reader.usage().of(Kind::kOutput), 15U);
  EXPECT_EQ(reader.usage().of(Kind::kInput), 25U);
}

TEST(AnswerReader, ReadsTheEndOfResponses) {
  AnswerReader reader = reader_of({kResponses});
  expect_usage(
      reader.usage(),
      {{Kind::kInput, 36}, {Kind::kOutput, 87}, {Kind::kCached, 3}, {Kind::kReasoning, 64}});
  EXPECT_EQ(reader.model(), "gpt-4.1");
}

TEST(AnswerReader, ReadsWholeBodiesCutAnywhere) {
  const std::string bodies[] = {
      R"({"id":"x","model":"m","choices":[{"message":{"role":"assistant","content":"Hi \"you\""}}],)"
      R"("usage":{"prompt_tokens":3,"completion_tokens":4}})",
      R"({"type":"message","model":"m","content":[{"type":"text","text":"Hi \"you\""}],)"
      R"("usage":{"input_tokens":3,"output_tokens":4}})",
      R"({"object":"response","model":"m","output":[{"content":[{"text":"Hi \"you\""}]}],)"
      R"("usage":{"input_tokens":3,"output_tokens":4}})"};
  for (const std::string& body : bodies) {
    for (size_t cut = 0; cut <= body.size(); ++cut) {
      AnswerReader reader;
      reader.begin_text();
      reader.read(body.substr(0, cut));
      reader.read(body.substr(cut));
      expect_usage(reader.usage(), {{Kind::kInput, 3}, {Kind::kOutput, 4}});
      EXPECT_EQ(reader.model(), "m");
      EXPECT_EQ(reader.text_bytes(), 10U);
    }
  }
}

TEST(AnswerReader, IgnoresUsageThatStandsElsewhere) {
  for (const char* text :
       {R"({"x_groq":{"id":"r","usage":{"prompt_tokens":9,"completion_tokens":9}},"choices":[{}]})",
        R"({"choices":[{"usage":{"prompt_tokens":9}}]})", R"({"usage":null,"choices":[]})",
        R"({"usage":[{"prompt_tokens":9}]})", R"({"usage":{"other":{"prompt_tokens":9}}})",
        R"({"usage":{"prompt_tokens":-1,"completion_tokens":"9"}})",
        R"({"usage":{"prompt_tokens":99999999999999999999,"completion_tokens":1.5}})",
        R"({"usage":{"prompt_tokens":{"cached_tokens":9}}})", R"("usage")", R"([{"usage":{}}])"}) {
    AnswerReader reader = reader_of({text});
    expect_usage(reader.usage(), {});
    EXPECT_FALSE(reader.is_usage_alone()) << text;
  }
}

TEST(AnswerReader, TakesTheLargestOfCountsThatComeMoreThanOnce) {
  AnswerReader reader =
      reader_of({R"({"choices":[{"delta":{"content":"a"}}],"usage":{"completion_tokens":5}})",
                 R"({"choices":[{"delta":{"content":"b"}}],"usage":{"completion_tokens":6}})",
                 R"({"choices":[],"usage":{"completion_tokens":0}})"});
  EXPECT_EQ(reader.usage().of(Kind::kOutput), 6U);
}

TEST(AnswerReader, AChunkWithAChoiceIsNoUsageAlone) {
  EXPECT_FALSE(
      reader_of({R"({"choices":[{"index":0}],"usage":{"prompt_tokens":1}})"}).is_usage_alone());
  EXPECT_FALSE(reader_of({R"({"choices":[],"usage":null})"}).is_usage_alone());
  EXPECT_TRUE(reader_of({R"({"usage":{"prompt_tokens":1},"choices":[]})"}).is_usage_alone());
}

TEST(AnswerReader, ASearchExcludesWhatHasNoUsage) {
  for (const std::string& text :
       {kOpenAi, kAnthropicStart, kAnthropicDelta, kResponses, std::string("{\"usage\" : \n{}}")})
    EXPECT_TRUE(EventMembers(text).may_have_usage()) << text;
  for (const char* text :
       {R"({"choices":[{"delta":{"content":"a"}}],"usage":null})", R"({"usage" : null})", "",
        R"({"delta":{"content":"\"usage\":{"}})", R"({"usage")", R"({"usage":)", R"(["usage",{}])"})
    EXPECT_FALSE(EventMembers(text).may_have_usage()) << text;
}

struct ContentCase {
  const char* data;
  size_t bytes;
};

TEST(ContentBytes, AreThoseOfTheDelta) {
  const ContentCase cases[] = {
      {R"({"choices":[{"index":0,"delta":{"role":"assistant","content":""}}],"usage":null})", 0},
      {R"({"choices":[{"index":0,"delta":{"role":"assistant"}}]})", 0},
      {R"({"choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":null}]})", 5},
      {R"({"choices":[{"delta":{"content":"Hello"}},{"delta":{"content":" you"}}]})", 9},
      {R"({"choices":[{"delta" : { "content" : "a\"b" }}]})", 4},
      {R"({"choices":[{"delta":{"reasoning_content":"hm","content":null}}]})", 2},
      {R"({"choices":[{"delta":{"tool_calls":[{"index":0,"id":"call_1","type":"function",)"
       R"("function":{"name":"f","arguments":"{\"a\""}}]}}]})",
       6},
      {R"({"choices":[{"delta":{},"finish_reason":"stop"}]})", 0},
      {R"({"object":"text_completion","choices":[{"text":"Hello","index":0}]})", 5},
      {R"({"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hello"}})",
       5},
      {R"({"type":"content_block_delta","delta":{"type":"thinking_delta","thinking":"hm"}})", 2},
      {R"({"type":"content_block_delta","delta":{"type":"input_json_delta","partial_json":"{\"a"}})",
       4},
      {R"({"type":"content_block_delta","delta":{"type":"signature_delta","signature":"AAAA"}})",
       0},
      {R"({"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":5}})",
       0},
      {R"({"type":"response.output_text.delta","item_id":"i","delta":"Hello","obfuscation":"x"})",
       5},
      {R"({"type":"response.output_text.done","text":"Hello"})", 0},
      {R"({"type":"ping"})", 0},
      {"[DONE]", 0},
      {"", 0},
      {R"({"choices":[{"delta":{"content":"\"delta\":\"xx\""}}]})", 16},
      {R"({"choices":[{"delta":{"content":"cut)", 0},
  };
  for (const ContentCase& one : cases)
    EXPECT_EQ(content_bytes(one.data, EventMembers(one.data)), one.bytes) << one.data;
}

}  // namespace
}  // namespace sluice

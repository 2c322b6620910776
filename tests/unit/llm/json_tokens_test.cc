#include "net/llm/json_tokens.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace sluice {
namespace {

// Each token as a word, with its depth.
std::vector<std::string> words_of(const std::vector<std::string>& pieces) {
  std::vector<std::string> words;
  JsonTokens tokens;
  JsonTokens::Token token;
  for (std::string_view piece : pieces) {
    while (tokens.next(piece, token)) {
      static constexpr const char* kKinds[] = {"name ", "string ", "scalar ", "begin ", "end "};
      std::string word = kKinds[static_cast<unsigned>(token.kind)];
      word += token.kind >= JsonTokens::Kind::kBegin ? (token.object ? "object" : "array")
                                                     : std::string(token.text);
      words.push_back(word + "@" + std::to_string(token.depth));
      EXPECT_GE(token.size, token.text.size());
    }
  }
  return words;
}

const std::string kText =
    R"( {"a" : [1, -2.5e3 ,true,{"b\"\\":"x\"y\\", "c":null}], "d":{}, "e":"","f":["g",[]]} )";

TEST(JsonTokens, HaveKindsAndDepths) {
  std::vector<std::string> expected = {"begin object@0", "name a@1",         "begin array@1",
                                       "scalar 1@2",     "scalar -2.5e3@2",  "scalar true@2",
                                       "begin object@2", "name b\\\"\\\\@3", "string x\\\"y\\\\@3",
                                       "name c@3",       "scalar null@3",    "end object@2",
                                       "end array@1",    "name d@1",         "begin object@1",
                                       "end object@1",   "name e@1",         "string @1",
                                       "name f@1",       "begin array@1",    "string g@2",
                                       "begin array@2",  "end array@2",      "end array@1",
                                       "end object@0"};
  EXPECT_EQ(words_of({kText}), expected);
}

TEST(JsonTokens, AreTheSameHoweverTheTextIsCut) {
  std::vector<std::string> whole = words_of({kText});
  for (size_t one = 0; one <= kText.size(); ++one)
    for (size_t two = one; two <= kText.size(); ++two)
      ASSERT_EQ(words_of({kText.substr(0, one), kText.substr(one, two - one), kText.substr(two)}),
                whole)
          << one << " " << two;
}

TEST(JsonTokens, TellTheSizeOfALongStringAndItsBegin) {
  std::string text = "\"" + std::string(10'000, 'x') + "\"";
  JsonTokens tokens;
  JsonTokens::Token token;
  std::string_view piece = text;
  ASSERT_TRUE(tokens.next(piece, token));
  EXPECT_EQ(token.size, 10'000U);
  EXPECT_EQ(token.text.size(), JsonTokens::kTextBytesMax);
}

TEST(JsonTokens, GoOnBehindWhatIsTooDeep) {
  std::string open;
  std::string close;
  for (unsigned i = 0; i < JsonTokens::kDepthMax + 10; ++i) {
    open += R"([{"a":)";
    close += "}]";
  }
  std::vector<std::string> words = words_of({R"({"b":)" + open + "1" + close + R"(,"c":true})"});
  size_t count = words.size();
  ASSERT_GT(count, 3U);
  EXPECT_EQ(words[count - 3], words_of({R"({"c":true})"})[1]);
  EXPECT_EQ(words[count - 2], words_of({R"({"c":true})"})[2]);
}

TEST(JsonTokens, OfWhatIsNoJsonDoNoHarm) {
  for (const char* text :
       {"", "}", "]]]", "{]}", "{\"a", "\\\"", "{,,:::}", "data: {\"a\":1}", "nul\0l"})
    words_of({text, text, text});
}

}  // namespace
}  // namespace sluice

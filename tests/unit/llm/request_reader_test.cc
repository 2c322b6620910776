#include "net/llm/request_reader.h"

#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/random_source.h"

namespace sluice::test {
namespace {

struct Spliced {
  std::string text;
  RequestReader reader;
};

Spliced splice(const std::vector<std::string>& pieces) {
  Spliced spliced;
  for (std::string piece : pieces) {
    bool inserted = spliced.reader.inserted();
    if (auto insertion = spliced.reader.read(piece)) {
      EXPECT_FALSE(inserted);
      EXPECT_LE(insertion->text.size(), RequestReader::kInsertionBytesMax);
      EXPECT_EQ(piece.at(insertion->at), '}');
      piece.insert(insertion->at, insertion->text);
    }
    spliced.text += piece;
  }
  return spliced;
}

struct Case {
  std::string body;
  std::string spliced;  // "": as it is
  bool asks = false;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {R"({"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"Hi"}]})",
       R"({"model":"gpt-4o","stream":true,"messages":[{"role":"user","content":"Hi"}],"stream_options":{"include_usage":true}})"},
      {"{\n  \"stream\" : true\n}\n",
       "{\n  \"stream\" : true\n,\"stream_options\":{\"include_usage\":true}}\n"},
      {R"({"stream":true,"stream_options":{}})",
       R"({"stream":true,"stream_options":{"include_usage":true}})"},
      {R"({"stream_options":{"include_obfuscation":false},"stream":true})",
       R"({"stream_options":{"include_obfuscation":false,"include_usage":true},"stream":true})"},
      {R"({"stream":true,"stream_options":{"include_usage":true}})", "", true},
      {R"({"stream":true,"stream_options":{"include_usage":false}})", ""},
      {R"({"stream":true,"stream_options":{"include_usage":null}})", ""},
      {R"({"stream":true,"stream_options":null})", ""},
      {R"({"stream":false})", ""},
      {R"({"model":"m","messages":[]})", ""},
      {R"({"stream":"true"})", ""},
      {R"({"stream":true,"stream":false})", ""},
      {R"({"stream":false,"stream":true})",
       R"({"stream":false,"stream":true,"stream_options":{"include_usage":true}})"},
      {R"({"tools":[{"stream":true}],"a":{"stream":true,"stream_options":{}}})", ""},
      {R"({"stream":true,"a":{"stream_options":{"include_usage":true}}})",
       R"({"stream":true,"a":{"stream_options":{"include_usage":true}},"stream_options":{"include_usage":true}})"},
      {R"({"stream":true,"content":"}\"}{"})",
       R"({"stream":true,"content":"}\"}{","stream_options":{"include_usage":true}})"},
      {R"({"stream":true} {"stream":true})",
       R"({"stream":true,"stream_options":{"include_usage":true}} {"stream":true})"},
      {R"({"stream":true,"stream_options":{"a":{"include_usage":true}}})",
       R"({"stream":true,"stream_options":{"a":{"include_usage":true},"include_usage":true}})"},
      {"[]", ""},
      {"", ""},
      {"{}", ""},
      {R"({"stream":true)", ""},
  };
  return all;
}

TEST(RequestReader, PutsTheMemberInWhereItIsMissing) {
  for (const Case& one : cases()) {
    Spliced spliced = splice({one.body});
    EXPECT_EQ(spliced.text, one.spliced.empty() ? one.body : one.spliced);
    EXPECT_EQ(spliced.reader.inserted(), !one.spliced.empty()) << one.body;
    EXPECT_EQ(spliced.reader.asks_for_usage(), one.asks) << one.body;
  }
}

TEST(RequestReader, DoesSoHoweverTheBodyIsCut) {
  for (const Case& one : cases())
    for (size_t cut = 0; cut <= one.body.size(); ++cut)
      EXPECT_EQ(splice({one.body.substr(0, cut), one.body.substr(cut)}).text,
                one.spliced.empty() ? one.body : one.spliced)
          << cut;
}

TEST(RequestReader, TellsTheModelAndTheTextThatItIsGiven) {
  RequestReader reader;
  reader.read(
      R"({"model":"m-1","system":"Be brief","messages":[{"role":"user","content":[)"
      R"({"type":"text","text":"What is it?"},{"type":"image_url","image_url":{"url":"data:AAAAAA"}}]}]})");
  EXPECT_EQ(reader.model(), "m-1");
  EXPECT_EQ(reader.text_bytes(), 19U);
  EXPECT_FALSE(reader.streams());
}

// What a request says of its stream and model, whole and cut at each byte.
TEST(RequestReader, TellsWhetherItStreams) {
  struct Said {
    std::string body;
    bool streams;
    std::string model = {};
  };
  const std::vector<Said> all = {
      {R"({"model":"gpt-x","messages":[{"role":"user","content":"hi"}],"stream":true})", true,
       "gpt-x"},
      {R"({"messages":[{"content":"say \"stream\":false, \\"}],"stream" : true ,"model":"a"})",
       true, "a"},
      {"{\n  \"stream\": true,\r\n\t\"model\": \"a/b:c\"\n}\n", true, "a/b:c"},
      {R"({"stream":"true","model":7})", false},
      {R"({"stream":true,"stream":false,"model":"a","model":"b"})", false, "b"},
      {R"({"stream":true,"stream":"true"})", false},
      {R"({"stream":true,"stream":{"stream":true}})", false},
      {R"({"metadata":{"stream":true,"model":"x"},"tools":[{"model":"y"},"stream",true]})", false},
      {R"({"a":"stream","b":"model","model":"stream","stream":true})", true, "stream"},
      {R"({"model":"with \"quotes\" \\"})", false, R"(with?\"quotes\"?\\)"},
      {R"({"stream":true)", false},  // cut off behind it: nobody knows what follows
      {R"({"stream":true,)", true},
      {"{\"stream" + std::string(200, 'x') + "\":true}", false},
      {R"([{"stream":true}])", false},
      {R"("stream")", false},
      {"stream=true", false},
      {"null", false},
      {"}", false},
  };
  for (const Said& said : all)
    for (size_t cut = 0; cut <= said.body.size(); ++cut) {
      RequestReader reader;
      std::string_view body = said.body;
      reader.read(body.substr(0, cut / 2));
      reader.read(body.substr(cut / 2, cut - cut / 2));
      reader.read(body.substr(cut));
      EXPECT_EQ(reader.streams(), said.streams) << body << " cut at " << cut;
      EXPECT_EQ(reader.model(), said.model) << body << " cut at " << cut;
    }
}

TEST(RequestReader, ReadsOneObjectAndNothingElse) {
  for (const char* body : {R"({"stream":false}{"stream":true})", R"(x=1&y={"stream":true})",
                           R"([1]{"stream":true})", R"([{"stream":true}])", R"("a"{"stream":true})",
                           "--x\r\n\r\n{\"stream\": true}\r\n--x--"}) {
    Spliced spliced = splice({body});
    EXPECT_FALSE(spliced.reader.streams()) << body;
    EXPECT_EQ(spliced.text, body);
  }
  EXPECT_TRUE(splice({R"( {"stream":true} x)"}).reader.streams());
}

TEST(RequestReader, ReadsWhatStandsBehindDeepOnes) {
  std::string deep = std::string(70, '[') + std::string(70, ']');
  EXPECT_TRUE(splice({R"({"messages":)" + deep + R"(,"stream":true})"}).reader.streams());
}

TEST(RequestReader, KeepsOfAModelWhatCanBeALabel) {
  RequestReader reader;
  reader.read("{\"model\":\"a b\xff\n" + std::string(100, 'x') + "\"}");
  EXPECT_EQ(reader.model(), "a?b??" + std::string(59, 'x'));
}

// Whatever the bytes and wherever they are cut.
TEST(RequestReader, MakesOneInsertionAtMostBeforeABrace) {
  RandomSource random;
  SCOPED_TRACE(random.trace());
  const char* const words[] = {"{",          "}",     "[",         "]",
                               ",",          ":",     "\"",        "\\",
                               "\"stream\"", "true",  " ",         "\"stream_options\"",
                               "null",       "false", "\"model\"", "\"include_usage\"",
                               "1",          "\"a\""};
  for (int i = 0; i < 20'000; ++i) {
    std::vector<std::string> pieces(1);
    std::string body = random.between(0, 1) == 0 ? R"({"stream":true,)" : "";
    pieces.back() = body;
    for (size_t n = random.between(0, 30); n > 0; --n) {
      if (random.between(0, 5) == 0) pieces.emplace_back();
      const char* word = words[random.between(0, std::size(words) - 1)];
      pieces.back() += word;
      body += word;
    }
    EXPECT_EQ(splice(pieces).text, splice({body}).text) << body;
  }
}

}  // namespace
}  // namespace sluice::test

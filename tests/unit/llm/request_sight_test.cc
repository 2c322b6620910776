#include "net/llm/request_sight.h"

#include <string>

#include <gtest/gtest.h>

namespace sluice {
namespace {

struct Said {
  bool object = true;
  bool stream = false;
  std::string model = {};
  bool options = false;
  bool usage = false;
  bool operator==(const Said&) const = default;
};

Said said_by(const RequestSight& sight) {
  return {.object = sight.is_object(),
          .stream = sight.stream(),
          .model = std::string(sight.model()),
          .options = sight.has_stream_options(),
          .usage = sight.include_usage()};
}

// Whole, and cut at each byte into three.
void expect_said(const std::string& body, const Said& said) {
  for (size_t cut = 0; cut <= body.size(); ++cut) {
    RequestSight sight;
    std::string_view bytes = body;
    sight.look(bytes.substr(0, cut / 2));
    sight.look(bytes.substr(cut / 2, cut - cut / 2));
    sight.look(bytes.substr(cut));
    ASSERT_EQ(said_by(sight), said) << body << " cut at " << cut;
  }
  RequestSight sight;
  for (char c : body) sight.look({&c, 1});
  ASSERT_EQ(said_by(sight), said) << body << " byte by byte";
}

TEST(RequestSightTest, Shapes) {
  expect_said(R"({"model":"gpt-x","messages":[{"role":"user","content":"hi"}],"stream":true})",
              {.stream = true, .model = "gpt-x"});
  expect_said(
      R"({"messages":[{"content":"say \"stream\":false, \\"}],"stream" : true ,"model":"a"})",
      {.stream = true, .model = "a"});
  expect_said("{\n  \"stream\": true,\r\n\t\"model\": \"a/b:c\"\n}\n",
              {.stream = true, .model = "a/b:c"});
  expect_said(R"({"stream":true,"stream_options":{"include_usage":true},"model":"m"})",
              {.stream = true, .model = "m", .options = true, .usage = true});
  expect_said(R"({"stream_options":{"x":{"include_usage":true},"include_usage":false}})",
              {.options = true});
  expect_said(R"({"stream_options":{"x":[{"include_usage":true}]},"include_usage":true})",
              {.options = true});
  expect_said(R"({"stream_options":null,"stream":false})", {});
  expect_said(R"({"stream":"true","model":7})", {});
  expect_said(R"({"stream":true,"stream":false,"model":"a","model":"b"})", {.model = "b"});
  expect_said(R"({"metadata":{"stream":true,"model":"x"},"tools":[{"model":"y"},"stream",true]})",
              {});
  expect_said(R"({"a":"stream","b":"model","model":"stream","stream":true})",
              {.stream = true, .model = "stream"});
  expect_said(R"({"model":"with \"quotes\" \\"})", {.model = R"(with \"quotes\" \\)"});
  expect_said(R"({})", {});
  expect_said(R"({"stream":true)", {});  // cut off behind it: nobody knows what follows
  expect_said(R"({"stream":true,)", {.stream = true});
}

TEST(RequestSightTest, WhatIsNoObjectSaysNothing) {
  for (const char* body : {"", "[{\"stream\":true}]", "\"stream\"", "stream=true", "null", "}",
                           "\x1f\x8b\x08{\"stream\":true}", "]{\"stream\":true}"}) {
    expect_said(body, {.object = false});
    RequestSight sight;
    sight.look(body);
    EXPECT_EQ(sight.done(), *body != '\0') << body;
  }
}

TEST(RequestSightTest, KnowsWhereThingsAre) {
  std::string body = R"( {"stream_options": {"a":1}, "stream":true} )";
  RequestSight sight;
  for (size_t i = 0; i < body.size(); ++i) {
    EXPECT_EQ(sight.done(), i > body.rfind('}')) << i;
    sight.look(std::string_view(body).substr(i, 1));
  }
  EXPECT_EQ(sight.end(), body.rfind('}'));
  EXPECT_EQ(sight.stream_options_at(), body.find("{\"a\""));
}

TEST(RequestSightTest, LooksNoFurtherThanItsLimit) {
  std::string filler = "{\"x\":\"" + std::string(limits::kLlmRequestBytes - 40, 'y') + "\",";
  RequestSight near;
  near.look(filler);
  near.look("\"stream\":true}");
  EXPECT_TRUE(near.stream());
  EXPECT_TRUE(near.done());
  RequestSight far;
  far.look(filler);
  far.look(std::string(50, ' '));
  EXPECT_TRUE(far.done());
  far.look("\"stream\":true}");
  EXPECT_FALSE(far.stream());
}

TEST(RequestSightTest, LongNamesAndModels) {
  std::string model(limits::kLlmModelBytes + 50, 'm');
  expect_said("{\"model\":\"" + model + "\"}", {.model = model.substr(0, limits::kLlmModelBytes)});
  expect_said("{\"stream" + std::string(200, 'x') + "\":true}", {});
}

}  // namespace
}  // namespace sluice

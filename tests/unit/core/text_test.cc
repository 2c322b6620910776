#include "core/text.h"

#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace sluice {
namespace {

TEST(Number, IsAppendedInDecimal) {
  std::string text = "n=";
  append_number(text, 0);
  append_number(text, UINT64_MAX);
  EXPECT_EQ(text, "n=018446744073709551615");
}

std::string json_escaped(std::string_view text) {
  std::string out = "kept ";
  append_json_escaped(out, text);
  EXPECT_TRUE(out.starts_with("kept "));
  return out.substr(5);
}

TEST(JsonEscaped, KeepsPlainText) {
  EXPECT_EQ(json_escaped(""), "");
  EXPECT_EQ(json_escaped("GET /v1/chat?q='x'&y=<z>"), "GET /v1/chat?q='x'&y=<z>");
}

TEST(JsonEscaped, EscapesQuotesBackslashesAndControls) {
  EXPECT_EQ(json_escaped("a\"b"), "a\\\"b");
  EXPECT_EQ(json_escaped("a\\b"), "a\\\\b");
  EXPECT_EQ(json_escaped("\r\n\t\x01\x1f"), "\\u000d\\u000a\\u0009\\u0001\\u001f");
  EXPECT_EQ(json_escaped(std::string_view("\0", 1)), "\\u0000");
  EXPECT_EQ(json_escaped("\x7f"), "\\u007f");
}

TEST(JsonEscaped, BytesBeyondAsciiAreLatin1) {
  EXPECT_EQ(json_escaped("\xff\xe9"), "\\u00ff\\u00e9");
}

TEST(JsonEscaped, EveryByteGivesPrintableAscii) {
  for (int c = 0; c < 256; ++c) {
    std::string text = json_escaped(std::string(1, static_cast<char>(c)));
    for (char shown : text) EXPECT_TRUE(shown >= 0x20 && shown < 0x7f) << c;
    EXPECT_TRUE(text.size() < 6 || std::stoi(text.substr(2), nullptr, 16) == c) << text;
  }
}

}  // namespace
}  // namespace sluice

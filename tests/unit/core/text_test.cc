#include "core/text.h"

#include <cstdint>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "core/random.h"

namespace sluice {
namespace {

TEST(Decimal, IsTheWholeText) {
  EXPECT_EQ(parse_decimal("0"), 0U);
  EXPECT_EQ(parse_decimal("007"), 7U);
  EXPECT_EQ(parse_decimal("18446744073709551615"), UINT64_MAX);
  for (std::string_view text :
       {"", "-1", "+1", "-0", " 1", "1 ", "1x", "0x1", "1.0", "1e3", "18446744073709551616"}) {
    EXPECT_EQ(parse_decimal(text), std::nullopt) << "'" << text << "'";
  }
  EXPECT_EQ(parse_decimal(std::string_view("1\0", 2)), std::nullopt);
}

TEST(Decimal, IsAtMostTheMaximum) {
  EXPECT_EQ(parse_decimal("65535", 65535), 65535U);
  EXPECT_EQ(parse_decimal("65536", 65535), std::nullopt);
  EXPECT_EQ(parse_decimal("0", 0), 0U);
}

TEST(Real, IsTheWholeText) {
  EXPECT_EQ(parse_real("0.25"), 0.25);
  EXPECT_EQ(parse_real("-1e3"), -1000);
  for (std::string_view text : {"", " 1", "1 ", "1x", "+1", "1e999"}) {
    EXPECT_EQ(parse_real(text), std::nullopt) << "'" << text << "'";
  }
}

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

TEST(FindText, FindsWhatFindDoes) {
  Random random(1);
  for (int i = 0; i < 20'000; ++i) {
    std::string text(random.between(0, 79), 'a');
    for (char& c : text) c = random.between(0, 9) < 3 ? 'b' : 'a';
    text.shrink_to_fit();  // its end is the allocation's
    std::string what(random.between(0, 6), 'a');
    for (char& c : what) c = random.between(0, 9) < 3 ? 'b' : 'a';
    size_t from = random.between(0, text.size() + 1);
    EXPECT_EQ(find_text(text, what, from), text.find(what, from))
        << text << " " << what << " " << from;
  }
}

TEST(FindText, NothingIsFoundBehindTheEnd) {
  std::string text(100, 'a');
  for (size_t from : {text.size() + 1, SIZE_MAX - 20, SIZE_MAX})
    EXPECT_EQ(find_text(text, "aaaa", from), std::string::npos);
}

TEST(FindText, FindsANameAtEachPlace) {
  const std::string name = "\"usage\"";
  for (size_t size = 0; size < 70; ++size) {
    for (size_t at = 0; at <= size; ++at) {
      std::string text = std::string(at, '"') + name + std::string(size - at, 'u');
      EXPECT_EQ(find_text(text, name), at);
      EXPECT_EQ(find_text(text, name, at + 1), std::string::npos);
    }
  }
}

TEST(FindEither, FindsTheFirstAtEachPlace) {
  for (size_t size = 0; size < 70; ++size) {
    for (size_t at = 0; at <= size; ++at) {
      std::string text(size, 'a');
      if (at < size) text[at] = at % 2 == 0 ? 'b' : 'c';
      if (at + 3 < size) text[at + 3] = 'b';
      text.shrink_to_fit();
      for (size_t from : {size_t{0}, at / 2, at}) EXPECT_EQ(find_either(text, 'b', 'c', from), at);
    }
  }
}

// Another value would send the keys of --balance hash elsewhere when a new version starts.
TEST(HashText, IsTheSameInEveryVersion) {
  EXPECT_EQ(hash_text(""), 0xf52a15e9a9b5e89bU);
  EXPECT_EQ(hash_text("a"), 0x2c0bdbf481420f8U);
  EXPECT_EQ(hash_text("http://127.0.0.1:9000"), 0xa5bdd197e8f271afU);
}

}  // namespace
}  // namespace sluice

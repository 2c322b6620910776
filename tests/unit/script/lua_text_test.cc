// Expressions and JSON as scripts have them: what each function returns.
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "core/utf8.h"
#include "tests/unit/script/script_testing.h"

namespace sluice::test {
namespace {

struct Case {
  std::string_view expression;
  std::string_view value;
};

void expect_all(const std::vector<Case>& cases) {
  for (const Case& one : cases) EXPECT_EQ(value_of(one.expression), one.value) << one.expression;
}

TEST(Expressions, Find) {
  expect_all({
      {"re.find('hello', 'l+')", "3 4"},
      {"re.find('hello', 'x')", "nil"},
      {"re.find('hello', '(l)(x)?(o)')", "4 5 l nil o"},
      {"re.find('hello', '')", "1 0"},
      {"re.find('', '')", "1 0"},
      {"re.find('hello', 'l', 4)", "4 4"},
      {"re.find('hello', 'l', 5)", "nil"},
      {"re.find('hello', '$', 6)", "6 5"},
      {"re.find('hello', '', 7)", "nil"},
      {"re.find('hello', 'l', -2)", "4 4"},
      {"re.find('hello', 'h', -99)", "1 1"},
      {"re.find('hello', '^l', 3)", "nil"},
      {"re.find('a\\0b', 'b')", "3 3"},
      {"re.find(12, '2')", "2 2"},
  });
}

TEST(Expressions, Match) {
  expect_all({
      {"re.match('key=value', '\\\\w+')", "key"},
      {"re.match('key=value', '(\\\\w+)=(\\\\w+)')", "key value"},
      {"re.match('key=value', '=(x)?')", "nil"},
      {"re.match('key', '(x)')", "nil"},
      {"re.match('a1b2', '\\\\d', 3)", "2"},
      {"re.match('abcdefghijk', '(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)')", "a b c d e f g h i"},
  });
}

TEST(Expressions, Gsub) {
  expect_all({
      {"re.gsub('hello', 'l', 'L')", "heLLo 2"},
      {"re.gsub('hello', 'l', 'L', 1)", "heLlo 1"},
      {"re.gsub('hello', 'x', 'y')", "hello 0"},
      {"re.gsub('hello', '(h)(e)', '%2%1%%%0')", "eh%hello 1"},
      {"re.gsub('abc', '', '-')", "-a-b-c- 4"},
      {"re.gsub('', '', '-')", "- 1"},
      {"re.gsub('\xC3\xA4\xE2\x82\xAC', '', '-')", "-\xC3\xA4-\xE2\x82\xAC- 3"},
      {"re.gsub('abc', 'b*', '-')", "-a--c- 4"},
      {"re.gsub('aaa', '^a', '')", "aa 1"},
      {"re.gsub('a.b', re.quote('.'), '%%')", "a%b 1"},
      {"re.quote('a+\\0\xC3\xA4_ ')", "a\\+\\x00\xC3\xA4_\\ "},
  });
}

TEST(Expressions, Mistakes) {
  constexpr std::string_view kBegin = "s 0: s.lua:1: bad argument ";
  for (auto [expression, wrong] : std::vector<std::pair<std::string_view, std::string>>{
           {"re.find('x', '(')", "#2 to 'find' (is no regular expression: missing ): ()"},
           {"re.find('x', '\\\\C')",
            "#2 to 'find' (may not have \\C, which can cut a character in two)"},
           {"re.find('x', ('a'):rep(20000))", "#2 to 'find' (is longer than 16384 bytes)"},
           {"re.gsub('x', 'x', '%1')",
            "#3 to 'gsub' (%0 to %9 name groups that there are, and %% is a percent sign)"},
           {"re.gsub('x', 'x', '%')",
            "#3 to 'gsub' (%0 to %9 name groups that there are, and %% is a percent sign)"},
           {"re.gsub('x', 'x', {})", "#3 to 'gsub' (string expected, got table)"},
           {"re.match(nil, 'x')", "#1 to 'match' (string expected, got nil)"},
       })
    EXPECT_EQ(value_of("(" + std::string(expression) + ")"), std::string(kBegin) + wrong);
}

TEST(Json, Get) {
  std::string json =
      "'{\"s\":\"a\\\\u00e4\\\\n\",\"n\":-1.5e2,\"t\":true,\"f\":false,\"z\":null,"
      "\"o\":{ \"x\" : [1, 2] },\"s\":\"last\"}'";
  expect_all({
      {"json.get(" + json + ", '/s')", "last string"},
      {"json.get('[\"a\\\\u00e4\\\\t\"]', '/0')", "a\xC3\xA4\t string"},
      {"json.get(" + json + ", '/n')", "-150 number"},
      {"json.get(" + json + ", '/t')", "true boolean"},
      {"json.get(" + json + ", '/f')", "false boolean"},
      {"json.get(" + json + ", '/z') == json.null", "true"},
      {"json.get(" + json + ", '/o')", "{ \"x\" : [1, 2] } object"},
      {"json.get(" + json + ", '/o/x')", "[1, 2] array"},
      {"json.get(" + json + ", '/o/x/1')", "2 number"},
      {"json.get(" + json + ", '/gone')", "nil"},
      {"json.get(' 7 ', '')", "7 number"},
      {"json.get('[DONE]', '/a')", "nil"},
      {"json.get('', '')", "nil"},
      {"json.get('{\"a\":1} x', '/a')", "nil"},
  });
}

TEST(Json, Set) {
  expect_all({
      {"json.set('{\"a\": 1.0, \"b\":2}', '/b', 'x\"\\n')",
       "{\"a\": 1.0, \"b\":\"x\\\"\\n\"} true"},
      {"json.set('{}', '/a', 1)", "{\"a\":1} true"},
      {"json.set('{}', '/a', 0.1)", "{\"a\":0.1} true"},
      {"json.set('{}', '/a', 1e15)", "{\"a\":1e+15} true"},
      {"json.set('{}', '/a', 123456789)", "{\"a\":123456789} true"},
      {"json.set('{}', '/a', true)", "{\"a\":true} true"},
      {"json.set('{}', '/a', json.null)", "{\"a\":null} true"},
      {"json.set('[1]', '/-', 2)", "[1,2] true"},
      {"json.set('{}', '/a/b', 2)", "{} false"},
      {"json.set('1', '', 'x')", "\"x\" true"},
      {"json.set('1', '/a', 'x')", "1 false"},
      {"json.set('[DONE]', '/a', 'x')", "[DONE] false"},
      {"json.put('{\"a\":1}', '/a', '{ \"b\" : [] }')", "{\"a\":{ \"b\" : [] }} true"},
      {"json.remove('{\"a\":1,\"b\":2,\"a\":3}', '/a')", "{\"b\":2} true"},
      {"json.remove('[1,2]', '/0')", "[2] true"},
      {"json.remove('{}', '/a')", "{} false"},
      {"json.quote('a\"')", "\"a\\\"\""},
      {"json.quote(1.5)", "1.5"},
      {"json.set(json.set(json.set('{}', '/a', 1), '/b', 2), '/a', 3)", "{\"a\":3,\"b\":2} true"},
  });
}

// A character that was cut would make the whole no JSON for its readers.
TEST(Json, StringsAreUtf8) {
  constexpr std::string_view kNone = "\xEF\xBF\xBD";
  expect_all({
      {"json.quote(('\xC3\xA4'):sub(1, 1) .. 'x')", "\"\xEF\xBF\xBDx\""},
      {"json.quote('\xF0\x9F\x98\x80\xC3\xA4')", "\"\xF0\x9F\x98\x80\xC3\xA4\""},
      {"json.get(json.set('{}', '/a', '\\255'), '/a')", "\xEF\xBF\xBD string"},
  });
  std::string room;
  for (std::string_view bad :
       {"\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xF0\x8F\xBF\xBF",
        "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xC3", "\xE2\x82", "\xF0\x9F\x98"}) {
    std::string all(as_utf8(bad, room));
    for (size_t at = 0; at < all.size(); at += kNone.size())
      EXPECT_EQ(all.substr(at, kNone.size()), kNone);
    EXPECT_FALSE(all.empty());
  }
  for (std::string_view good :
       {"", "a", "\x7F", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEE\x80\x80",
        "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"})
    EXPECT_EQ(as_utf8(good, room).data(), good.data());
}

TEST(Json, Mistakes) {
  constexpr std::string_view kBegin = "s 0: s.lua:1: bad argument ";
  for (
      auto [expression, wrong] : std::vector<std::pair<std::string_view, std::string>>{
          {"json.get('{}', 'a')", "#2 to 'get' (is no JSON pointer: \"/choices/0/delta\")"},
          {"json.get(nil, '/a')", "#1 to 'get' (string expected, got nil)"},
          {"json.set('{}', '/a', {})",
           "#3 to 'set' (a string, a number, a boolean or json.null; json.put takes JSON as text)"},
          {"json.set('{}', '/a')",
           "#3 to 'set' (a string, a number, a boolean or json.null; json.put takes JSON as text)"},
          {"json.set('{}', '/a', 0/0)", "#3 to 'set' (JSON has no such number)"},
          {"json.put('{}', '/a', 'x')", "#3 to 'put' (is no JSON; json.set takes strings)"},
          {"json.remove('{}', '')", "#2 to 'remove' (the whole cannot be removed)"},
      })
    EXPECT_EQ(value_of("(" + std::string(expression) + ")"), std::string(kBegin) + wrong);
}

TEST(Tools, KeepWhatWasCompiledWithinABound) {
  ScriptTools tools;
  bool made = false;
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(tools.pattern("a" + std::to_string(i), made));
    EXPECT_TRUE(made);
    ASSERT_TRUE(tools.pattern("a" + std::to_string(i), made));
    EXPECT_FALSE(made);
    ASSERT_TRUE(tools.pointer("/a" + std::to_string(i)));
  }
  ASSERT_TRUE(tools.pattern("a999", made));
  EXPECT_FALSE(made);
  ASSERT_TRUE(tools.pattern("a0", made));
  EXPECT_TRUE(made);
}

}  // namespace
}  // namespace sluice::test

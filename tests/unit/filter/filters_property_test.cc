// Random events, most of them with JSON, through filters that edit it.
#include <string>

#include <gtest/gtest.h>

#include "tests/unit/filter/filter_properties.h"
#include "tests/unit/random_source.h"

namespace sluice::test {
namespace {

template <size_t N>
const char* one_of(RandomSource& random, const char* const (&all)[N]) {
  return all[random.between(0, N - 1)];
}

std::string json(RandomSource& random, int depth) {
  auto blank = [&] { return one_of(random, {"", "", "", " ", "\t "}); };
  if (depth == 0 || random.between(0, 3) == 0)
    return one_of(random,
                  {"1.50", "-0", "1e9", "true", "null", "\"\"", "\"a\"", "\"1a\\nb\"",
                   "\"\\u0061\\\\\"", "\"\\\"{[,\"", "\"\xC3\xA9 9\"", "\"\\ud83d\\ude00 0\""});
  bool object = random.between(0, 2) > 0;
  std::string text = object ? "{" : "[";
  size_t count = random.between(0, 3);
  for (size_t i = 0; i < count; ++i) {
    if (i > 0) text += ",";
    text += blank();
    if (object)
      text += std::string(one_of(random, {"\"a\"", "\"a\"", "\"b\"", "\"\\u0061\"", "\"\\\"\""})) +
              blank() + ":" + blank();
    text += json(random, depth - 1) + blank();
  }
  return text + (object ? "}" : "]");
}

std::string event(RandomSource& random) {
  std::string end = one_of(random, {"\n", "\n", "\r\n", "\r"});
  std::string data = json(random, 4);
  if (random.between(0, 9) == 0) data.erase(random.between(0, data.size() - 1), 1);
  std::string text;
  if (random.between(0, 3) == 0) text += "id: 7" + end;
  if (random.between(0, 3) == 0) text += ": a comment" + end;
  text += one_of(random, {"data: ", "data:"});
  for (char c : data) {
    text += c;
    if (c == ',' && random.between(0, 9) == 0) text += end + "data: ";
  }
  text += end;
  if (random.between(0, 3) == 0) text += "event: a" + end;
  return text + end;
}

TEST(FilterProperties, Hold) {
  RandomSource random;
  SCOPED_TRACE(random.trace());
  for (int i = 0; i < 1500; ++i) {
    std::string stream;
    for (size_t n = random.between(1, 3); n > 0; --n) stream += event(random);
    expect_filter_properties(stream);
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace sluice::test

// The properties of scripts on streams put together at random, of the bytes that make a difference.
#include <array>
#include <string>

#include <gtest/gtest.h>

#include "tests/unit/random_source.h"
#include "tests/unit/script/script_properties.h"

namespace sluice::test {
namespace {

TEST(ScriptProperties, HoldOfRandomStreams) {
  constexpr std::array<std::string_view, 26> kPieces = {"\n",
                                                        "\r",
                                                        "\r\n",
                                                        "\n\n",
                                                        "data",
                                                        ":",
                                                        " ",
                                                        "event",
                                                        "id",
                                                        "x",
                                                        "\xC3\xA4",
                                                        "\xC3",
                                                        "{\"a\":1}",
                                                        "{\"b\":[1,2]",
                                                        ",\"c\":\"\\u00e4\\n\"}",
                                                        "[1]",
                                                        "\"",
                                                        "\\",
                                                        "null",
                                                        "\xEF\xBB\xBF",
                                                        "data: {\"a\": \"x\"}\n\n",
                                                        "data: {\"c\":\ndata: 1}\n\n",
                                                        ": c\n\n",
                                                        "data:\n\n",
                                                        "retry: 3\n",
                                                        std::string_view("\0", 1)};
  RandomSource random;
  SCOPED_TRACE(random.trace());
  for (int round = 0; round < 300; ++round) {
    std::string stream;
    for (size_t count = random.between(1, 40); count > 0; --count)
      stream += kPieces[random.between(0, kPieces.size() - 1)];
    expect_script_properties(stream);
    ASSERT_FALSE(testing::Test::HasFailure()) << testing::PrintToString(stream);
  }
}

}  // namespace
}  // namespace sluice::test

#include "net/http/accept_encoding.h"

#include <string>

#include <gtest/gtest.h>

#include "tests/unit/http1/http1_cases.h"
#include "tests/unit/http1/http1_testing.h"

namespace sluice::test {
namespace {

using enum ContentCoding;

std::string_view preferred(const std::string& fields, const CodingOrder& order) {
  Head head;
  parse_head(Role::kRequest, get(fields), head);
  return coding_name(preferred_coding(head, order));
}

constexpr CodingOrder kZstdThenGzip = {kZstd, kGzip, kIdentity};
constexpr CodingOrder kAll = {kBrotli, kZstd, kGzip};

TEST(PreferredCoding, IsTheClientsThenOurs) {
  struct Case {
    const char* field;
    const char* zstd_gzip;
    const char* all;
  };
  for (const auto& [field, zstd_gzip, all] : std::initializer_list<Case>{
           {"gzip", "gzip", "gzip"},
           {"gzip, deflate, br, zstd", "zstd", "br"},
           {"GZIP", "gzip", "gzip"},
           {"x-gzip", "gzip", "gzip"},
           {"gzip;q=1, zstd;q=0.5", "gzip", "gzip"},
           {"gzip;q=0.5, zstd;q=0.501", "zstd", "zstd"},
           {"zstd ; Q=0.1 , gzip;q=0.2", "gzip", "gzip"},
           {"gzip;q=0", "identity", "identity"},
           {"gzip;q=0.000", "identity", "identity"},
           {"gzip;q=1.000", "gzip", "gzip"},
           {"*", "zstd", "br"},
           {"*;q=0.1, gzip", "gzip", "gzip"},
           {"*, zstd;q=0", "gzip", "br"},
           {"*;q=0", "identity", "identity"},
           {"*;q=0, gzip", "gzip", "gzip"},
           {"identity", "identity", "identity"},
           {"identity, gzip;q=0.5", "identity", "identity"},
           {"identity;q=0.5, gzip", "gzip", "gzip"},
           {"identity;q=0.5, gzip;q=0.5", "gzip", "gzip"},
           {"identity;q=0, gzip;q=0.1", "gzip", "gzip"},
           {"identity;q=0", "identity", "identity"},
           {"br", "identity", "br"},
           {"deflate", "identity", "identity"},
           {"", "identity", "identity"},
           {", ,gzip,", "gzip", "gzip"},
           {"gzip;level=9;q=0.3", "gzip", "gzip"},
           // What cannot be read says nothing.
           {"gzip;q=2", "identity", "identity"},
           {"gzip;q=1.001", "identity", "identity"},
           {"gzip;q=0.1234", "identity", "identity"},
           {"gzip;q=", "identity", "identity"},
           {"gzip;q=-1", "identity", "identity"},
           {"gzip;q=.5", "identity", "identity"},
           {"gzipp", "identity", "identity"},
       }) {
    std::string line = "Accept-Encoding: " + std::string(field) + "\r\n";
    EXPECT_EQ(preferred(line, kZstdThenGzip), zstd_gzip) << field;
    EXPECT_EQ(preferred(line, kAll), all) << field;
  }
}

TEST(PreferredCoding, LinesOfAFieldAreOneList) {
  EXPECT_EQ(preferred("Accept-Encoding: gzip;q=0.5\r\nAccept-Encoding: zstd\r\n", kZstdThenGzip),
            "zstd");
}

TEST(PreferredCoding, IsNoneWithoutAField) {
  EXPECT_EQ(preferred("", kAll), "identity");
}

TEST(PreferredCoding, IsNoneOfOthers) {
  EXPECT_EQ(preferred("Accept-Encoding: *\r\n", CodingOrder{}), "identity");
  EXPECT_EQ(preferred("Accept-Encoding: zstd, gzip\r\n", {kGzip, kIdentity, kIdentity}), "gzip");
}

}  // namespace
}  // namespace sluice::test

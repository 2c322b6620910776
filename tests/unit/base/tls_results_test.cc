#include "net/base/tls_results.h"

#include <set>
#include <string_view>

#include <gtest/gtest.h>

namespace sluice {
namespace {

TEST(TlsResults, HaveNamesOfTheirOwn) {
  std::set<std::string_view> names;
  for (unsigned i = 0; i < kTlsResults; ++i)
    names.insert(tls_result_name(static_cast<TlsResult>(i)));
  EXPECT_EQ(names.size(), kTlsResults);
  EXPECT_EQ(names.count(""), 0U);
  EXPECT_STREQ(tls_result_name(TlsResult::kFull), "full");
  EXPECT_STREQ(tls_result_name(TlsResult::kPlainHttp), "plain_http");
  EXPECT_STREQ(tls_result_name(TlsResult::kAbandoned), "abandoned");
  EXPECT_STREQ(tls_version_name(TlsVersion::k13), "1.3");
}

}  // namespace
}  // namespace sluice

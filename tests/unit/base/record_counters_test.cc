#include "net/base/record_counters.h"

#include <set>
#include <string_view>

#include <gtest/gtest.h>

namespace sluice {
namespace {

TEST(RecordCounters, HaveNamesOfTheirOwn) {
  std::set<std::string_view> names;
  for (unsigned i = 0; i < kRecordKinds; ++i)
    names.insert(record_kind_name(static_cast<RecordKind>(i)));
  for (unsigned i = 0; i < kRecordErrors; ++i)
    names.insert(record_error_name(static_cast<RecordError>(i)));
  EXPECT_EQ(names.size(), kRecordKinds + kRecordErrors);
  EXPECT_EQ(names.count(""), 0U);
  EXPECT_STREQ(record_error_name(RecordError::kRecordOverflow), "record_overflow");
  EXPECT_STREQ(record_error_name(RecordError::kByPeer), "by_peer");
  EXPECT_STREQ(record_kind_name(RecordKind::kAlert), "alert");
}

}  // namespace
}  // namespace sluice

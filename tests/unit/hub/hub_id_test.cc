#include "net/hub/hub_id.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

TEST(HubId, IsReadAsItWasWritten) {
  for (HubId id : {HubId{0, 0}, HubId{0xdeadbeef, 7}, HubId{UINT32_MAX, UINT64_MAX - 1}}) {
    std::string text;
    append_hub_id(text, id);
    EXPECT_EQ(parse_hub_id(text), id) << text;
  }
}

TEST(HubId, ForgedAndForeignOnesAreNone) {
  for (const char* text :
       {"", "1", "0123456.1", "012345678.1", "01234567", "01234567.", "01234567.-1", "01234567.01",
        "01234567.1 ", " 01234567.1", "0123456G.1", "0123456A.1", "01234567.18446744073709551615",
        "01234567.99999999999999999999", "01234567:1", "01234567.1.1", "01234567.0x1",
        "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66"})
    EXPECT_FALSE(parse_hub_id(text)) << text;
}

}  // namespace
}  // namespace sluice

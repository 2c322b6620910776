#include "pool/region.h"

#include <fstream>
#include <string>
#include <string_view>
#include <utility>

#include <gtest/gtest.h>

#include "tests/unit/core/kernel_testing.h"

namespace sluice {
namespace {

// A mapping of this process begins there.
bool is_mapped(const void* address) {
  auto wanted = reinterpret_cast<uintptr_t>(address);
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    uintptr_t begin = std::stoull(line, nullptr, 16);
    uintptr_t end = std::stoull(line.substr(line.find('-') + 1), nullptr, 16);
    if (begin <= wanted && wanted < end) return true;
  }
  return false;
}

TEST(Region, IsWholePagesThatAreUnmappedWithIt) {
  auto ring = test::make_ring("huge-pages");
  char* data = nullptr;
  {
    Region region(*ring, 5000, 0);
    ASSERT_TRUE(region.data());
    EXPECT_EQ(region.bytes(), 8192U);
    EXPECT_EQ(region.pages(), PageKind::kNormal);
    data = region.data();
    data[0] = data[region.bytes() - 1] = 'x';
    EXPECT_TRUE(is_mapped(data));
  }
  EXPECT_FALSE(is_mapped(data));
}

TEST(Region, UsesHugePagesWhereItIsLargeEnough) {
  auto ring = test::make_ring();
  Region small(*ring, 4096, 0);
  EXPECT_EQ(small.pages(), PageKind::kNormal);
  Region large(*ring, (2U << 20) + 1, 1);
  ASSERT_TRUE(large.data());
  // Which kind depends on what the system has reserved.
  size_t page = large.pages() == PageKind::kHuge ? 2U << 20 : 4096;
  EXPECT_EQ(large.bytes(), (2U << 20) + page);
}

TEST(Region, RegistersItselfWhereTheRingCan) {
  auto ring = test::make_ring();
  if (!ring->features().fixed_buffers) GTEST_SKIP() << "no fixed buffers here";
  Region region(*ring, 4096, 7);
  EXPECT_TRUE(region.registered());
  EXPECT_EQ(region.register_error(), 0);
  EXPECT_EQ(region.fixed_index(), 7U);
  auto without = test::make_ring("fixed-buffers");
  EXPECT_FALSE(Region(*without, 4096, 7).registered());
}

TEST(Region, MovesOnce) {
  auto ring = test::make_ring();
  Region from(*ring, 4096, 0);
  char* data = from.data();
  {
    Region into(std::move(from));
    EXPECT_EQ(into.data(), data);
    EXPECT_EQ(from.data(), nullptr);  // NOLINT(bugprone-use-after-move): what a move leaves
    EXPECT_FALSE(from.registered());  // NOLINT(bugprone-use-after-move)
  }
  EXPECT_FALSE(is_mapped(data));
}

TEST(Region, TellsWhenThereIsNoMemory) {
  auto ring = test::make_ring();
  Region region(*ring, size_t{1} << 60, 0);
  EXPECT_EQ(region.data(), nullptr);
  EXPECT_FALSE(region.registered());
}

TEST(Region, PageKindsHaveNames) {
  EXPECT_EQ(page_kind_name(PageKind::kNormal), std::string_view("normal pages"));
  EXPECT_EQ(page_kind_name(PageKind::kTransparentHuge), std::string_view("transparent huge pages"));
  EXPECT_EQ(page_kind_name(PageKind::kHuge), std::string_view("huge pages"));
}

}  // namespace
}  // namespace sluice

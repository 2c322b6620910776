// Framing allocates nothing: this executable counts every operator new.
#include <cstdlib>
#include <new>
#include <string>

#include <gtest/gtest.h>

#include "sse/framer.h"
#include "tests/unit/sse/reference.h"

namespace {
size_t allocations = 0;
}

// None is inlined: the compiler would see malloc() meet operator delete, and warn.
[[gnu::noinline]] void* operator new(size_t size) {
  ++allocations;
  if (void* memory = std::malloc(size)) return memory;
  std::abort();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, size_t) noexcept {
  std::free(memory);
}

namespace sluice::test {
namespace {

class FramerAllocation : public EachScanner {};

INSTANTIATE_TEST_SUITE_P(Simd, FramerAllocation, testing::ValuesIn(supported_scanners()),
                         scanner_of);

TEST_P(FramerAllocation, FeedAllocatesNothing) {
  std::string stream(kByteOrderMark);
  for (size_t size : {0, 1, 20, 200, 5000}) {
    stream += "id: 7\rdata:" + std::string(size, 'x') + "\r\n\r\n:\n\n";
  }
  const size_t counted_before_string = allocations;
  { std::string counted(100, 'x'); }
  ASSERT_EQ(allocations, counted_before_string + 1) << "the counter does not count";

  const size_t before = allocations;
  uint32_t events = 0;
  for (size_t read : {size_t{1}, size_t{63}, size_t{64}, size_t{65}, stream.size()}) {
    Framer framer;
    for (size_t at = 0; at < stream.size(); at += read) {
      events += framer.feed(std::string_view(stream).substr(at, read)).events;
    }
  }
  EXPECT_EQ(allocations, before);
  EXPECT_EQ(events, 25u);
}

}  // namespace
}  // namespace sluice::test

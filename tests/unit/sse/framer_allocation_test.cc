// Framing allocates nothing: this executable counts every operator new.
#include <string>

#include <gtest/gtest.h>

#include "perf/allocations.h"
#include "sse/framer.h"
#include "tests/unit/sse/reference.h"

namespace sluice::test {
namespace {

using perf::allocations_of_this_thread;

class FramerAllocation : public EachScanner {};

INSTANTIATE_TEST_SUITE_P(Simd, FramerAllocation, testing::ValuesIn(supported_scanners()),
                         scanner_of);

TEST_P(FramerAllocation, FeedAllocatesNothing) {
  std::string stream(kByteOrderMark);
  for (size_t size : {0, 1, 20, 200, 5000}) {
    stream += "id: 7\rdata:" + std::string(size, 'x') + "\r\n\r\n:\n\n:\r\nretry: 5\n";
  }
  const uint64_t counted_before_string = allocations_of_this_thread();
  { std::string counted(100, 'x'); }
  ASSERT_EQ(allocations_of_this_thread(), counted_before_string + 1)
      << "the counter does not count";

  const uint64_t before = allocations_of_this_thread();
  uint32_t events = 0;
  for (size_t read : {size_t{1}, size_t{63}, size_t{64}, size_t{65}, stream.size()}) {
    Framer framer;
    for (size_t at = 0; at < stream.size(); at += read) {
      events += framer.feed(std::string_view(stream).substr(at, read)).events;
    }
  }
  EXPECT_EQ(allocations_of_this_thread(), before);
  EXPECT_EQ(events, 25u);
}

}  // namespace
}  // namespace sluice::test

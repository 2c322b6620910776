// Reading events and fields allocates nothing: this executable counts every operator new.
#include <string>

#include <gtest/gtest.h>

#include "perf/allocations.h"
#include "sse/events.h"
#include "sse/fields.h"
#include "tests/unit/sse/fields_reference.h"

namespace sluice::test {
namespace {

using perf::allocations_of_this_thread;

TEST(FieldsAllocation, ReadingAllocatesNothing) {
  std::string run;
  for (size_t size : {0, 1, 20, 200, 5000})
    run += "id: 7\revent: e\r\ndata:" + std::string(size, 'x') + "\r\n\r\n:\n\nretry: 5\n\n";
  const uint64_t counted_before_string = allocations_of_this_thread();
  { std::string counted(100, 'x'); }
  ASSERT_EQ(allocations_of_this_thread(), counted_before_string + 1)
      << "the counter does not count";
  for (size_t cut : {size_t{0}, size_t{1}, size_t{9}, run.size() / 2, run.size()}) {
    const CutText text(run, {cut});
    const uint64_t before = allocations_of_this_thread();
    uint32_t events = 0;
    uint32_t fields = 0;
    Pieces event;
    Field field;
    EventReader reader(without_mark(text.pieces()));
    for (; reader.next(event); ++events)
      for (FieldReader of_event(event); of_event.next(field);) ++fields;
    EXPECT_EQ(allocations_of_this_thread(), before);
    EXPECT_EQ(events, 15U);
    EXPECT_EQ(fields, 25U);
  }
}

}  // namespace
}  // namespace sluice::test

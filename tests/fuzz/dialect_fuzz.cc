// Any bytes as an event of a language model's answer: what is seen of it is the same however many
// pieces it lies in.
#include <cstdint>
#include <string_view>
#include <vector>

#include "core/check.h"
#include "net/llm/dialect.h"
#include "tests/fuzz/fuzz_input.h"

namespace sluice::test {
namespace {

bool same(const EventSight& one, const EventSight& other) {
  return one.role == other.role && one.finishes == other.finishes && one.type == other.type &&
         one.data == other.data;
}

void look_at_event(std::string_view event, const std::vector<size_t>& cuts) {
  std::vector<std::string_view> pieces;
  size_t from = 0;
  for (size_t cut : cuts) {
    if (cut == from) continue;
    pieces.push_back(event.substr(from, cut - from));
    from = cut;
  }
  if (from < event.size()) pieces.push_back(event.substr(from));
  for (Dialect dialect :
       {Dialect::kNone, Dialect::kOpenAi, Dialect::kResponses, Dialect::kAnthropic}) {
    EventLook one;
    EventLook other;
    EventSight whole = one.look(dialect, event);
    SLUICE_CHECK(same(whole, other.look(dialect, Pieces(pieces))));
    SharedBegin begin;
    for (int again = 0; again < 2; ++again) SLUICE_CHECK(same(whole, one.sight(dialect, &begin)));
    (void)dialect_of_event(whole);
    std::string_view value = json_member_of(whole.data, "type");
    SLUICE_CHECK(value.size() <= whole.data.size());
  }
  (void)dialect_of_path(event);
}

}  // namespace
}  // namespace sluice::test

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sluice::test;
  FuzzInput input(data, size);
  std::vector<size_t> cuts = input.cuts();
  look_at_event(input.rest(), cuts);
  return 0;
}

// Any bytes as a request to a language model and as an event of its answer: what is seen of a
// request is the same however it is cut, and what is seen of an event is the same however many
// pieces it lies in.
#include <cstdint>
#include <string_view>
#include <vector>

#include "core/check.h"
#include "net/llm/dialect.h"
#include "net/llm/request_sight.h"
#include "tests/fuzz/fuzz_input.h"

namespace sluice::test {
namespace {

void look_at_request(std::string_view body, const std::vector<size_t>& cuts) {
  RequestSight whole;
  RequestSight parts;
  whole.look(body);
  size_t from = 0;
  for (size_t cut : cuts) {
    parts.look(body.substr(from, cut - from));
    from = cut;
  }
  parts.look(body.substr(from));
  SLUICE_CHECK(whole.done() == parts.done() && whole.is_object() == parts.is_object());
  SLUICE_CHECK(whole.stream() == parts.stream() && whole.model() == parts.model());
  SLUICE_CHECK(whole.has_stream_options() == parts.has_stream_options());
  SLUICE_CHECK(whole.include_usage() == parts.include_usage());
  SLUICE_CHECK(whole.end() == parts.end());
  SLUICE_CHECK(whole.stream_options_at() == parts.stream_options_at());
  SLUICE_CHECK(whole.end() < body.size() || whole.end() == 0);
  // Brackets are counted and not compared: in a body that is no JSON the other kind may end it.
  if (whole.end() != 0) SLUICE_CHECK(body[whole.end()] == '}' || body[whole.end()] == ']');
}

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
  look_at_request(input.rest(), cuts);
  look_at_event(input.rest(), cuts);
  return 0;
}

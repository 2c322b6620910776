// Any bytes as what a reader of a hub says: the name of a stream, the body of a consumer's
// position, the place where a subscriber begins. A name that is taken has a category and, where it
// has an id, one member of every group. Wherever a reader begins, it gets what it asked for, in
// order and once; where it goes on behind an id, the next event of that id comes first.
#include <cstdint>
#include <string>
#include <string_view>

#include "core/check.h"
#include "core/text.h"
#include "net/hub/names.h"
#include "net/hub/publish_body.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/unit/hub/hub_log.h"

namespace sluice::test {
namespace {

void name(std::string_view text) {
  if (name_fault(text)) return;
  std::string_view category = category_of(text);
  SLUICE_CHECK(!category.empty() && text.starts_with(category) && is_category(category));
  SLUICE_CHECK(id_of(text).has_value() != is_category(text));
  if (auto id = id_of(text)) SLUICE_CHECK(text.size() == category.size() + 1 + id->size());
  for (int64_t size : {1, 2, 3, 8}) {
    int members = 0;
    for (int64_t member = 0; member < size; ++member)
      members += GroupMember::make(member, size)->takes(text) ? 1 : 0;
    SLUICE_CHECK(members == (id_of(text) ? 1 : 0));
  }
}

void position(std::string body) {
  static JsonCheck check(64 * 1024);
  std::string again = body;
  std::optional<uint64_t> read = read_position(body, check);
  SLUICE_CHECK(body == again);
  if (read) SLUICE_CHECK(*read <= INT64_MAX && body.find("position") != body.npos);
}

// A few streams, of which some history has gone, in the order of the log and from the midst.
void fill(HubLog& hub, uint8_t kind) {
  HubLimits limits{.history_events = kind % 3 == 0 ? 0U : 12U};
  limits.stream_events = kind % 5 == 0 ? 0 : 6;
  hub.home.set_limits(limits);
  for (int i = 0; i < 30; ++i) {
    hub.now_ms += 10;
    hub.wall_ms += 10;
    (void)hub.publish(i % 3 == 0 ? "a-1" : i % 3 == 1 ? "a-2" : "b-1");
  }
}

void start(FuzzInput& input) {
  HubLog hub;
  fill(hub, input.byte());
  HubReader reader(hub);
  uint8_t of = input.byte();
  bool single = of % 3 == 0;
  if (single) {
    reader.of("a-1", false);
  } else {
    reader.of("a", true);
    if (of % 3 == 2) reader.of("b-1", false);
  }
  Start begin{.at = static_cast<Start::At>(input.byte() % 5)};
  begin.number = parse_decimal(input.take(20)).value_or(of);
  begin.id = input.rest();
  if (begin.id == "own" || begin.id.starts_with(".")) {
    std::string id;
    append_epoch(id, single ? hub.log.stream("a-1")->epoch : hub.home.epoch());
    begin.id = id + "." + std::to_string(begin.number % 40);
  }
  bool whole = reader.begin(begin);
  const Log::Entry* event = nullptr;
  uint64_t last = 0;
  uint64_t first_position = UINT64_MAX;
  for (int i = 0; i < 200; ++i) {
    Cursor::Step step = reader.step(&event);
    if (step == Cursor::Step::kEnd) break;
    if (step == Cursor::Step::kMore) continue;
    SLUICE_CHECK(step == Cursor::Step::kEvent);  // what had gone before is not lost again
    SLUICE_CHECK(event->block->global() > last);
    last = event->block->global();
    if (first_position == UINT64_MAX) first_position = single ? event->block->position() : last;
    SLUICE_CHECK(event->block->stream().starts_with(of % 3 == 2 ? "" : "a"));
    reader.cursor.advance();
  }
  std::optional<HubId> id = parse_hub_id(begin.id);
  bool by_id = begin.at == Start::At::kId && whole && id;
  if (by_id && single && last != 0) SLUICE_CHECK(first_position == id->position + 1);
  if (by_id && !single && last != 0) SLUICE_CHECK(first_position > id->position);
  if (begin.at == Start::At::kId && !id) SLUICE_CHECK(!whole);
}

}  // namespace
}  // namespace sluice::test

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sluice::test;
  FuzzInput input(data, size);
  switch (input.byte() % 3) {
    case 0:
      name(input.rest());
      break;
    case 1:
      position(std::string(input.rest()));
      break;
    default:
      start(input);
  }
  return 0;
}

// What holds of filters whatever comes: pieces make no difference, an event that is changed was
// JSON and is JSON, and all lines of it but its data are the bytes that they were.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "net/filter/json_check.h"
#include "sse/fields.h"
#include "tests/unit/filter/filter_testing.h"

namespace sluice::test {

// Filters that edit JSON, and add, drop or end nothing.
inline std::vector<std::vector<FilterRule>> editing_filters() {
  std::vector<std::vector<FilterRule>> all = {
      {rule({action(ActionKind::kSet, "/a", R"({"x":[1,"\""]})")})},
      {rule({action(ActionKind::kSet, "/a/-", "null")})},
      {rule({action(ActionKind::kSet, "", "[]")})},
      {rule({action(ActionKind::kRemove, "/a")})},
      {rule({action(ActionKind::kRemove, "/a/0")})},
      {rule({action(ActionKind::kRename, "/a", "\"b")})},
      {rule({action(ActionKind::kRedact, {}, "[0-9a]+", "\"#")})},
      {rule({action(ActionKind::kRedact, "/a", ".b|\\n", "")})},
  };
  std::vector<FilterRule> together;
  for (const std::vector<FilterRule>& one : all) together.push_back(one.front());
  all.push_back(together);
  return all;
}

struct EventParts {
  std::string data;
  std::string others;
  bool json = false;
};

inline EventParts parts_of(std::string_view event) {
  EventParts parts;
  bool first = true;
  Field field;
  for (FieldReader fields{Pieces(event)}; fields.next(field);) {
    std::string_view value = field.value.first();
    if (field.kind != FieldKind::kData) {
      parts.others.append(std::to_string(static_cast<int>(field.kind))).append(value).append("\n");
      continue;
    }
    if (!std::exchange(first, false)) parts.data += '\n';
    parts.data += value;
  }
  std::string padded = parts.data + std::string(JsonCheck::kPadding, ' ');
  parts.json = JsonCheck(4096).valid(std::string_view(padded).substr(0, parts.data.size()));
  return parts;
}

// Wherever the searches end that an event may take: either all that matches is gone, or the event
// is. `filters` let others pass.
inline void expect_all_or_none(FilterRig& filters, std::string_view stream) {
  Framer framer;
  EventReader events(stream.substr(0, framer.feed(stream).whole));
  for (Pieces event; events.next(event);) {
    std::string_view in = event.first();
    std::string all = filters(in);
    uint64_t steps = filters.bench.searches.steps();
    for (uint64_t some : {uint64_t{0}, steps / 3, steps / 2, steps - (steps > 0)}) {
      filters.bench.searches =
          SearchBudget(StepClock::now_ns, {.steps_max = some, .ask_steps = steps, .ns = steps});
      std::string out = filters(in);
      EXPECT_EQ(out, filters.bench.searches.spent() ? "" : all) << in;
      StepClock::ns_per_step = 1;
      filters.bench.searches =
          SearchBudget(StepClock::now_ns, {.steps_max = steps, .ask_steps = 1, .ns = some});
      out = filters(in);
      EXPECT_EQ(out, filters.bench.searches.spent() ? "" : all) << in;
      StepClock::ns_per_step = 0;
    }
    filters.bench.searches = SearchBudget(StepClock::now_ns);
  }
}

inline void expect_filter_properties(std::string_view stream) {
  static std::vector<std::unique_ptr<FilterRig>>* rigs = [] {
    auto* made = new std::vector<std::unique_ptr<FilterRig>>;
    for (std::vector<FilterRule>& rules : editing_filters())
      made->push_back(std::make_unique<FilterRig>(rules));
    return made;
  }();
  for (const std::unique_ptr<FilterRig>& filters : *rigs) {
    ASSERT_EQ(filters->wrong, "");
    std::string whole = (*filters)(stream);
    for (size_t piece : {1, 2, 7}) EXPECT_EQ((*filters)(stream, piece), whole);
    Framer framer;
    EventReader events(stream.substr(0, framer.feed(stream).whole));
    for (Pieces event; events.next(event);) {
      std::string_view in = event.first();
      std::string out = (*filters)(in);
      if (out == in || in.starts_with("\xEF\xBB\xBF")) continue;
      EventParts before = parts_of(in);
      EventParts after = parts_of(out);
      EXPECT_TRUE(before.json) << in;
      EXPECT_TRUE(after.json) << in << " became " << out;
      EXPECT_EQ(before.others, after.others) << in;
    }
    expect_all_or_none(*filters, stream);
  }
}

}  // namespace sluice::test

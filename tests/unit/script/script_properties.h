// What holds of any bytes that are an event stream and go through scripts: for the fuzzer and for
// random bytes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "net/filter/json_check.h"
#include "sse/fields.h"
#include "tests/unit/script/script_testing.h"

namespace sluice::test {

// The data of each event that a client dispatches.
inline std::vector<std::string> dispatched(std::string_view stream) {
  std::vector<std::string> all;
  Framer framer;
  std::string_view whole = stream.substr(0, framer.feed(stream).whole);
  bool first = true;
  EventReader reader(whole);
  for (Pieces event; reader.next(event); first = false) {
    Pieces behind_mark = first ? without_mark(event) : event;
    std::string text(behind_mark.first());
    EventText one(256);
    one.begin(Pieces(text), false);
    std::string room;
    if (one.has_data()) all.emplace_back(one.data(room));
  }
  return all;
}

inline bool is_json(std::string_view text) {
  JsonCheck check(256);
  std::string padded(text);
  padded.reserve(padded.size() + JsonCheck::kPadding);
  return check.valid(padded);
}

inline void expect_script_properties(std::string_view stream) {
  std::vector<std::string> before = dispatched(stream);
  // What is only read stays to the byte.
  ScriptRig reads(R"(function on_event(event)
    local x = event.type .. event.id .. event.data
    json.get(event.data, "/a") re.find(event.data, "a+")
    event.data = json.remove(event.data, "/a/b/c/d")
    event.type = event.type
  end)");
  Framer framer;
  EXPECT_EQ(reads(stream), stream.substr(0, framer.feed(stream).whole));
  EXPECT_EQ(reads.heard.failed, "");

  // What is set is what a client gets, event for event, however the text came.
  const std::vector<FilterRule> rules = {script("s", R"(function on_event(event)
    event.data = event.data .. "!"
  end)")};
  std::string set = ScriptRig(rules)(stream);
  std::vector<std::string> after = dispatched(set);
  ASSERT_EQ(after.size(), before.size());
  for (size_t i = 0; i < before.size(); ++i) EXPECT_EQ(after[i], before[i] + "!");
  for (size_t bytes : {1, 2, 3, 7}) EXPECT_EQ(ScriptRig(rules)(stream, bytes), set);

  // JSON stays JSON, whatever is put into it.
  ScriptRig puts(R"(function on_event(event)
    event.data = json.set(event.data, "/a", event.data)
    event.data = json.put(event.data, "/b", "[]")
    event.data = json.set(event.data, "/b/-", event.type)
    event.data = json.remove(event.data, "/c")
    event.data = json.set(event.data, "/0", event.data:sub(2, 9))
  end)");
  std::vector<std::string> put = dispatched(puts(stream));
  EXPECT_EQ(puts.heard.failed, "");
  ASSERT_EQ(put.size(), before.size());
  for (size_t i = 0; i < before.size(); ++i)
    EXPECT_EQ(is_json(put[i]), is_json(before[i])) << before[i] << " became " << put[i];
}

}  // namespace sluice::test

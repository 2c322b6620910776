// Filters as tests put them together, and what becomes of a text that is given to them.
#pragma once

#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "net/filter/filters.h"
#include "sse/events.h"
#include "sse/framer.h"

namespace sluice::test {

using ActionKind = FilterAction::Kind;
using TestKind = FilterTest::Kind;

inline FilterAction action(ActionKind kind, std::optional<std::string> pointer = {},
                           std::string text = "", std::string with = "",
                           std::optional<FilterEvent> event = {}) {
  return {kind, std::move(pointer), std::move(text), std::move(with), std::move(event), "here"};
}

inline FilterRule rule(std::vector<FilterAction> actions, std::vector<FilterTest> json = {}) {
  FilterRule made{.name = "a", .where = "here"};
  made.actions = std::move(actions);
  made.json = std::move(json);
  return made;
}

// The CPU time of a thread that needs so much for each step of its searches.
struct StepClock {
  static inline const SearchBudget* watched = nullptr;
  static inline uint64_t ns_per_step = 0;

  static uint64_t now_ns() { return 1 + (watched->steps() * ns_per_step); }
};

class FilterRig {
 public:
  explicit FilterRig(std::vector<FilterRule> rules, OnUnseen on_invalid = OnUnseen::kPass)
      : rules_(std::move(rules)), on_invalid_(on_invalid) {
    std::vector<const FilterRule*> all;
    for (FilterRule& one : rules_) {
      one.id = static_cast<uint32_t>(all.size());
      all.push_back(&one);
    }
    filters_.emplace(rules_, all, 1, wrong);
    bench.rules = rules_;
  }

  // What comes out of a stream's whole events. Each is handed over in pieces of so many bytes, or
  // with `padding` in one.
  std::string operator()(std::string_view stream, size_t piece_bytes = 0) {
    StepClock::watched = &bench.searches;
    Framer framer;
    EventReader reader(stream.substr(0, framer.feed(stream).whole));
    std::string out;
    bool first = true;
    ended = false;
    for (Pieces event; !ended && reader.next(event); first = false) {
      std::string_view text = event.first();
      // No byte more than there is: a read behind it is found by the sanitizer.
      auto copy = std::make_unique<char[]>(text.size());
      std::memcpy(copy.get(), text.data(), text.size());
      std::string_view lies(copy.get(), text.size());
      std::vector<std::string_view> pieces;
      for (size_t at = 0; piece_bytes > 0 && at < lies.size(); at += piece_bytes)
        pieces.push_back(lies.substr(at, piece_bytes));
      Pieces given =
          pieces.empty() ? Pieces(lies) : Pieces(std::span<const std::string_view>(pieces));
      Filters::Result result =
          filters_->run(bench, filters_->choose_all(), given, first, false, on_invalid_);
      out += result.changed ? result.text : text;
      ended = result.ends;
    }
    return out;
  }

  uint64_t counted(FilterDeed deed, uint32_t id = 0) {
    return bench.count_of(id).events[static_cast<unsigned>(deed)];
  }
  const Filters& filters() const { return *filters_; }

  std::string wrong;
  bool ended = false;
  FilterBench bench{0, 4096, StepClock::now_ns};

 private:
  std::vector<FilterRule> rules_;
  OnUnseen on_invalid_;
  std::optional<Filters> filters_;
};

}  // namespace sluice::test

// Scripts as tests put them together, what becomes of a text that is given to them, and what they
// have said.
#pragma once

#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "core/clock.h"
#include "net/filter/filters.h"
#include "net/script/script_counters.h"
#include "net/script/scripts.h"
#include "sse/events.h"
#include "sse/framer.h"

namespace sluice::test {

class Heard final : public ScriptHost {
 public:
  void script_says(std::string_view filter, std::string_view text) override {
    said.push_back(std::string(filter).append(": ").append(text));
  }
  void script_counts(std::string_view filter, std::string_view name, std::string_view label,
                     uint64_t amount) override {
    counters.add(filter, name, label, amount);
  }
  void script_failed(uint32_t id, std::string_view filter, ScriptFailure failure,
                     std::string_view text) override {
    failures.push_back(failure);
    failed = std::string(filter).append(" ").append(std::to_string(id)).append(": ").append(text);
  }

  std::vector<std::string> said;
  std::vector<ScriptFailure> failures;
  std::string failed;  // the last one
  ScriptCounters counters;
};

inline FilterRule script(std::string name, std::string code) {
  FilterRule rule{.name = std::move(name), .where = "here"};
  rule.script = rule.name + ".lua";
  rule.script_where = "here: script";
  rule.code = std::move(code);
  return rule;
}

// A configuration, and what a worker has of it.
class ScriptRig {
 public:
  explicit ScriptRig(std::vector<FilterRule> rules, uint64_t instructions = 100'000,
                     size_t memory_bytes = 1 << 20) {
    config.script_memory = memory_bytes;
    config.script_instructions = instructions;
    config.filters = std::move(rules);
    std::vector<const FilterRule*> all;
    for (FilterRule& one : config.filters) {
      one.id = static_cast<uint32_t>(all.size());
      all.push_back(&one);
    }
    std::string wrong;
    filters.emplace(config.filters, all, 1, wrong);
    EXPECT_EQ(wrong, "");
    bench.rules = config.filters;
  }
  explicit ScriptRig(std::string code) : ScriptRig(one(std::move(code))) {}

  struct Stream {
    Scripts::Opened opened;
    bool first = true;
    Filters::Result last = {};
  };
  Stream open(const ScriptRequest& request = {}, uint64_t generation = 1) {
    return {scripts.open(config, generation, *filters, filters->choose_all(), request)};
  }

  // What comes out of a stream's whole events, each handed over in pieces of so many bytes, or in
  // one.
  std::string send(Stream& stream, std::string_view text, size_t piece_bytes = 0) {
    Framer framer;
    EventReader reader(text.substr(0, framer.feed(text).whole));
    std::string out;
    bench.scripts = stream.opened.scripts.get();
    for (Pieces event; reader.next(event); stream.first = false) {
      std::string_view whole = event.first();
      // No byte more than there is: a read behind it is found by the sanitizer.
      auto copy = std::make_unique<char[]>(whole.size());
      std::memcpy(copy.get(), whole.data(), whole.size());
      std::string_view lies(copy.get(), whole.size());
      std::vector<std::string_view> pieces;
      for (size_t at = 0; piece_bytes > 0 && at < lies.size(); at += piece_bytes)
        pieces.push_back(lies.substr(at, piece_bytes));
      Pieces given =
          pieces.empty() ? Pieces(lies) : Pieces(std::span<const std::string_view>(pieces));
      stream.last =
          filters->run(bench, stream.opened.chosen, given, stream.first, false, OnUnseen::kPass);
      out += stream.last.changed ? stream.last.text : whole;
      if (stream.last.ends || stream.last.failure != ScriptFailure::kNone) break;
    }
    return out;
  }
  // Of a stream of its own.
  std::string operator()(std::string_view text, size_t piece_bytes = 0) {
    Stream stream = open();
    return send(stream, text, piece_bytes);
  }
  uint64_t counted(FilterDeed deed, uint32_t id = 0) {
    return bench.count_of(id).events[static_cast<unsigned>(deed)];
  }
  ScriptMetrics metrics() const {
    ScriptMetrics metrics;
    scripts.snapshot(metrics);
    return metrics;
  }

  Config config;
  std::optional<Filters> filters;
  Heard heard;
  FilterBench bench{0, 4096, thread_cpu_ns};
  Scripts scripts{heard};

 private:
  static std::vector<FilterRule> one(std::string code) {
    std::vector<FilterRule> rules;
    rules.push_back(script("s", std::move(code)));
    return rules;
  }
};

// What a script's expression is, as a text: "nil", "1 2", or what went wrong.
inline std::string value_of(std::string_view expression) {
  ScriptRig rig("local function f() return " + std::string(expression) +
                " end\n"
                "function on_event(event)\n"
                "  local function text(...)\n"
                "    local out = {}\n"
                "    for i = 1, select('#', ...) do out[i] = tostring((select(i, ...))) end\n"
                "    return table.concat(out, ' ')\n"
                "  end\n"
                "  event.data = 'is ' .. text(f())\n"
                "end");
  std::string out = rig("data: x\n\n");
  if (!rig.heard.failed.empty()) return rig.heard.failed;
  constexpr std::string_view kBegin = "data: is ";
  return out.substr(kBegin.size(), out.size() - kBegin.size() - 2);
}

}  // namespace sluice::test

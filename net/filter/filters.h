// The filters of a route, compiled: what they look for in an event, and what they do with it. Made
// when the configuration is read (net/filter/load_filters.h), and only read from then on, by all
// workers; what changes with each event is in the worker's FilterBench.
// Filters see events one after the other, each as the filters before have left it. What an operator
// adds is seen by none. What a client would dispatch no event for passes unseen. Pure: an event
// goes in, and what takes its place comes out; no I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "net/base/filter_counts.h"
#include "net/base/limits.h"
#include "net/config/config.h"
#include "net/config/filter_rules.h"
#include "net/filter/event_text.h"
#include "net/filter/json_pointer.h"
#include "net/filter/pattern.h"
#include "net/filter/search_budget.h"
#include "net/filter/stream_scripts.h"
#include "sse/pieces.h"

namespace sluice {

class Head;

// What a worker's filters work with.
struct FilterBench {
  // `cpu_ns`: the CPU time of this thread.
  FilterBench(unsigned its_worker, size_t event_bytes, uint64_t (*cpu_ns)())
      : worker(its_worker), event(event_bytes), searches(cpu_ns) {}

  // By the filters' numbers.
  FilterCounts& count_of(uint32_t id) {
    if (counts.size() <= id) counts.resize(id + 1);
    return counts[id];
  }

  const unsigned worker;
  std::span<const FilterRule> rules;  // of the configuration that the filters are from
  EventText event;
  SearchBudget searches;  // of the event
  std::vector<FilterCounts> counts;
  std::string before;  // the event, and behind it: what is added
  std::string after;
  std::string out;
  std::string room;                  // for a string's meaning
  StreamScripts* scripts = nullptr;  // of the stream; null where its filters have none
  std::vector<EventText::Part> parts;
};

class Filters {
 public:
  // Of the request; one bit for each filter that looks at its events.
  using Chosen = uint32_t;
  static_assert(limits::kFiltersMax == 32);

  struct Result {
    bool changed = false;        // `text`, which may be empty, takes the event's place
    bool ends = false;           // the stream, behind that
    std::string_view text = {};  // until the bench is used again
    // Not kNone: the stream has to fail, and the event is none any more.
    ScriptFailure failure = ScriptFailure::kNone;
  };

  // Some of `rules`, in that order. `copies` of expressions: for as many workers. `wrong`: what is
  // wrong with one, and where.
  Filters(std::span<const FilterRule> rules, const std::vector<const FilterRule*>& chosen,
          unsigned copies, std::string& wrong);

  Chosen choose(const Head& request, std::string_view path, unsigned worker) const;
  Chosen choose_all() const;
  // Those that are scripts. They want a say in which streams they look at, too.
  Chosen scripts() const { return scripts_; }
  // Where in the configuration the filter of that bit is.
  size_t place_of(unsigned bit) const { return rules_[bit].place; }
  // `first`: the event opens its stream, so that a byte order mark may stand before it. `padded`:
  // as EventText::begin() has it.
  Result run(FilterBench& bench, Chosen chosen, Pieces event, bool first, bool padded,
             OnUnseen on_invalid) const;

 private:
  struct Test {
    FilterTest::Kind kind;
    std::string subject;
    JsonPointer pointer;
    std::string text;
    bool is_string = false;
    std::optional<double> number = {};
    std::optional<Pattern> pattern = {};
  };
  struct Action {
    FilterAction::Kind kind;
    std::optional<JsonPointer> pointer;
    JsonPointer parent;
    std::string text;
    std::optional<Pattern> pattern;
  };
  struct Rule {
    size_t place;  // among the configuration's
    bool is_script;
    std::vector<std::string> events, ids, data, methods, paths;
    std::vector<Test> json, fields;
    std::vector<Action> actions;
  };
  // What a rule has made of an event.
  struct Outcome {
    bool dropped = false;
    bool ends = false;
    bool invalid = false;     // it has no JSON where that was needed
    bool unsearched = false;  // an expression would have taken too long
    ScriptFailure failure = ScriptFailure::kNone;
  };
  enum class Fit : uint8_t { kNo, kYes, kInvalid, kUnsearched };

  static Fit fits(const Rule& rule, FilterBench& bench);
  static bool holds(const Test& test, FilterBench& bench);
  static Outcome act(const Rule& rule, FilterBench& bench, FilterCounts& counts);
  static Outcome run_script(const Rule& rule, FilterBench& bench);
  static void count(const Outcome& outcome, bool changed, FilterCounts& counts);
  static Fit needs_json(const Action& action, FilterBench& bench);
  static void edit_json(const Action& action, FilterBench& bench);
  static void set(const Action& action, FilterBench& bench);
  static void remove(const Action& action, FilterBench& bench);
  static void rename(const Action& action, FilterBench& bench);
  static void redact(const Action& action, FilterBench& bench);
  static void find_matches(const Action& action, FilterBench& bench, size_t begin, size_t end);

  void add_rule(const FilterRule& rule, size_t place, unsigned copies, std::string& wrong);
  static Test compile(const FilterTest& test, bool json, unsigned copies, std::string& wrong);
  static Action compile(const FilterAction& action, unsigned copies, std::string& wrong);

  std::vector<Rule> rules_;
  Chosen scripts_ = 0;
};

}  // namespace sluice

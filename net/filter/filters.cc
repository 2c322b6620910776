#include "net/filter/filters.h"

#include <algorithm>
#include <utility>

#include "core/text.h"
#include "net/filter/json_text.h"
#include "sse/events.h"

namespace sluice {

namespace {

bool any_of(const std::vector<std::string>& wanted, std::string_view text) {
  return std::ranges::find(wanted, text) != wanted.end();
}

}  // namespace

Filters::Chosen Filters::choose_all() const {
  return rules_.size() == limits::kFiltersMax ? ~Chosen{0} : (Chosen{1} << rules_.size()) - 1;
}

Filters::Result Filters::run(FilterBench& bench, Chosen chosen, Pieces event, bool first,
                             bool padded, OnUnseen on_invalid) const {
  Pieces behind_mark = first ? without_mark(event) : event;
  bench.event.begin(behind_mark, padded);
  if (!bench.event.has_data()) return {};
  bench.searches.renew();
  bench.before.clear();
  bench.after.clear();
  Outcome outcome;
  for (size_t i = 0; i < rules_.size() && !outcome.dropped && !outcome.ends; ++i) {
    if ((chosen >> i & 1) == 0) continue;
    const Rule& rule = rules_[i];
    if (rule.is_script) {
      outcome = run_script(rule, bench);
      if (outcome.failure != ScriptFailure::kNone)
        return {.changed = true, .failure = outcome.failure};
      continue;
    }
    Fit fit = fits(rule, bench);
    if (fit == Fit::kNo) continue;
    FilterCounts& counts = bench.count_of(bench.rules[rule.place].id);
    if (fit == Fit::kYes)
      outcome = act(rule, bench, counts);
    else
      (fit == Fit::kInvalid ? outcome.invalid : outcome.unsearched) = true;
    bool invalid = std::exchange(outcome.invalid, false);
    if (!invalid && !outcome.unsearched) continue;
    counts.count(invalid ? FilterDeed::kInvalid : FilterDeed::kUnsearched);
    // An event that was not searched may hold what must not pass.
    if (invalid && on_invalid == OnUnseen::kPass) continue;
    bool ends = on_invalid == OnUnseen::kEnd;
    counts.count(ends ? FilterDeed::kEnded : FilterDeed::kDropped);
    outcome.dropped = true;
    outcome.ends |= ends;
  }
  bool added = !bench.before.empty() || !bench.after.empty();
  if (!bench.event.edited() && !outcome.dropped && !added) return {.ends = outcome.ends};
  std::string_view text = outcome.dropped ? std::string_view() : bench.event.text();
  size_t mark_bytes = event.size() - behind_mark.size();
  if (!added && mark_bytes == 0) return {true, outcome.ends, text};
  bench.out.clear();
  if (mark_bytes > 0) bench.out += "\xEF\xBB\xBF";
  bench.out += bench.before;
  bench.out += text;
  bench.out += bench.after;
  return {true, outcome.ends, bench.out};
}

Filters::Fit Filters::fits(const Rule& rule, FilterBench& bench) {
  EventText& event = bench.event;
  if (!rule.events.empty() && !any_of(rule.events, event.type())) return Fit::kNo;
  if (!rule.ids.empty() && !any_of(rule.ids, event.id())) return Fit::kNo;
  if (!rule.data.empty() &&
      std::ranges::none_of(rule.data, [&](const auto& data) { return event.data_is(data); }))
    return Fit::kNo;
  for (const Test& test : rule.json) {
    bool needs_name = test.kind != FilterTest::Kind::kMissing;
    if (needs_name && !event.may_have_name(test.pointer.needle())) return Fit::kNo;
  }
  if (rule.json.empty()) return Fit::kYes;
  EventText::Json json = event.json();
  if (json != EventText::Json::kValid)
    return json == EventText::Json::kInvalid ? Fit::kInvalid : Fit::kNo;
  if (std::ranges::all_of(rule.json, [&](const Test& test) { return holds(test, bench); }))
    return Fit::kYes;
  return bench.searches.spent() ? Fit::kUnsearched : Fit::kNo;
}

bool Filters::holds(const Test& test, FilterBench& bench) {
  std::string_view json = bench.event.json_text();
  JsonPlace place;
  bool found = test.pointer.find(json, place);
  if (!found || test.kind == FilterTest::Kind::kMissing)
    return !found && test.kind == FilterTest::Kind::kMissing;
  std::string_view value = json.substr(place.begin, place.end - place.begin);
  bool is_string = value.front() == '"';
  if (is_string) value = value.substr(1, value.size() - 2);
  switch (test.kind) {
    case FilterTest::Kind::kEquals:
      if (test.is_string) return is_string && string_equals(value, test.text);
      if (is_string) return false;
      return test.number ? parse_real(value) == test.number : value == test.text;
    case FilterTest::Kind::kMatches:
      if (is_string) value = unescaped(value, bench.room);
      return bench.searches.take(test.pattern->steps(value.size())) &&
             test.pattern->found_in(bench.worker, value);
    case FilterTest::Kind::kExists:
    case FilterTest::Kind::kMissing:
      return true;
  }
  return true;
}

Filters::Outcome Filters::act(const Rule& rule, FilterBench& bench, FilterCounts& counts) {
  using Kind = FilterAction::Kind;
  Outcome outcome;
  size_t edits = bench.event.edits();
  for (const Action& action : rule.actions) {
    switch (action.kind) {
      case Kind::kDrop:
        outcome.dropped = true;
        break;
      case Kind::kData:
        bench.event.replace_data(action.text);
        break;
      case Kind::kRenameEvent:
        bench.event.replace_type(action.text);
        break;
      case Kind::kAddBefore:
        bench.before += action.text;
        counts.count(FilterDeed::kAdded);
        break;
      case Kind::kAddAfter:
        bench.after += action.text;
        counts.count(FilterDeed::kAdded);
        break;
      case Kind::kEnd:
        bench.after += action.text;
        outcome.ends = true;
        break;
      case Kind::kSet:
      case Kind::kRemove:
      case Kind::kRename:
      case Kind::kRedact:
        Fit fit = needs_json(action, bench);
        if (fit == Fit::kYes) edit_json(action, bench);
        outcome.invalid |= fit == Fit::kInvalid;
        outcome.unsearched = bench.searches.spent();
        if (outcome.unsearched) return outcome;
        break;
    }
  }
  count(outcome, bench.event.edits() != edits, counts);
  return outcome;
}

void Filters::count(const Outcome& outcome, bool changed, FilterCounts& counts) {
  if (outcome.dropped)
    counts.count(FilterDeed::kDropped);
  else if (changed)
    counts.count(FilterDeed::kChanged);
  if (outcome.ends) counts.count(FilterDeed::kEnded);
}

Filters::Outcome Filters::run_script(const Rule& rule, FilterBench& bench) {
  size_t edits = bench.event.edits();
  StreamScripts::Result result = bench.scripts->on_event(rule.place, bench);
  FilterCounts& counts = bench.count_of(bench.rules[rule.place].id);
  counts.count(FilterDeed::kAdded, result.added);
  Outcome outcome{.dropped = result.dropped, .ends = result.ends, .failure = result.failure};
  count(outcome, bench.event.edits() != edits, counts);
  return outcome;
}

Filters::Fit Filters::needs_json(const Action& action, FilterBench& bench) {
  const JsonPointer* found_at = action.kind == FilterAction::Kind::kSet ? &action.parent
                                : action.pointer                        ? &*action.pointer
                                                                        : nullptr;
  if (found_at && !bench.event.may_have_name(found_at->needle())) return Fit::kNo;
  switch (bench.event.json()) {
    case EventText::Json::kValid:
      return Fit::kYes;
    case EventText::Json::kInvalid:
      return Fit::kInvalid;
    case EventText::Json::kNone:
      return Fit::kNo;
  }
  return Fit::kNo;
}

void Filters::edit_json(const Action& action, FilterBench& bench) {
  switch (action.kind) {
    case FilterAction::Kind::kSet:
      return set(action, bench);
    case FilterAction::Kind::kRemove:
      return remove(action, bench);
    case FilterAction::Kind::kRename:
      return rename(action, bench);
    case FilterAction::Kind::kRedact:
      return redact(action, bench);
    default:
      return;
  }
}

void Filters::set(const Action& action, FilterBench& bench) {
  EventText::Part part{};
  std::string_view with;
  if (find_place_to_set(bench.event.json_text(), {*action.pointer, action.parent}, action.text,
                        part, with, bench.out))
    bench.event.replace_json(part, with);
}

void Filters::remove(const Action& action, FilterBench& bench) {
  find_parts_to_remove(bench.event.json_text(), {*action.pointer, action.parent}, bench.parts);
  if (!bench.parts.empty()) bench.event.replace_json(bench.parts, "");
}

void Filters::rename(const Action& action, FilterBench& bench) {
  JsonPlace place;
  if (!action.pointer->find(bench.event.json_text(), place)) return;
  if (place.name_begin == JsonPlace::kNone) return;  // of an array
  bench.event.replace_json({place.name_begin, place.name_end}, action.text);
}

void Filters::redact(const Action& action, FilterBench& bench) {
  std::string_view json = bench.event.json_text();
  JsonPlace place{.end = json.size()};
  if (action.pointer && !action.pointer->find(json, place)) return;
  bench.parts.clear();
  for (size_t at = place.begin; at < place.end;) {
    at = json.find('"', at);
    if (at >= place.end) break;
    size_t end = string_end(json, at);
    size_t behind = skip_blanks(json, end);
    bool is_name = behind < json.size() && json[behind] == ':';
    if (!is_name) find_matches(action, bench, at + 1, end - 1);
    if (bench.searches.spent()) break;
    at = end;
  }
  // All of them or none.
  if (!bench.parts.empty() && !bench.searches.spent())
    bench.event.replace_json(bench.parts, action.text);
}

// Of the string that stands there; the matches as they are written.
void Filters::find_matches(const Action& action, FilterBench& bench, size_t begin, size_t end) {
  std::string_view raw = bench.event.json_text().substr(begin, end - begin);
  std::string_view text = unescaped(raw, bench.room);
  JsonStringReader reader(raw);
  size_t read = 0;  // of the text
  auto raw_offset = [&](size_t offset) {
    if (text.data() == raw.data()) return offset;
    while (read < offset) read += reader.next().size();
    return reader.at();
  };
  const Pattern& pattern = *action.pattern;
  std::string_view match;
  for (size_t at = 0; at < text.size() && bench.searches.take(pattern.steps(text.size() - at));) {
    if (!pattern.find(bench.worker, text, at, match)) break;
    auto offset = static_cast<size_t>(match.data() - text.data());
    if (match.empty()) {
      at = offset + 1;
      continue;
    }
    size_t from = raw_offset(offset);
    at = offset + match.size();
    bench.parts.push_back({begin + from, begin + raw_offset(at)});
  }
}

}  // namespace sluice

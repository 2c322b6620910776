// Filters, made of what the configuration says.
#include <algorithm>

#include "core/text.h"
#include "net/filter/event_lines.h"
#include "net/filter/filters.h"
#include "net/filter/json_text.h"
#include "net/http/head.h"

namespace sluice {

namespace {

std::string quoted(std::string_view text) {
  std::string out = "\"";
  append_escaped(out, text);
  return out + '"';
}

// A prefix of a path that ends where a segment does, as those of routes.
bool begins_path(std::string_view path, std::string_view prefix) {
  if (!path.starts_with(prefix)) return false;
  return prefix.ends_with('/') || path.size() == prefix.size() || path[prefix.size()] == '/' ||
         path[prefix.size()] == '?';
}

}  // namespace

Filters::Filters(std::span<const FilterRule> rules, const std::vector<const FilterRule*>& chosen,
                 unsigned copies, std::string& wrong) {
  for (const FilterRule* rule : chosen)
    if (wrong.empty()) add_rule(*rule, static_cast<size_t>(rule - rules.data()), copies, wrong);
}

void Filters::add_rule(const FilterRule& from, size_t place, unsigned copies, std::string& wrong) {
  Rule rule{place,        from.is_script(), from.events, from.ids, from.data,
            from.methods, from.paths,       {},          {},       {}};
  if (rule.is_script) scripts_ |= Chosen{1} << rules_.size();
  for (const FilterTest& test : from.json)
    rule.json.push_back(compile(test, /*json=*/true, copies, wrong));
  for (const FilterTest& test : from.fields)
    rule.fields.push_back(compile(test, /*json=*/false, copies, wrong));
  for (const FilterAction& action : from.actions)
    rule.actions.push_back(compile(action, copies, wrong));
  rules_.push_back(std::move(rule));
}

Filters::Test Filters::compile(const FilterTest& from, bool json, unsigned copies,
                               std::string& wrong) {
  Test test{.kind = from.kind, .subject = from.subject, .pointer = {}, .text = from.text};
  if (json) {
    std::optional<JsonPointer> pointer = JsonPointer::parse(from.subject);
    if (pointer)
      test.pointer = *std::move(pointer);
    else if (wrong.empty())
      wrong = from.where + ": '" + from.subject + "' is no JSON pointer: \"/choices/0/delta\"";
    if (from.kind == FilterTest::Kind::kEquals && from.text.starts_with('"')) {
      test.is_string = true;
      std::string_view inside(from.text);
      std::string room;
      test.text = std::string(unescaped(inside.substr(1, inside.size() - 2), room));
    } else if (from.kind == FilterTest::Kind::kEquals) {
      test.number = parse_real(from.text);
    }
  }
  if (from.kind == FilterTest::Kind::kMatches) {
    std::string mistake;
    test.pattern.emplace(from.text, copies, mistake);
    if (!mistake.empty() && wrong.empty()) wrong = from.where + ": '" + from.text + "' " + mistake;
  }
  return test;
}

Filters::Action Filters::compile(const FilterAction& from, unsigned copies, std::string& wrong) {
  using Kind = FilterAction::Kind;
  auto is_wrong = [&](const std::string& text) {
    if (wrong.empty()) wrong = from.where + ": " + text;
  };
  Action action{.kind = from.kind, .pointer = {}, .parent = {}, .text = from.text, .pattern = {}};
  if (from.pointer) {
    action.pointer = JsonPointer::parse(*from.pointer);
    bool of_member = from.kind == Kind::kRemove || from.kind == Kind::kRename;
    if (!action.pointer)
      is_wrong("'" + *from.pointer + "' is no JSON pointer: \"/choices/0/delta\"");
    else if (action.pointer->is_root() && of_member)
      is_wrong("the whole cannot be removed or renamed; name a place in it, \"/usage\"");
    else if (!action.pointer->is_root())
      action.parent = action.pointer->parent();
  }
  switch (from.kind) {
    case Kind::kRename:
      action.text = quoted(from.text);
      break;
    case Kind::kRedact: {
      std::string mistake;
      action.pattern.emplace(from.text, copies, mistake);
      if (!mistake.empty())
        is_wrong("'" + from.text + "' " + mistake);
      else if (action.pattern->found_in(0, ""))
        is_wrong("'" + from.text + "' matches the empty text, so it would be found everywhere");
      action.text.clear();
      append_escaped(action.text, from.with);
      break;
    }
    case Kind::kData:
      action.text.clear();
      append_data_lines(action.text, from.text);
      break;
    case Kind::kAddBefore:
    case Kind::kAddAfter:
    case Kind::kEnd:
      action.text.clear();
      if (from.event) append_event(action.text, from.event->event, from.event->data);
      break;
    case Kind::kDrop:
    case Kind::kSet:
    case Kind::kRemove:
    case Kind::kRenameEvent:
      break;
  }
  return action;
}

Filters::Chosen Filters::choose(const Head& request, std::string_view path, unsigned worker) const {
  // A field whose search does not fit counts as found: the filter then looks at the events.
  uint64_t left = limits::kSearchStepsMax;
  auto may_match = [&](const Pattern& pattern, std::string_view value) {
    uint64_t steps = pattern.steps(value.size());
    if (steps > left) return true;
    left -= steps;
    return pattern.found_in(worker, value);
  };
  auto holds = [&](const Test& test) {
    std::optional<std::string_view> value = request.find(test.subject);
    switch (test.kind) {
      case FilterTest::Kind::kExists:
        return value.has_value();
      case FilterTest::Kind::kMissing:
        return !value.has_value();
      case FilterTest::Kind::kEquals:
        return value == test.text;
      case FilterTest::Kind::kMatches:
        return value && may_match(*test.pattern, *value);
    }
    return false;
  };
  Chosen chosen = 0;
  for (size_t i = 0; i < rules_.size(); ++i) {
    const Rule& rule = rules_[i];
    bool method = rule.methods.empty() ||
                  std::ranges::find(rule.methods, request.method()) != rule.methods.end();
    bool place = rule.paths.empty() || std::ranges::any_of(rule.paths, [&](const auto& prefix) {
                   return begins_path(path, prefix);
                 });
    if (method && place && std::ranges::all_of(rule.fields, holds)) chosen |= Chosen{1} << i;
  }
  return chosen;
}

}  // namespace sluice

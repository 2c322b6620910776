#include "net/config/filter_rules.h"

#include <algorithm>
#include <initializer_list>
#include <string_view>

#include "core/text.h"
#include "core/units.h"
#include "net/config/source.h"
#include "net/config/values.h"

namespace sluice {
namespace {

using Kind = FileValue::Kind;

// A table's values by name, and where it is for messages ("sluice.toml:7:1: filter pii: match").
class TableReader {
 public:
  TableReader(const FileValue& table, std::string what) : table_(table), what_(std::move(what)) {
    if (table.kind != Kind::kTable) fail(table, "is a table: " + what_ + " = { ... }");
  }

  const FileValue* find(std::string_view name) const {
    auto found = std::ranges::find(table_.items, name, &FileValue::name);
    return found == table_.items.end() ? nullptr : &*found;
  }

  void expect_only(const std::vector<std::string>& names) const {
    for (const FileValue& item : table_.items) {
      if (std::ranges::find(names, item.name) != names.end()) continue;
      std::string near = closest_name(item.name, names);
      std::string known;
      for (const std::string& name : names) known += (known.empty() ? "" : ", ") + name;
      throw ConfigError(item.where + ": " + what_,
                        "no key '" + item.name + "'; " +
                            (near.empty() ? "known are " + known : "did you mean " + near + "?"));
    }
  }

  // "" where it is absent.
  std::string text(std::string_view name) const {
    const FileValue* value = find(name);
    return value ? text_of(*value) : "";
  }
  // Of an event or a field: nothing that would end its line.
  std::string line(std::string_view name) const {
    const FileValue* value = find(name);
    return value ? line_of(*value) : "";
  }
  std::vector<std::string> lines(std::string_view name) const {
    const FileValue* value = find(name);
    if (!value) return {};
    if (value->kind != Kind::kList) return {line_of(*value)};
    std::vector<std::string> all;
    for (const FileValue& item : value->items) all.push_back(line_of(item));
    return all;
  }

  std::string place(const FileValue& value) const {
    return value.where + ": " + what_ + (value.name.empty() ? "" : ": " + value.name);
  }
  [[noreturn]] void fail(const FileValue& value, const std::string& wrong) const {
    throw ConfigError(place(value), wrong);
  }
  std::string text_of(const FileValue& value) const {
    if (value.kind != Kind::kText) fail(value, "is a string");
    if (value.text.find('\0') != value.text.npos) fail(value, "a value has no zero bytes");
    return value.text;
  }
  std::string line_of(const FileValue& value) const {
    std::string text = text_of(value);
    if (text.find_first_of("\r\n") != text.npos) fail(value, "is one line");
    return text;
  }
  const std::string& what() const { return what_; }

 private:
  const FileValue& table_;
  std::string what_;
};

void append_json(std::string& out, const FileValue& value, const TableReader& reader) {
  auto quote = [&out](std::string_view text) {
    out += '"';
    for (char c : text) {
      // Not append_json_escaped(), which takes bytes beyond ASCII for Latin-1.
      if (c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20)
        append_json_escaped(out, {&c, 1});
      else
        out += c;
    }
    out += '"';
  };
  switch (value.kind) {
    case Kind::kText:
      quote(value.text);
      break;
    case Kind::kNumber:
    case Kind::kBoolean:
      out += value.text;
      break;
    case Kind::kList:
    case Kind::kTable: {
      bool table = value.kind == Kind::kTable;
      out += table ? '{' : '[';
      for (const FileValue& item : value.items) {
        if (&item != &value.items.front()) out += ',';
        if (table) {
          quote(item.name);
          out += ':';
        }
        append_json(out, item, reader);
      }
      out += table ? '}' : ']';
      break;
    }
    case Kind::kOther:
      reader.fail(value, "JSON has no such value");
  }
}

std::string json_of(const FileValue& value, const TableReader& reader) {
  std::string text;
  append_json(text, value, reader);
  return text;
}

bool boolean_of(const FileValue& value, const TableReader& reader) {
  if (value.kind != Kind::kBoolean) reader.fail(value, "is true or false");
  return value.text == "true";
}

// `subject`: "pointer" or "name".
FilterTest read_test(const FileValue& value, const std::string& what, const char* subject) {
  TableReader table(value, what);
  table.expect_only({subject, "exists", "equals", "matches"});
  FilterTest test;
  test.where = value.where + ": " + what;
  const FileValue* named = table.find(subject);
  if (!named) table.fail(value, std::string("needs a ") + subject);
  test.subject = table.line_of(*named);
  bool json = std::string_view(subject) == "pointer";
  if (!json && !is_field_name(test.subject))
    table.fail(*named, "'" + test.subject + "' is no name of a field");
  const FileValue* exists = table.find("exists");
  const FileValue* equals = table.find("equals");
  const FileValue* matches = table.find("matches");
  if ((exists != nullptr) + (equals != nullptr) + (matches != nullptr) > 1)
    table.fail(value, "asks one thing: exists, equals or matches");
  if (exists) {
    test.kind = boolean_of(*exists, table) ? FilterTest::Kind::kExists : FilterTest::Kind::kMissing;
  } else if (equals) {
    test.kind = FilterTest::Kind::kEquals;
    if (equals->kind == Kind::kList || equals->kind == Kind::kTable)
      table.fail(*equals, "is a string, a number or a boolean");
    test.text = json ? json_of(*equals, table) : table.line_of(*equals);
  } else if (matches) {
    test.kind = FilterTest::Kind::kMatches;
    test.text = table.text_of(*matches);
  }
  return test;
}

std::vector<FilterTest> read_tests(const TableReader& match, const char* name,
                                   const char* subject) {
  const FileValue* value = match.find(name);
  if (!value) return {};
  std::string what = match.what() + "." + name;
  if (value->kind != Kind::kList) return {read_test(*value, what, subject)};
  std::vector<FilterTest> tests;
  for (const FileValue& item : value->items) tests.push_back(read_test(item, what, subject));
  return tests;
}

FilterEvent read_event(const FileValue& value, const std::string& what) {
  TableReader table(value, what);
  table.expect_only({"event", "data"});
  FilterEvent event{table.line("event"), table.text("data")};
  if (event.data.find('\r') != event.data.npos) table.fail(value, "data has no CR");
  if (!table.find("data")) table.fail(value, "needs data, or no client sees the event");
  return event;
}

struct ActionName {
  const char* name;
  FilterAction::Kind kind;
  const char* other;  // a further key; null: none
  bool needed = false;
};
constexpr std::initializer_list<ActionName> kActions = {
    {"drop", FilterAction::Kind::kDrop, nullptr},
    {"set", FilterAction::Kind::kSet, "value", true},
    {"remove", FilterAction::Kind::kRemove, nullptr},
    {"rename", FilterAction::Kind::kRename, "to", true},
    {"redact", FilterAction::Kind::kRedact, "with", true},
    {"data", FilterAction::Kind::kData, nullptr},
    {"event", FilterAction::Kind::kRenameEvent, nullptr},
    {"add-before", FilterAction::Kind::kAddBefore, nullptr},
    {"add-after", FilterAction::Kind::kAddAfter, nullptr},
    {"end", FilterAction::Kind::kEnd, nullptr},
};

FilterAction read_action(const FileValue& value, const std::string& what) {
  using Action = FilterAction::Kind;
  TableReader table(value, what);
  std::vector<std::string> names;
  const ActionName* found = nullptr;
  for (const ActionName& action : kActions) {
    names.emplace_back(action.name);
    if (!table.find(action.name)) continue;
    if (found)
      table.fail(value, std::string(found->name) + " and " + action.name +
                            " are two actions; give each a table of its own");
    found = &action;
  }
  if (!found) {
    table.expect_only(names);
    table.fail(value, "names no action");
  }
  std::vector<std::string> keys = {found->name};
  if (found->other) keys.emplace_back(found->other);
  if (found->kind == Action::kRedact) keys.emplace_back("in");
  table.expect_only(keys);
  const FileValue& main = *table.find(found->name);
  const FileValue* other = found->other ? table.find(found->other) : nullptr;
  if (found->needed && !other)
    table.fail(main, std::string("needs ") + found->other + " beside it");

  FilterAction action;
  action.kind = found->kind;
  action.where = table.place(main);
  switch (found->kind) {
    case Action::kDrop:
      if (!boolean_of(main, table)) table.fail(main, "is true, or left out");
      break;
    case Action::kSet:
      action.pointer = table.line_of(main);
      action.text = json_of(*other, table);
      break;
    case Action::kRemove:
      action.pointer = table.line_of(main);
      break;
    case Action::kRename:
      action.pointer = table.line_of(main);
      action.text = table.line_of(*other);
      break;
    case Action::kRedact:
      action.text = table.text_of(main);
      action.with = table.text_of(*other);
      if (table.find("in")) action.pointer = table.line("in");
      break;
    case Action::kData:
      action.text = table.text_of(main);
      if (action.text.find('\r') != action.text.npos) table.fail(main, "data has no CR");
      break;
    case Action::kRenameEvent:
      action.text = table.line_of(main);
      break;
    case Action::kEnd:
      if (main.kind == Kind::kBoolean) {
        if (!boolean_of(main, table)) table.fail(main, "is true, an event, or left out");
        break;
      }
      [[fallthrough]];
    case Action::kAddBefore:
    case Action::kAddAfter:
      action.event = read_event(main, what + ": " + found->name);
      break;
  }
  return action;
}

// A path in the file is relative to the file.
std::string beside(const std::string& file, const std::string& path) {
  if (path.starts_with('/')) return path;
  return file.substr(0, file.rfind('/') + 1) + path;
}

FilterRule read_filter(const FileValue& value, const std::string& file) {
  TableReader table(value, "filter");
  FilterRule rule;
  rule.name = table.line("name");
  rule.where = value.where;
  if (rule.name.empty()) table.fail(value, "a filter needs a name: name = \"pii\"");
  bool plain = std::ranges::all_of(rule.name, [](char c) {
    return c > ' ' && c < 0x7f && c != '"' && c != ',' && c != '\\' && c != '+';
  });
  if (!plain || rule.name.size() > 64)
    table.fail(value, "a filter's name is up to 64 letters, digits and - or _");
  std::string what = "filter " + rule.name;
  TableReader named(value, what);
  named.expect_only({"name", "match", "actions", "script"});
  if (const FileValue* script = table.find("script")) {
    if (table.find("match") || table.find("actions"))
      named.fail(*script, "a filter is a script, or a rule with match and actions");
    std::string path = named.line_of(*script);
    if (path.empty()) named.fail(*script, "names a file: script = \"NAME.lua\"");
    rule.script = beside(file, path);
    rule.script_where = named.place(*script);
    return rule;
  }
  if (const FileValue* match = table.find("match")) {
    TableReader reader(*match, what + ": match");
    reader.expect_only({"event", "id", "data", "json", "method", "path", "field"});
    rule.events = reader.lines("event");
    rule.ids = reader.lines("id");
    rule.data = reader.lines("data");
    rule.methods = reader.lines("method");
    rule.paths = reader.lines("path");
    rule.json = read_tests(reader, "json", "pointer");
    rule.fields = read_tests(reader, "field", "name");
  }
  const FileValue* actions = table.find("actions");
  if (!actions || actions->kind != Kind::kList || actions->items.empty())
    named.fail(actions ? *actions : value,
               "a filter needs actions: actions = [ { drop = true } ], or a script");
  for (const FileValue& action : actions->items)
    rule.actions.push_back(read_action(action, what + ": actions"));
  return rule;
}

}  // namespace

std::vector<FilterRule> read_filters(const std::vector<FileValue>& tables,
                                     const std::string& file) {
  std::vector<FilterRule> rules;
  for (const FileValue& table : tables) {
    FilterRule rule = read_filter(table, file);
    for (const FilterRule& other : rules)
      if (other.name == rule.name)
        throw ConfigError(rule.where,
                          "filter " + rule.name + " is already there, at " + other.where);
    rules.push_back(std::move(rule));
  }
  return rules;
}

}  // namespace sluice

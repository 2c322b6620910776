// Makers of settings, one for each kind of value: they turn a member of Config or StreamSettings
// into a row of the table, with its parser, its bounds and its default, which is read from a
// default-constructed object so that it is stated nowhere else. Included by settings.cc
// only.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/units.h"
#include "net/config/settings.h"

namespace sluice {

struct Bounds {
  uint64_t least;
  uint64_t most;
  bool or_zero = false;  // 0 is a value of its own: off, unlimited, the kernel's default
};

// How one kind of number is written.
struct NumberKind {
  const char* value_name;
  const char* form;  // what would be right
  std::optional<uint64_t> (*parse)(std::string_view);
  std::string (*format)(uint64_t);
};
extern const NumberKind kSize;
extern const NumberKind kTime;
extern const NumberKind kFineTime;
extern const NumberKind kCount;

std::string parse_number(const NumberKind& kind, Bounds bounds, std::string_view text,
                         uint64_t* value);
std::string parse_switch(std::string_view text, bool* value);
std::string parse_pool(std::string_view text, PoolSettings* pool);
// A token (RFC 9110 section 5.6.2), as a field's name and a cookie's are.
bool is_field_name(std::string_view text);
std::string parse_balance(std::string_view text, Balance* balance);
std::string parse_upstream(std::string_view text, Upstream* upstream);
// Nullopt, and *wrong says why.
std::optional<Listen> parse_listen(std::string_view text, std::string* wrong);
// Takes the scheme from the front of *url, whatever the case of its letters. False: it has another.
bool take_scheme(std::string_view* url, std::string_view scheme);
std::string not_one_of(std::string_view text, const std::vector<std::string>& names);
std::string quoted(std::string_view text);
std::string joined(const std::vector<std::string>& names, std::string_view separator);

// Calls take(item) for each item of a comma list, up to the first that returns an error.
template <typename Take>
std::string each_item(std::string_view text, Take take) {
  while (true) {
    size_t comma = text.find(',');
    std::string_view item = text.substr(0, comma);
    std::string wrong = item.empty() ? "an item of the list is empty" : take(item);
    if (!wrong.empty() || comma == text.npos) return wrong;
    text.remove_prefix(comma + 1);
  }
}

// Calls take(option) for each of the options behind a ';', up to the first that returns an error.
template <typename Take>
std::string each_option(std::string_view text, Take take) {
  std::string wrong;
  for (size_t end = text.find(';'); wrong.empty() && end != text.npos;) {
    text.remove_prefix(end + 1);
    end = text.find(';');
    wrong = take(text.substr(0, end));
  }
  return wrong;
}

template <typename T>
T& value_of(SettingTarget target, T Config::*field) {
  return target.config.*field;
}
template <typename T>
T& value_of(SettingTarget target, T StreamSettings::*field) {
  return target.route.settings.*field;
}

template <typename T, typename Owner>
T default_of(T Owner::*field) {
  return Owner{}.*field;
}

template <typename T>
constexpr Scope scope_of(T Config::*) {
  return Scope::kProcess;
}
template <typename T>
constexpr Scope scope_of(T StreamSettings::*) {
  return Scope::kStream;
}

template <typename Owner>
Setting number_setting(const char* name, uint64_t Owner::*field, const NumberKind& kind,
                       Bounds bounds, const char* help) {
  return {.name = name,
          .scope = scope_of(field),
          .number = true,
          .value_name = kind.value_name,
          .default_text = kind.format(default_of(field)),
          .help = help,
          .set = [=](SettingTarget target, std::string_view text) {
            return parse_number(kind, bounds, text, &value_of(target, field));
          }};
}

template <typename Owner>
Setting switch_setting(const char* name, bool Owner::*field, const char* help) {
  return {.name = name,
          .scope = scope_of(field),
          .form = Form::kSwitch,
          .value_name = default_of(field) ? "[on|off]" : "",
          .default_text = default_of(field) ? "on" : "off",
          .help = help,
          .set = [=](SettingTarget target, std::string_view text) {
            return parse_switch(text, &value_of(target, field));
          }};
}

// The setting of that member, which takes a restart.
template <typename T>
Setting until_restart(T Config::*field, Setting setting) {
  setting.differs = [field](const Config& one, const Config& other) {
    return one.*field != other.*field;
  };
  return setting;
}

template <typename T>
using Choices = std::vector<std::pair<std::string, T>>;

template <typename T, typename Owner>
Setting choice_setting(const char* name, T Owner::*field, Choices<T> choices, const char* help) {
  std::vector<std::string> names;
  std::string default_text;
  for (const auto& [choice, value] : choices) {
    names.push_back(choice);
    if (value == default_of(field)) default_text = choice;
  }
  return {.name = name,
          .scope = scope_of(field),
          .value_name = joined(names, "|"),
          .default_text = default_text,
          .help = help,
          .set = [=](SettingTarget target, std::string_view text) -> std::string {
            for (const auto& [choice, value] : choices) {
              if (choice != text) continue;
              value_of(target, field) = value;
              return "";
            }
            return not_one_of(text, names);
          }};
}

}  // namespace sluice

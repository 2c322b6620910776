#include "net/base/file.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <sstream>

#include <toml++/toml.h>

#include "net/config/source.h"

namespace sluice {
namespace {

std::string read_text(const std::string& path) {
  std::string text;
  if (!read_file(path.c_str(), &text))
    throw ConfigError("--config " + path, std::string("cannot be read: ") + std::strerror(errno));
  return text;
}

const char* type_name(toml::node_type type) {
  switch (type) {
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a float";
    case toml::node_type::boolean:
      return "a boolean";
    case toml::node_type::array:
      return "an array";
    case toml::node_type::table:
      return "a table";
    default:
      return "a date or time";
  }
}

std::string expected_type(const Setting& setting) {
  if (setting.form == Form::kSwitch) return "a boolean, \"on\" or \"off\"";
  if (setting.form == Form::kList) return "a string or an array of strings";
  return setting.number ? "a string or an integer" : "a string";
}

// The settings of one file, each with the line and column of its value.
class FileReader {
 public:
  explicit FileReader(const std::string& path) : path_(path) {}

  Source read() {
    toml::table table = parse();
    each_key(table, [this](const toml::key& key, const toml::node& node) {
      if (key.str() == "route") {
        read_routes(node);
      } else if (key.str() == "filter") {
        read_filters(node);
      } else {
        read_value(top_level_key(key), node, &source_.assignments);
      }
    });
    source_.path = path_;
    return std::move(source_);
  }

 private:
  toml::table parse() const {
    std::string text = read_text(path_);
    check_depth(text);
    try {
      return toml::parse(text, path_);
    } catch (const toml::parse_error& error) {
      throw ConfigError(where(error.source()), std::string(error.description()));
    }
  }

  // toml++ goes one level deeper into the stack for each part of a dotted key, without a limit.
  void check_depth(std::string_view text) const {
    constexpr unsigned kDotsMax = 256;
    unsigned line = 1;
    unsigned dots = 0;
    char quote = 0;
    for (char c : text) {
      if (c == '\n') {
        ++line;
        dots = 0;
        quote = 0;
      } else if (quote != 0 ? c == quote : c == '"' || c == '\'') {
        quote = quote != 0 ? '\0' : c;
      } else if (c == '.' && quote == 0 && ++dots > kDotsMax) {
        throw ConfigError(path_ + ":" + std::to_string(line),
                          "a key of more than " + std::to_string(kDotsMax) + " parts");
      }
    }
  }

  // In the order of the file (toml++ keeps them by name), so that the first mistake is reported.
  template <typename Take>
  static void each_key(const toml::table& table, Take take) {
    std::vector<std::pair<const toml::key*, const toml::node*>> entries;
    for (auto&& [key, node] : table) entries.emplace_back(&key, &node);
    std::ranges::sort(entries, [](const auto& a, const auto& b) {
      return a.first->source().begin < b.first->source().begin;
    });
    for (const auto& [key, node] : entries) take(*key, *node);
  }

  const Setting& top_level_key(const toml::key& key) const {
    const Setting* setting = find_setting(key.str());
    if (setting != nullptr && is_file_key(*setting)) return *setting;
    std::string name(key.str());
    std::string place = where(key.source());
    if (setting == nullptr) {
      throw ConfigError(place,
                        "no such setting '" + name + "'" + did_you_mean(name, is_file_key, ""));
    }
    if (is_route_key(*setting)) {
      throw ConfigError(place, name + " belongs to a route: put it below [[route]]");
    }
    throw ConfigError(place, name + " is a flag only: --" + name);
  }

  void read_routes(const toml::node& node) {
    const toml::array* tables = node.as_array();
    if (tables == nullptr || !tables->is_homogeneous(toml::node_type::table)) {
      throw ConfigError(where(node.source()), "a route is a table of its own: [[route]]");
    }
    for (const toml::node& table : *tables) {
      RouteSource route{where(table.source()), {}};
      each_key(*table.as_table(), [&](const toml::key& key, const toml::node& value) {
        read_value(route_key(key.str(), where(key.source())), value, &route.assignments);
      });
      source_.routes.push_back(std::move(route));
    }
  }

  void read_filters(const toml::node& node) {
    const toml::array* tables = node.as_array();
    if (tables == nullptr || !tables->is_homogeneous(toml::node_type::table))
      throw ConfigError(where(node.source()), "a filter is a table of its own: [[filter]]");
    for (const toml::node& table : *tables) source_.filters.push_back(tree("", table));
  }

  FileValue tree(std::string_view name, const toml::node& node) const {
    using Kind = FileValue::Kind;
    FileValue value{.name = std::string(name), .where = where(node.source()), .text = ""};
    if (const toml::table* table = node.as_table()) {
      value.kind = Kind::kTable;
      each_key(*table, [&](const toml::key& key, const toml::node& item) {
        value.items.push_back(tree(key.str(), item));
      });
    } else if (const toml::array* list = node.as_array()) {
      value.kind = Kind::kList;
      for (const toml::node& item : *list) value.items.push_back(tree("", item));
    } else if (const auto* text = node.as_string()) {
      value.text = text->get();
    } else if (const auto* number = node.as_integer()) {
      value.kind = Kind::kNumber;
      value.text = std::to_string(number->get());
    } else if (const auto* real = node.as_floating_point()) {
      value.kind = std::isfinite(real->get()) ? Kind::kNumber : Kind::kOther;
      std::array<char, 32> digits{};
      value.text.assign(digits.data(),
                        std::to_chars(digits.begin(), digits.end(), real->get()).ptr);
    } else if (const auto* on = node.as_boolean()) {
      value.kind = Kind::kBoolean;
      value.text = on->get() ? "true" : "false";
    } else {
      value.kind = Kind::kOther;
    }
    return value;
  }

  void read_value(const Setting& setting, const toml::node& node,
                  std::vector<Assignment>* assignments) const {
    const toml::array* array = node.as_array();
    if (array == nullptr || setting.form != Form::kList) {
      assignments->push_back(scalar(setting, node));
      return;
    }
    for (const toml::node& item : *array) assignments->push_back(scalar(setting, item));
  }

  Assignment scalar(const Setting& setting, const toml::node& node) const {
    std::string place = where(node.source()) + ": " + setting.name;
    if (const auto* text = node.as_string()) {
      if (!text->get().empty()) return {&setting, text->get(), place};
      throw ConfigError(place, "a value is missing");
    }
    if (const auto* number = node.as_integer(); number != nullptr && setting.number) {
      return {&setting, std::to_string(number->get()), place};
    }
    if (const auto* on = node.as_boolean(); on != nullptr && setting.form == Form::kSwitch) {
      return {&setting, on->get() ? "on" : "off", place};
    }
    throw ConfigError(place, std::string(type_name(node.type())) + " where " +
                                 expected_type(setting) + " is due");
  }

  std::string where(const toml::source_region& region) const {
    return path_ + ":" + std::to_string(region.begin.line) + ":" +
           std::to_string(region.begin.column);
  }

  const std::string& path_;
  Source source_;
};

}  // namespace

Source read_file(const std::string& path) {
  return FileReader(path).read();
}

}  // namespace sluice

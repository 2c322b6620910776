// What a source of settings says, as a value that can be compared, and the file that says the same.
#pragma once

#include <map>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "net/config/source.h"

namespace sluice::test {

// The texts that each setting was given, in order.
using Table = std::map<std::string, std::vector<std::string>>;

struct Tables {
  Table process;
  std::vector<Table> routes;
  bool operator==(const Tables&) const = default;
};

inline Table table_of(const std::vector<Assignment>& assignments) {
  Table table;
  for (const Assignment& assignment : assignments)
    table[assignment.setting->name].push_back(assignment.text);
  return table;
}

inline Tables tables_of(const Source& source) {
  Tables tables{table_of(source.assignments), {}};
  for (const RouteSource& route : source.routes)
    tables.routes.push_back(table_of(route.assignments));
  return tables;
}

inline std::string toml_string(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < ' ' || byte == 0x7f) {
      quoted.append("\\u00") += kHex[byte >> 4];
      quoted += kHex[byte & 15];
    } else {
      if (c == '"' || c == '\\') quoted += '\\';
      quoted += c;
    }
  }
  return quoted + "\"";
}

inline std::string toml_of(const Table& table) {
  std::string toml;
  for (const auto& [name, texts] : table) {
    std::string values;
    for (const std::string& text : texts)
      values += (values.empty() ? "" : ", ") + toml_string(text);
    const bool list = find_setting(name)->form == Form::kList;
    toml.append(name).append(" = ").append(list ? "[" + values + "]" : values).append("\n");
  }
  return toml;
}

inline std::string toml_of(const Tables& tables) {
  std::string toml = toml_of(tables.process);
  for (const Table& route : tables.routes) toml += "\n[[route]]\n" + toml_of(route);
  return toml;
}

inline void PrintTo(const Tables& tables, std::ostream* out) {
  *out << toml_of(tables);
}

}  // namespace sluice::test

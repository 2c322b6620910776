// Where settings are read from: argv and the file. Both readers turn what they find into the same
// form, settings with a text for each and the place that it was found at, and know nothing of what
// the texts mean. Used by one thread, while the configuration is read; a mistake is thrown as
// ConfigError and becomes the one line that read_config returns.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "net/config/settings.h"

namespace sluice {

class ConfigError : public std::runtime_error {
 public:
  // where: "--heartbeat", "sluice.toml:3:13: heartbeat".
  ConfigError(const std::string& where, const std::string& what)
      : std::runtime_error(where + ": " + what) {}
};

struct Assignment {
  const Setting* setting;
  std::string text;
  std::string where;
};

struct RouteSource {
  std::string where;
  std::vector<Assignment> assignments;
};

// A value of the file that is no setting: a table or a list, with what is in it, or a scalar.
struct FileValue {
  enum class Kind : uint8_t { kText, kNumber, kBoolean, kList, kTable, kOther };

  std::string name;   // in its table
  std::string where;  // "sluice.toml:7:3"
  Kind kind = Kind::kText;
  std::string text;  // of a scalar
  std::vector<FileValue> items = {};
};

struct Source {
  std::vector<Assignment> assignments;
  std::vector<RouteSource> routes;
  std::vector<FileValue> filters;  // tables
  std::string path = {};           // of the file
};

Source read_flags(int argc, const char* const* argv);
Source read_file(const std::string& path);

// Of --help.
std::string help_text();

// The setting that a route's key names. Throws where there is none.
const Setting& route_key(std::string_view key, const std::string& where);

}  // namespace sluice

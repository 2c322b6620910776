// The table of settings, the one place where a setting is named. The flags, --help, the keys of the
// file and the keys of a route are all generated from it. Built once, at first use, and then only
// read; the setters run while the configuration is being read, before any other thread starts.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "net/config/config.h"

namespace sluice {

// What a default-constructed Config leaves empty, since it takes parsing.
inline constexpr const char* kDefaultListen = "127.0.0.1:8080";
inline constexpr const char* kDefaultAdmin = "127.0.0.1:9901";

enum class Scope : uint8_t {
  kCommand,  // a flag, of this command line only
  kProcess,  // a flag and a top-level key of the file
  kStream,   // these, and a key of a route, which starts from the process's value
  kRoute,    // a key of a route only
};

// How often a setting may be given. The last kSwitch or kSingle wins; a kList collects.
enum class Form : uint8_t { kSwitch, kSingle, kList };

// What a setter writes to: the configuration and, of kStream and kRoute, the route.
struct SettingTarget {
  Config& config;
  Route& route;
};

struct Setting {
  std::string name = {};
  Scope scope = Scope::kProcess;
  Form form = Form::kSingle;
  bool number = false;            // the file may also give an integer
  std::string value_name = {};    // as --help shows it: "SIZE", "on|off"
  std::string default_text = {};  // "" = none
  std::string help = {};          // one sentence
  std::string_view group = {};    // the heading of --help
  // Takes one value; returns what is wrong with it, or "". Null where the readers themselves act
  // on the setting (scope kCommand, and route, which is a group of settings).
  std::function<std::string(SettingTarget, std::string_view)> set = nullptr;
  // Of one that a running process cannot take over: whether the two configurations differ in it.
  // Null: a reload applies it.
  std::function<bool(const Config&, const Config&)> differs = nullptr;
  // Of a kList: forgets what the file gave, before the flags give theirs.
  std::function<void(SettingTarget)> clear = nullptr;
};

const std::vector<Setting>& settings();

// Null: there is none of that name.
const Setting* find_setting(std::string_view name);

bool is_flag(const Setting& setting);
bool is_file_key(const Setting& setting);
bool is_route_key(const Setting& setting);

// "; did you mean --heartbeat?" where a setting that passes the filter is that close, else where to
// find them.
std::string did_you_mean(std::string_view word, bool (*filter)(const Setting&),
                         std::string_view prefix);

}  // namespace sluice

#include "net/script/load_scripts.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "net/base/file.h"
#include "net/script/script_state.h"

namespace sluice {

std::string load_scripts(Config& config) {
  bool any = false;
  for (FilterRule& rule : config.filters) {
    if (!rule.is_script()) continue;
    any = true;
    if (!read_file(rule.script.c_str(), &rule.code))
      return rule.script_where + ": " + rule.script + " cannot be read: " + std::strerror(errno);
  }
  if (!any) return "";
  SilentScriptHost host;  // what a script says while it is loaded is for workers to report
  ScriptState state(config, 0, host);
  if (state.wrong().empty()) return "";
  return config.filters[state.wrong_place()].script_where + ": " + state.wrong();
}

}  // namespace sluice

// The bounds of filters that are scripts.
#include "net/config/setting_groups.h"

namespace sluice {

std::vector<Setting> script_settings() {
  return {
      number_setting("script-memory", &Config::script_memory, kSize, {256 * kKiB, kGiB},
                     "Memory of all scripts of a worker; a stream ends where its script finds no "
                     "more"),
      number_setting("script-instructions", &Config::script_instructions, kCount,
                     {1000, 100'000'000},
                     "Instructions that a script may take for one call; a stream ends where its "
                     "script takes more"),
  };
}

}  // namespace sluice

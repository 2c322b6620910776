// Whether requests to language models are counted, and what is done for it.
#include "net/config/setting_groups.h"

namespace sluice {

std::vector<Setting> usage_settings() {
  using S = StreamSettings;
  return {
      choice_setting("usage", &S::usage, Choices<bool>{{"off", false}, {"on", true}},
                     "Whether the tokens of requests to language models (those with a JSON body) "
                     "are counted, for the access log in JSON, --usage-log and /metrics; a stream "
                     "of OpenAI's is asked for its usage"),
      number_setting("drain-for-usage", &S::drain_for_usage_ms, kTime, kTimeout,
                     "How long an upstream may go on, to tell of its usage, when its client has "
                     "left; 0 = it is cancelled at once, and what came is estimated"),
  };
}

}  // namespace sluice

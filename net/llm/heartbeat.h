// The heartbeat's text: a sign of life into a silence, in the words of the stream's dialect. A
// whole event, or a comment, for between two of the upstream's. Pure, any thread.
#pragma once

#include <string_view>

#include "net/base/dialects.h"
#include "net/config/config.h"

namespace sluice {

// `open`: the dialect's first event has passed and its last one has not, so that an event of ours
// may stand here. Elsewhere it is a comment, or an empty line where a comment is not wanted. Lives
// as long as the program.
std::string_view heartbeat_in(Dialect dialect, HeartbeatForm form, bool open);

}  // namespace sluice

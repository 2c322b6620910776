// What we say ourselves in a stream of a dialect: a sign of life into a silence, and what has gone
// wrong before a stream is aborted. Whole events, for between two of the upstream's. Never a
// dialect's last event: only the upstream can say that its answer is complete. Pure, any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "net/base/dialects.h"
#include "net/base/ending.h"
#include "net/config/config.h"

namespace sluice {

// `open`: the dialect's first event has passed and its last one has not, so that an event of ours
// may stand here. Elsewhere it is a comment, or an empty line where a comment is not wanted. Lives
// as long as the program.
std::string_view heartbeat_in(Dialect dialect, HeartbeatForm form, bool open);

// Nothing where there is no dialect. `number`: of the event, where the dialect counts them.
void append_error_event(std::string& out, Dialect dialect, Ending ending, uint64_t number);

}  // namespace sluice

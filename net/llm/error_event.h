// The event that says in a stream's dialect what has gone wrong, before the stream is aborted.
// Never a dialect's last event: only the upstream can say that its answer is complete. Pure, any
// thread.
#pragma once

#include <cstdint>
#include <string>

#include "net/base/dialects.h"
#include "net/base/ending.h"

namespace sluice {

// Nothing where there is no dialect. `number`: of the event, where the dialect counts them.
void append_error_event(std::string& out, Dialect dialect, Ending ending, uint64_t number);

}  // namespace sluice

// Status codes by name. Pure, any thread.
#pragma once

#include <string_view>

namespace sluice {

// The standard reason phrase, or "Unknown". Not llhttp's function, which aborts on an unknown
// status.
std::string_view reason_phrase(int status);

}  // namespace sluice

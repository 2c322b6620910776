// Status codes by name. Pure, any thread.
#pragma once

#include <string_view>

namespace sluice {

// The standard reason phrase, or "Unknown". Never llhttp's, which aborts on what it does not know.
std::string_view reason_phrase(int status);

}  // namespace sluice

// Text that may not be UTF-8, as a client reads it. Pure functions.
#pragma once

#include <string>
#include <string_view>

namespace sluice {

// The text, or what it is in UTF-8: U+FFFD stands for bytes that are none, such as those of a
// character that was cut. `room` is for the latter.
std::string_view as_utf8(std::string_view text, std::string& room);

}  // namespace sluice

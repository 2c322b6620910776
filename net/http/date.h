// The time as HTTP writes it. Pure, any thread.
#pragma once

#include <cstdint>
#include <string>

namespace sluice {

// A Date (IMF-fixdate, RFC 9110 section 5.6.7) of milliseconds since 1970.
std::string http_date(uint64_t wall_ms);

}  // namespace sluice

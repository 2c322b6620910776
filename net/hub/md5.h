// MD5 (RFC 1321), because Message DB deals streams to the members of a group by it. It spreads
// names, and protects nothing. Pure, allocates nothing.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace sluice {

std::array<uint8_t, 16> md5(std::string_view text);

}  // namespace sluice

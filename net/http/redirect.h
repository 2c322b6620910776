// Where a request for http goes on with https: the same host, the same target. Pure, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "net/http/head.h"

namespace sluice {

// "https://example.com/path?query", with the port where it is not 443. Nullopt: the request names
// no host that could stand there.
std::optional<std::string> https_location(const Head& request, uint16_t port);

}  // namespace sluice

// OCSP responses for certificates of ours, which clients get with them (stapling, RFC 6066 section
// 8). A response says itself which certificate it is for, so nothing pairs the two in a
// configuration. Whether it is well signed is for clients to check. Read where a configuration is,
// on no thread that serves.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "net/tls/credentials.h"

namespace sluice {

// Gives it to the one of `all` that it is for: *which. "" or what is wrong, in a line.
std::string read_ocsp(const std::string& file, std::vector<Credentials>& all, size_t* which);

}  // namespace sluice

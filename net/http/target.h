// The request target (RFC 9112 section 3.2) taken apart, and the rules for an authority
// (host[:port]). Pure functions on views, any thread. Nothing is decoded or normalised: we route on
// the same bytes that we forward.
#pragma once

#include <cstdint>
#include <string_view>

namespace sluice {

enum class TargetForm : uint8_t { kOrigin, kAbsolute, kAuthority, kAsterisk };

struct Target {
  TargetForm form;
  std::string_view authority;  // of kAbsolute and kAuthority, not checked
  std::string_view path;       // of kOrigin and kAbsolute (there it may be empty), up to '?'
  std::string_view query;      // with its '?', or empty
};

// Splits any target; the guard decides whether the form suits the method.
Target split_target(std::string_view target);

// The path of a request target for routing: origin-form up to '?', the path of an absolute-form,
// "*" as it is. Not normalised.
std::string_view target_path(std::string_view target);

enum class Port : uint8_t { kOptional, kRequired };

// host[:port], the host neither empty nor with user information (RFC 9110 section 4.2.4).
bool is_authority(std::string_view text, Port port);

}  // namespace sluice

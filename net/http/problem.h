// The body of an error of ours: application/problem+json (RFC 9457). Pure, any thread.
#pragma once

#include <string>
#include <string_view>

namespace sluice {

// `detail` is one plain sentence.
std::string problem_body(int status, std::string_view detail);

}  // namespace sluice

// Finds the lines of an event stream that may be an `id` or a `retry`, and passes over all others
// without looking at more than their ends: for streams of which nothing else is to be known. It
// looks at bytes, keeps nothing, allocates nothing.
#pragma once

#include <cstddef>
#include <string_view>

namespace sluice {

// The first line of `bytes` behind a line end at `at` or later that begins with `i` or `r`, with
// its end; `at` is set to that end. The bytes begin with a line, which counts for `at` 0. Empty:
// there is none that has an end.
std::string_view next_id_line(std::string_view bytes, size_t& at) noexcept;

}  // namespace sluice

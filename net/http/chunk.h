// The line before a chunk of the chunked coding, and the one behind it (RFC 9112 section 7.1). The
// writer of HTTP/1 frames bodies with them; what is sent to many clients as it is may be stored
// between them. Pure functions, any thread.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sluice {

inline constexpr std::string_view kChunkEnd = "\r\n";
// Of the line before, for the largest size.
inline constexpr size_t kChunkSizeLineMax = 10;

// Writes the line for `size` bytes, less than 4 GiB; returns its length.
inline size_t write_chunk_size(char* into, uint64_t size) {
  char* end = std::to_chars(into, into + kChunkSizeLineMax - 2, size, 16).ptr;
  *end++ = '\r';
  *end++ = '\n';
  return static_cast<size_t>(end - into);
}

}  // namespace sluice

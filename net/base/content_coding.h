// The content codings that we write, an order of preference among them, and those that we read (RFC
// 9110 section 8.4.1). Plain values, any thread.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace sluice {

enum class ContentCoding : uint8_t { kIdentity, kGzip, kZstd, kBrotli };

inline constexpr unsigned kContentCodings = 4;

// As Content-Encoding has it; of kIdentity, "identity".
constexpr std::string_view coding_name(ContentCoding coding) {
  constexpr std::array<std::string_view, kContentCodings> kNames = {"identity", "gzip", "zstd",
                                                                    "br"};
  return kNames[static_cast<unsigned>(coding)];
}

// The most welcome one first; kIdentity ends it.
using CodingOrder = std::array<ContentCoding, kContentCodings - 1>;

// What a response comes in; kOther is several codings, or one that we cannot read.
enum class AppliedCoding : uint8_t { kNone, kGzip, kDeflate, kZstd, kBrotli, kOther };

inline constexpr unsigned kAppliedCodings = 6;

constexpr std::string_view coding_name(AppliedCoding coding) {
  constexpr std::array<std::string_view, kAppliedCodings> kNames = {"identity", "gzip", "deflate",
                                                                    "zstd",     "br",   "other"};
  return kNames[static_cast<unsigned>(coding)];
}

}  // namespace sluice

// The tokens that an answer of a language model has cost: as its upstream reports them, or as
// estimated from the bytes of its text where it ended before it did. Plain values.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace sluice {

enum class TokenKind : uint8_t { kInput, kOutput, kCached, kCacheWrite, kReasoning };
inline constexpr std::array<const char*, 5> kTokenKindNames = {"input", "output", "cached",
                                                               "cache_write", "reasoning"};
inline constexpr size_t kTokenKinds = kTokenKindNames.size();

// Whose word the tokens are. None: nothing was answered, or nothing that is counted.
enum class UsageSource : uint8_t { kNone, kEstimated, kReported };
inline constexpr std::array<const char*, 3> kUsageSourceNames = {"none", "estimated", "reported"};

// English text and code come at about four bytes a token.
inline constexpr uint64_t kBytesPerToken = 4;
constexpr uint64_t estimated_tokens(uint64_t bytes) {
  return (bytes + kBytesPerToken - 1) / kBytesPerToken;
}

struct Usage {
  std::array<uint64_t, kTokenKinds> tokens{};
  uint8_t told = 0;  // a bit for each kind

  bool has(TokenKind kind) const { return (told >> static_cast<unsigned>(kind) & 1) != 0; }
  uint64_t of(TokenKind kind) const { return tokens[static_cast<unsigned>(kind)]; }
  void set(TokenKind kind, uint64_t count) {
    tokens[static_cast<unsigned>(kind)] = count;
    told = static_cast<uint8_t>(told | 1U << static_cast<unsigned>(kind));
  }
};

}  // namespace sluice

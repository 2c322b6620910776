// What answers of language models have cost: tokens, whose word they are, and how their content
// came. Plain values of one request, and the counts of many by route and model, which only their
// worker's thread writes. The names are the labels that operators see.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/histogram.h"
#include "net/base/limits.h"

namespace sluice {

enum class TokenKind : uint8_t { kInput, kOutput, kCached, kCacheWrite, kReasoning };
inline constexpr std::array<const char*, 5> kTokenKindNames = {"input", "output", "cached",
                                                               "cache_write", "reasoning"};
inline constexpr size_t kTokenKinds = kTokenKindNames.size();

// Whose word the tokens are. None: nothing was answered, or nothing that could be read.
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

// Times of the loop's clock; 0: there was none.
struct ContentTimes {
  uint64_t first_ns = 0;
  uint64_t last_ns = 0;
  uint64_t count = 0;  // events with content
  uint64_t gap_max_ns = 0;

  // An event with content has come. The time since the one before.
  uint64_t add(uint64_t now_ns) {
    uint64_t gap_ns = count > 0 ? now_ns - last_ns : 0;
    if (count++ == 0) first_ns = now_ns;
    last_ns = now_ns;
    gap_max_ns = std::max(gap_max_ns, gap_ns);
    return gap_ns;
  }
  uint64_t gap_mean_ns() const { return count > 1 ? (last_ns - first_ns) / (count - 1) : 0; }
};

// Why events that arrived apart left together, if they did (docs/usage.md).
enum class Clump : uint8_t { kUpstream, kClient, kGateway };
inline constexpr std::array<const char*, 3> kClumpNames = {"upstream", "client", "gateway"};

// What came of an upstream that was let go on, so that it would tell of usage.
inline constexpr std::array<const char*, 2> kDrainNames = {"complete", "given_up"};

// The requests of one model on one route.
struct ModelCounts {
  uint32_t route = 0;
  std::string model;
  std::array<uint64_t, kUsageSourceNames.size()> requests{};
  std::array<uint64_t, kTokenKinds> tokens{};
};

struct UsageCounts {
  std::vector<ModelCounts> models;  // by route and model; few, so they are searched one by one
  std::array<uint64_t, kClumpNames.size()> clumped{};
  std::array<uint64_t, kDrainNames.size()> drains{};
  uint32_t drains_live = 0;
  uint64_t hidden_chunks = 0;  // that clients had not asked for
  Histogram time_to_first_content;
  Histogram content_gap;
  Histogram time_per_token;  // of output, behind the first

  // A model that is not there yet has a place only where `may_add` (it has answered), so that
  // clients cannot fill the table with words of their own; and while there is room.
  ModelCounts& of(uint32_t route, std::string_view model, bool may_add) {
    for (std::string_view name : {model, std::string_view(kOther)}) {
      for (ModelCounts& counts : models)
        if (counts.route == route && counts.model == name) return counts;
      if (name == model && may_add && models.size() < limits::kUsageModelsMax) break;
      model = kOther;
    }
    models.push_back({.route = route, .model = std::string(model)});
    return models.back();
  }

  void forget(uint32_t route) {
    std::erase_if(models, [route](const ModelCounts& counts) { return counts.route == route; });
  }

  static constexpr const char* kOther = "other";
};

}  // namespace sluice

// The dialects of event streams that language models are served in, and what becomes of a stream
// that is held until it has content. Closed sets, shared by settings, counters and log; net/llm/
// knows what is said in the dialects. Any thread.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace sluice {

enum class Dialect : uint8_t { kNone, kOpenAi, kResponses, kAnthropic };
inline constexpr unsigned kDialects = static_cast<unsigned>(Dialect::kAnthropic) + 1;

// As settings, labels and the log have it.
constexpr std::string_view dialect_name(Dialect dialect) {
  constexpr std::array<std::string_view, kDialects> kNames = {"none", "openai", "responses",
                                                              "anthropic"};
  return kNames[static_cast<unsigned>(dialect)];
}

// Why a content gate does not hold its stream any more.
enum class GateOutcome : uint8_t {
  kContent,     // it has come, or something that nobody knows
  kTime,        // --gate-time
  kBytes,       // there is no room for more
  kFailedOver,  // another upstream is asked
  kEnded,       // no content has come, and nobody else could be asked
};
inline constexpr std::array<std::string_view, 5> kGateOutcomeNames = {"content", "time", "bytes",
                                                                      "failed_over", "ended"};

}  // namespace sluice

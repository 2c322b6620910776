// The dialects of event streams that language models are served in. A closed set, shared by
// settings, counters and log; net/llm/ knows what is said in them. Any thread.
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

}  // namespace sluice

// What went wrong with an attempt at an upstream: the one table that decisions (another upstream
// before the client has content, healing behind it), counters and log go by. Closed sets; the names
// are the labels that operators see. Pure, any thread.
#pragma once

#include <cstdint>
#include <string_view>

#include "net/base/ending.h"

namespace sluice {

enum class Failure : uint8_t {
  kRefused,      // nobody listens there
  kUnreachable,  // no way there, or no answer to the connect
  kDns,          // its name has no address
  kReset,
  kTruncated,  // ended before its message did
  kIdle,       // silent for too long, before its head or behind it
  kTls,
  kStatus,    // an answer that says "not now"
  kProtocol,  // an answer that is none
  kOverload,  // we had no connection, socket or memory for it
  kEnded,     // a clean end, where that is healed, too (heal=always)
};
inline constexpr unsigned kFailures = static_cast<unsigned>(Failure::kEnded) + 1;

std::string_view failure_name(Failure failure);
// Another upstream may do better, as long as the client has no content.
bool fails_over(Failure failure);
// The stream may go on from its last id, at a later time.
bool heals(Failure failure);

// `reason` tells unreachable from refused: the name of the connect's error.
Failure failure_of(Ending ending, std::string_view reason);

// What became of healing a stream, for its counter.
enum class HealResult : uint8_t {
  kResumed,  // the event stream goes on
  kEnded,    // the upstream said that there is nothing more (204)
  kRefused,  // it said that there will be nothing more for this client
  kGivenUp,  // heal-for has passed
};
inline constexpr unsigned kHealResults = static_cast<unsigned>(HealResult::kGivenUp) + 1;
std::string_view heal_result_name(HealResult result);

// How a resumed stream begins elsewhere than it was asked to.
enum class Gap : uint8_t {
  kSkipped,   // later: events are missing
  kReplayed,  // earlier than can be told from what was delivered: events come twice
};
inline constexpr unsigned kGaps = static_cast<unsigned>(Gap::kReplayed) + 1;
std::string_view gap_name(Gap gap);

// What the answer to a reconnect means for the stream.
enum class Comeback : uint8_t { kResumed, kOver, kNotYet, kNever };
Comeback comeback_of(int status, bool event_stream);

}  // namespace sluice

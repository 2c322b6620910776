// How a stream ended, and why a request was refused: closed sets with a side, shared by counters,
// log and answers. The names are the labels that operators see.
#pragma once

#include <cstdint>
#include <string_view>

namespace sluice {

enum class Side : uint8_t { kNone, kClient, kUpstream, kSelf };

enum class Ending : uint8_t {
  kComplete,            // the upstream's end, delivered
  kRefused,             // we answered with an error before we asked any upstream
  kClientLeft,          // FIN, RST or a failed write
  kClientStalled,       // --write-timeout
  kClientTimedOut,      // the request did not come: --header-timeout, --body-timeout
  kUpstreamUnresolved,  // its name has no address
  kUpstreamRefused,     // no connection
  kUpstreamTls,  // no secure connection: not verified, no common version, bytes that are no TLS
  kUpstreamConnectTimeout,
  kUpstreamFirstByteTimeout,
  kUpstreamIdleTimeout,
  kUpstreamTruncated,  // ended before its message did
  kUpstreamReset,
  kUpstreamBadResponse,
  kUnavailable,   // no connection free in time, or no fd
  kOverloaded,    // --pool-max is used up, and this stream's bytes have waited long
  kScriptFailed,  // one that looks at its events: a mistake in it, or a limit
  kShutdown,      // --shutdown-grace has passed
};
inline constexpr unsigned kEndings = static_cast<unsigned>(Ending::kShutdown) + 1;

std::string_view ending_name(Ending ending);
Side ending_side(Ending ending);
std::string_view side_name(Side side);
// The answer if no byte of the response has been sent: 502, 503, 504.
int ending_status(Ending ending);
// One sentence for that answer.
std::string_view ending_detail(Ending ending);

// Where in its life a stream is, and where it was when its client left.
enum class Phase : uint8_t {
  kRequest,    // the request is arriving
  kHealing,    // between two attempts: the next one is not due
  kQueued,     // waits for an upstream connection
  kResolving,  // waits for the address of its upstream's name
  kConnecting,
  kAwaitingHead,
  kFirstEvent,  // the head is there, no body byte yet
  kStreaming,
  kDraining,  // the upstream is done, the client still reads
};
inline constexpr unsigned kPhases = static_cast<unsigned>(Phase::kDraining) + 1;
std::string_view phase_name(Phase phase);

// Why a request was refused, beyond the reasons of ParseError.
enum class Refusal : uint8_t {
  kHeaderTimeout,
  kBodyTimeout,
  kBodyTooLarge,
  kNoRoute,
  kUpgrade,
  kConnect,
  kExpectation,
  kMaxForwards,
  kLoop,
  kNoHost,  // where a redirect needs one
};
inline constexpr unsigned kRefusals = static_cast<unsigned>(Refusal::kNoHost) + 1;
const char* refusal_name(Refusal refusal);

}  // namespace sluice

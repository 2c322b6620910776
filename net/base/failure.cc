#include "net/base/failure.h"

#include <array>

namespace sluice {

namespace {

struct FailureFacts {
  std::string_view name;
  bool fails_over;
  bool heals;
};

// In the order of the enumeration.
constexpr FailureFacts kFailureFacts[kFailures] = {
    {"refused", true, true},   {"unreachable", true, true}, {"dns", true, true},
    {"reset", true, true},     {"truncated", true, true},   {"idle", true, true},
    {"tls", true, true},       {"status", true, true},      {"protocol", true, true},
    {"overload", false, true}, {"ended", false, true},
};

constexpr std::array<std::string_view, kHealResults> kHealResultNames = {"resumed", "ended",
                                                                         "refused", "given_up"};
constexpr std::array<std::string_view, kGaps> kGapNames = {"skipped", "replayed"};

const FailureFacts& facts_of(Failure failure) {
  return kFailureFacts[static_cast<unsigned>(failure)];
}

}  // namespace

std::string_view failure_name(Failure failure) {
  return facts_of(failure).name;
}
bool fails_over(Failure failure) {
  return facts_of(failure).fails_over;
}
bool heals(Failure failure) {
  return facts_of(failure).heals;
}
std::string_view heal_result_name(HealResult result) {
  return kHealResultNames[static_cast<unsigned>(result)];
}
std::string_view gap_name(Gap gap) {
  return kGapNames[static_cast<unsigned>(gap)];
}

Failure failure_of(Ending ending, std::string_view reason) {
  switch (ending) {
    case Ending::kUpstreamRefused:
      return reason == "EHOSTUNREACH" || reason == "ENETUNREACH" ? Failure::kUnreachable
                                                                 : Failure::kRefused;
    case Ending::kUpstreamTls:
      return Failure::kTls;
    case Ending::kUpstreamUnresolved:
      return Failure::kDns;
    case Ending::kUpstreamConnectTimeout:
      return Failure::kUnreachable;
    case Ending::kUpstreamFirstByteTimeout:
    case Ending::kUpstreamIdleTimeout:
      return Failure::kIdle;
    case Ending::kUpstreamTruncated:
      return Failure::kTruncated;
    case Ending::kUpstreamReset:
      return Failure::kReset;
    case Ending::kUpstreamBadResponse:
      return Failure::kProtocol;
    case Ending::kComplete:
      return Failure::kEnded;
    default:
      return Failure::kOverload;
  }
}

Comeback comeback_of(int status, bool event_stream) {
  if (status == 204) return Comeback::kOver;
  if (status == 200 && event_stream) return Comeback::kResumed;
  bool later = status >= 500 || status == 429 || status == 408 || status == 425;
  return later ? Comeback::kNotYet : Comeback::kNever;
}

}  // namespace sluice

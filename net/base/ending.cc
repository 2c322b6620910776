#include "net/base/ending.h"

namespace sluice {

namespace {

struct EndingFacts {
  std::string_view name;
  Side side;
  int status;
  std::string_view detail;
};

// In the order of the enumeration.
constexpr EndingFacts kEndingFacts[kEndings] = {
    {"complete", Side::kNone, 200, ""},
    {"refused", Side::kClient, 400, "The request was refused."},
    {"client_left", Side::kClient, 499, ""},
    {"client_stalled", Side::kClient, 499, ""},
    {"client_timed_out", Side::kClient, 408, "The request did not arrive in time."},
    {"upstream_unresolved", Side::kUpstream, 502, "The upstream's name has no address."},
    {"upstream_refused", Side::kUpstream, 502, "The upstream refused the connection."},
    {"upstream_tls", Side::kUpstream, 502, "There is no secure connection to the upstream."},
    {"upstream_connect_timeout", Side::kUpstream, 504, "The upstream did not accept in time."},
    {"upstream_first_byte_timeout", Side::kUpstream, 504, "The upstream did not answer in time."},
    {"upstream_idle_timeout", Side::kUpstream, 504, "The upstream fell silent."},
    {"upstream_truncated", Side::kUpstream, 502, "The upstream closed without a whole response."},
    {"upstream_reset", Side::kUpstream, 502, "The upstream reset the connection."},
    {"upstream_bad_response", Side::kUpstream, 502, "The upstream's response is not valid HTTP/1."},
    {"unavailable", Side::kSelf, 503, "No upstream connection is free."},
    {"overloaded", Side::kSelf, 503, "The gateway has no memory to spare."},
    {"script_failed", Side::kSelf, 503, "A script of the gateway has failed."},
    {"shutdown", Side::kSelf, 503, "The gateway is shutting down."},
};

constexpr std::string_view kPhaseNames[kPhases] = {"request",     "healing",    "queued",
                                                   "resolving",   "connecting", "awaiting_head",
                                                   "first_event", "streaming",  "draining"};

constexpr const char* kRefusalNames[kRefusals] = {
    "header_timeout", "body_timeout", "body_too_large", "no_route", "upgrade",
    "connect",        "expectation",  "max_forwards",   "loop",     "no_host"};

}  // namespace

std::string_view ending_name(Ending ending) {
  return kEndingFacts[static_cast<unsigned>(ending)].name;
}
Side ending_side(Ending ending) {
  return kEndingFacts[static_cast<unsigned>(ending)].side;
}
int ending_status(Ending ending) {
  return kEndingFacts[static_cast<unsigned>(ending)].status;
}
std::string_view ending_detail(Ending ending) {
  return kEndingFacts[static_cast<unsigned>(ending)].detail;
}
std::string_view phase_name(Phase phase) {
  return kPhaseNames[static_cast<unsigned>(phase)];
}
const char* refusal_name(Refusal refusal) {
  return kRefusalNames[static_cast<unsigned>(refusal)];
}

std::string_view side_name(Side side) {
  switch (side) {
    case Side::kClient:
      return "client";
    case Side::kUpstream:
      return "upstream";
    case Side::kSelf:
      return "self";
    case Side::kNone:
      break;
  }
  return "none";
}

}  // namespace sluice

#include "net/http/parse_error.h"

namespace sluice {

const char* parse_error_name(ParseError error) {
  switch (error) {
    case ParseError::kNone:
      return "none";
    case ParseError::kBadSyntax:
      return "bad_syntax";
    case ParseError::kBadField:
      return "bad_field";
    case ParseError::kBadFraming:
      return "bad_framing";
    case ParseError::kBadChunk:
      return "bad_chunk";
    case ParseError::kBadHost:
      return "bad_host";
    case ParseError::kHeadTooLarge:
      return "head_too_large";
    case ParseError::kTargetTooLong:
      return "target_too_long";
    case ParseError::kBadVersion:
      return "bad_version";
    case ParseError::kUnknownCoding:
      return "unknown_coding";
    case ParseError::kNotHttp:
      return "not_http";
    case ParseError::kBadStatus:
      return "bad_status";
    case ParseError::kMethodTooLong:
      return "method_too_long";
  }
  return "unknown";
}

int parse_error_status(ParseError error) {
  switch (error) {
    case ParseError::kHeadTooLarge:
      return 431;
    case ParseError::kTargetTooLong:
      return 414;
    case ParseError::kBadVersion:
      return 505;
    case ParseError::kUnknownCoding:
      return 501;
    default:
      return 400;
  }
}

}  // namespace sluice

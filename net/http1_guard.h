// What a head must satisfy beyond what llhttp checks, whichever version is linked: each line
// before llhttp sees it, and the fields together once the head is complete. The lists of what
// llhttp 8.1 and 9.x let through are the table of tests/unit/http1. Pure functions, any thread;
// Http1Parser calls them. Where a rule is stricter than RFC 9112, it is because two readings of
// one message are how requests are smuggled.
#pragma once

#include <cstdint>
#include <string_view>

#include "net/http1_head.h"
#include "net/http1_parser.h"

namespace sluice {

// A whole line of a head, with its LF: ends in CRLF and has neither another CR nor a NUL.
Http1Error check_line(std::string_view line);

struct RequestLine {
  std::string_view method;
  std::string_view target;
  uint8_t version_minor = 0;
};
Http1Error read_request_line(std::string_view line, RequestLine& request);

struct StatusLine {
  uint16_t status = 0;
  uint8_t version_minor = 0;
};
Http1Error read_status_line(std::string_view line, StatusLine& response);

// No blank before the name (obs-fold, or before the first field), no empty name.
Http1Error check_field_line(std::string_view line);

// The fields of a complete head: of a request its target and Host.
Http1Error check_request(const Head& head);
Http1Error check_connection(const Head& head);

// How the body of a complete head is delimited. `bodyless`: never has one, whatever its fields
// say (they are checked all the same).
struct Framing {
  BodyKind body = BodyKind::kNone;
  uint64_t content_length = 0;
};
Http1Error read_framing(const Head& head, Http1Parser::Role role, bool bodyless, Framing& framing);

}  // namespace sluice

// The rules for a head, whatever llhttp lets through: for each line as it comes, and for all fields
// once the head is complete. The table of tests/unit/http1 lists the mistakes that llhttp 8.1 and
// 9.x accept. Pure functions, any thread; Http1Parser calls them. A rule stricter than RFC 9112 has
// one reason: two readings of one message are how requests are smuggled.
#pragma once

#include <cstdint>
#include <string_view>

#include "net/http/head.h"
#include "net/http1/parser.h"

namespace sluice {

// Lines come without their CRLF.

// With kBadVersion, the line is read all the same.
struct RequestLine {
  std::string_view method;
  std::string_view target;
  uint8_t version_minor = 0;
};
ParseError read_request_line(std::string_view line, RequestLine& request);

struct StatusLine {
  uint16_t status = 0;
  uint8_t version_minor = 0;
};
ParseError read_status_line(std::string_view line, StatusLine& response);

// A token, a colon at once, and no control character but HTAB. So no blank stands before the name
// (obs-fold, or before the first field).
struct FieldLine {
  std::string_view name;
  std::string_view value;  // without leading and trailing blanks
};
ParseError read_field_line(std::string_view line, FieldLine& field);

// Checks the fields of a complete head; of a request, its target and Host.
ParseError check_request(const Head& head);
ParseError check_connection(const Head& head);

// How the fields of a complete head delimit its body, if it is of a kind that has one.
struct Framing {
  BodyKind body = BodyKind::kNone;
  uint64_t content_length = 0;
};
ParseError read_framing(const Head& head, Http1Parser::Role role, Framing& framing);

}  // namespace sluice

// A request's head from the fields of an HTTP/2 header block. The fields are written as the lines
// that HTTP/1 would have, and read by HTTP/1's parser: so a request passes the same limits and the
// same rules, whatever carried it, and nothing goes on to an upstream that HTTP/1 would read
// otherwise. Owned by a connection while a head arrives, used on its worker's thread. It keeps no
// more than the limits allow, however much a header block unpacks to.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "net/http/head.h"
#include "net/http/parse_error.h"

namespace sluice {

// The "u" of a Priority field (RFC 9218): 0 is the most urgent, 7 the least. Where it has none, or
// none that is valid, that of the lines before it, which are one list with it.
int urgency_of(std::string_view priority, int urgency = 3);

class Http2RequestHead {
 public:
  explicit Http2RequestHead(const HeadLimits& limits) : limits_(limits) {}

  // The fields in their order; pseudo-fields have come once each at most, before the others.
  void add(std::string_view name, std::string_view value);
  // Fills the head, as far as it goes. `ends`: no body follows.
  ParseError finish(bool ends, Head& head);
  // On the heap.
  size_t bytes_held() const;
  int urgency() const { return urgency_; }

 private:
  ParseError check() const;

  HeadLimits limits_;
  std::string method_;
  std::string path_;
  std::string authority_;
  std::string host_;
  std::string cookie_;  // its pieces are one field in HTTP/1 (RFC 9113 section 8.2.3)
  std::string lines_;
  size_t bytes_ = 0;
  size_t fields_ = 0;
  int urgency_ = 3;
  bool has_length_ = false;
  bool too_large_ = false;
  bool bad_field_ = false;
};

}  // namespace sluice

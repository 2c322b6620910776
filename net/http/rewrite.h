// What a proxy changes in a head (RFC 9110 section 7.6), whatever the protocol that the head is
// then written in, and responses of our own. Plain values; the views live as long as what they
// point to.
#pragma once

#include <string_view>

namespace sluice {

struct RequestRewrite {
  std::string_view client_ip;   // of the connection, in text form; IPv6 without brackets
  bool client_trusted = false;  // in --trusted-proxies: its word about the client counts
  std::string_view scheme = "http";
  std::string_view via = "sluice";  // pseudonym
  std::string_view default_host;    // Host for an HTTP/1.0 client that sent none
  std::string_view request_id;      // "" leaves X-Request-Id out
};

struct ResponseRewrite {
  bool keep_alive = true;     // towards the client
  bool event_stream = false;  // unencoded text/event-stream: our stream fields apply
  std::string_view via = "sluice";
  std::string_view date = {};  // an HTTP date for a head without one (RFC 9110 section 6.6.1)
};

struct ProblemResponse {
  int status;
  std::string_view detail;
  bool close = true;
  bool head_only = false;
  int retry_after_s = 0;
  std::string_view date = {};  // an HTTP date; "" leaves the field out
};

}  // namespace sluice

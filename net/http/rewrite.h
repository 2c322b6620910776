// A proxy's changes to a head (RFC 9110 section 7.6), whatever the protocol in which the head is
// then written, and responses of our own. Plain values; the views live as long as their texts.
#pragma once

#include <string_view>

#include "net/base/content_coding.h"

namespace sluice {

struct RequestRewrite {
  bool ours = false;                // for no client, so it says nothing of one
  std::string_view client_ip;       // the connection's, in text form; IPv6 without brackets
  bool client_trusted = false;      // in --trusted-proxies: we believe its word about the client
  std::string_view client_subject;  // of its certificate; "": it has shown none
  std::string_view scheme = "http";
  std::string_view via = "sluice";     // pseudonym
  std::string_view received_protocol;  // "HTTP/2", for Via; "": as the head says
  std::string_view default_host;       // Host for an HTTP/1.0 client that sent none
  std::string_view request_id;         // "" leaves X-Request-Id out
  uint32_t body_growth = 0;            // so many bytes more than its length says, where it says one
  bool identity = false;               // the answer is to come without a content coding
  std::string_view last_event_id;      // in the place of the client's; "" leaves that as it is
};

struct ResponseRewrite {
  bool keep_alive = true;     // towards the client
  bool event_stream = false;  // unencoded text/event-stream: our stream fields apply
  ContentCoding coding = ContentCoding::kIdentity;  // that we apply to the body
  bool decoded = false;                             // out of the coding that it came in
  // Its length is not the upstream's, nor are its bytes.
  bool changes_length() const { return event_stream || changes_coding(); }
  bool changes_coding() const { return decoded || coding != ContentCoding::kIdentity; }
  std::string_view usage = {};  // of a language model, for X-Usage; "" leaves it out
  bool varies = false;          // with the request's Accept-Encoding, since we may apply one
  std::string_view via = "sluice";
  std::string_view date = {};  // an HTTP date for a head without one (RFC 9110 section 6.6.1)
};

struct ProblemResponse {
  int status;
  std::string_view detail;
  bool close = true;
  bool head_only = false;
  int retry_after_s = 0;
  std::string_view location = {};  // of a redirect
  std::string_view date = {};      // an HTTP date; "" leaves the field out
};

}  // namespace sluice

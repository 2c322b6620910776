// The upstream behind `sluice --demo`: OpenAI-style completions, a resumable event stream, the demo
// page, and a few endpoints that end or shape a response in a way worth trying through the gateway.
// Owned by main. It listens on a loopback socket and serves from its own thread, so that the
// gateway meets it like any other server. Its bytes are a function of the request (times and
// completion ids aside), so that tests can check each of them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "net/httpd/httpd.h"

namespace sluice {

class DemoUpstream {
 public:
  explicit DemoUpstream(const HttpdLimits& limits = {});

  // Listens on 127.0.0.1, at a port that the kernel chooses unless one is named. "", or the reason
  // why not.
  [[nodiscard]] std::string start(uint16_t port = 0);
  void stop() { server_.stop(); }
  uint16_t port() const { return server_.address().port(); }

 private:
  Httpd server_;
};

// The event of /events with that id, as sent: id, one data line of JSON, blank line. The JSON is
// filled up to `data_bytes`, unless it is longer already.
std::string demo_event(uint64_t id, uint64_t data_bytes, int64_t time_ms);

// net/demo/demo_page.html, embedded by the build.
extern const std::string_view kDemoPage;

}  // namespace sluice

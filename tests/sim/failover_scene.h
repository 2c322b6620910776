// What all parts of simulate_failover() share: the scripted servers behind the gateway with a mood
// each, and every request with what has become of it on both sides of the gateway. A mood says what
// a server does with the requests that reach it, and changes with time. Requests are told apart by
// the number at the end of their target, answers by a field that only their server knows.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "net/config/config.h"
#include "tests/sim/kernel.h"

namespace sluice::sim {

enum class Mood : uint8_t {
  kWell,
  kUnavailable,       // answers 503
  kBusy,              // answers 429
  kFails,             // answers 500, 502 or 504
  kRefuses,           // connections
  kIgnores,           // so that connecting never ends
  kResetsAtAccept,    // before it has read a byte
  kResetsOnRequest,   // having read some of it
  kCutsHead,          // ends within its answer's head
  kClosesKept,        // a connection that has been used before, as a request arrives on it
  kStallsBeforeHead,  // having read the request
  kStallsInRequest,   // reads a part, and then no more
  kGarbage,           // answers what is no HTTP
};
inline constexpr unsigned kMoods = static_cast<unsigned>(Mood::kGarbage) + 1;
const char* mood_name(Mood mood);

struct Server {
  Mood mood = Mood::kWell;
  uint64_t since_ns = 0;  // it is in that mood
  std::vector<Mood> moods = {};
  uint64_t change_ms_max = 0;  // 0: it does not
};

struct FailoverAnswer {
  int status;
  bool small;              // enough to be kept while another upstream is asked
  bool whole = false;      // every byte of it was written, and its connection was not killed
  bool head_read = false;  // by the gateway
  uint64_t began_ns = 0;
  uint64_t lasted_ns = 0;  // from its first byte to its last, where it is whole
};

// One server's connection that has read some of a request.
struct FailoverReader {
  size_t server;
  bool kept = false;    // it had been used before
  bool closed = false;  // by the server, without a byte of an answer
};

struct FailoverRequest {
  size_t number;
  size_t route;
  std::string method;
  size_t body_bytes = 0;
  bool has_body = false;
  bool chunked = false;
  bool repeatable = false;  // its method says so, or its route
  bool leaves = false;      // its client does not wait for the answer
  uint64_t began_ns = 0;
  uint64_t denied_before = 0;  // retries, for want of budget
  std::vector<FailoverReader> readers = {};
  std::deque<FailoverAnswer> answers = {};
};

struct FailoverScene {
  World& world;
  Kernel& kernel;
  std::vector<Route> routes = {};
  std::vector<std::vector<size_t>> groups = {};  // servers, by route
  std::vector<Server> servers = {};
  std::deque<FailoverRequest> requests = {};
  uint64_t answers = 0;  // their numbers
  bool quiet = false;    // no mood changes any more

  const StreamSettings& settings(const FailoverRequest& request) const {
    return routes[request.route].settings;
  }
  // Another upstream may be asked after such an answer.
  bool retried(const FailoverRequest& request, int status) const {
    const StreamSettings& its = settings(request);
    const Statuses& named = request.repeatable ? its.retry_on : its.retry_on_post;
    return std::ranges::count(named, status) > 0;
  }
};

// What the client of that request sends at that place of its body.
inline char body_byte(size_t request, size_t at) {
  return static_cast<char>('a' + (request * 7 + at) % 26);
}

}  // namespace sluice::sim

// What an upstream will answer to one request, made up from the seed before anything runs; what is
// right can thus be known at every byte. Shared by the client that asks for it and the upstream
// that serves it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/sim/random.h"

namespace sluice::sim {

struct Script {
  enum class Framing : uint8_t { kChunked, kLength, kUntilClose };
  enum class Ending : uint8_t { kComplete, kTruncated, kReset, kSilence };
  enum class Head : uint8_t { kPrompt, kInterim, kLate, kMissing, kGarbage };

  unsigned id = 0;
  std::string method = "GET";
  std::string request_body;
  bool request_chunked = false;
  bool answers_early = false;   // before the request's body is complete
  bool hangs_up_early = false;  // and then does not wait for the rest, but closes

  Head head = Head::kPrompt;
  bool event_stream = true;
  Framing framing = Framing::kChunked;
  Ending ending = Ending::kComplete;
  std::string body;
  // Ends of events and of the comments and retry lines between them, in order; 0 among them.
  std::vector<size_t> boundaries;
  size_t cut = 0;  // bytes of the body that are sent before an ending that is not kComplete
  uint64_t pause_ns_max = 0;  // between two writes
  size_t write_max = 0;

  // Whether the upstream, left alone, ends it as it should.
  bool sound() const {
    return ending == Ending::kComplete && head != Head::kMissing && head != Head::kGarbage;
  }
  std::string target() const { return "/s/" + std::to_string(id); }
};

Script make_script(unsigned id, Random& random);

}  // namespace sluice::sim

// What an upstream will answer to one request, made up from the seed before anything runs; what is
// right can thus be known at every byte. Shared by the client that asks for it and the upstream
// that serves it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "net/config/config.h"
#include "tests/sim/random.h"

namespace sluice::sim {

struct Script {
  enum class Framing : uint8_t { kChunked, kLength, kUntilClose };
  enum class Ending : uint8_t { kComplete, kTruncated, kReset, kSilence };
  enum class Head : uint8_t { kPrompt, kInterim, kLate, kMissing, kGarbage };

  unsigned id = 0;
  size_t route = 0;  // of the configuration's
  std::string path;  // that route's
  std::string method = "GET";
  std::string request_body;
  bool request_chunked = false;
  bool expects = false;         // the body follows once the client is told to go on
  bool goes_ahead = false;      // which the upstream does
  bool answers_early = false;   // before the request's body is complete
  bool hangs_up_early = false;  // and then does not wait for the rest, but closes

  Head head = Head::kPrompt;
  unsigned interim_heads = 0;
  uint64_t wait_ns = 0;  // before each head
  int status = 200;
  bool wants_events = true;  // its client does
  bool event_stream = true;
  bool marked = false;  // it opens with a byte order mark
  Framing framing = Framing::kChunked;
  Ending ending = Ending::kComplete;
  std::string body;
  // Ends of events and of the comments and retry lines between them, in order; 0 among them, and
  // the end of the byte order mark.
  std::vector<size_t> boundaries;
  size_t longest = 0;  // between two of them
  size_t cut = 0;      // bytes of the body that are sent before an ending that is not kComplete
  uint64_t pause_ns_max = 0;  // between two writes
  size_t write_max = 0;

  // Whether the upstream, left alone, ends it as it should.
  bool sound() const {
    return ending == Ending::kComplete && head != Head::kMissing && head != Head::kGarbage &&
           interim_heads <= kInterimHeadsMax;
  }
  // Of its body, by its upstream.
  size_t sent_bytes() const { return ending == Ending::kComplete ? body.size() : cut; }
  // Cut through, however much memory there is.
  bool too_long(const StreamSettings& settings) const {
    return event_stream && longest > settings.event_hold;
  }
  std::string target() const { return path + "s/" + std::to_string(id); }

  static constexpr unsigned kInterimHeadsMax = 16;  // more is no valid response
};

inline constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

Script make_script(unsigned id, const Config& config, Random& random);
// Of an event stream: so many more events, and so fast, that a window grows behind them.
void lengthen(Script& script, Random& random);

}  // namespace sluice::sim

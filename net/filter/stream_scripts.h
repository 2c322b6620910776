// The scripts of one stream as its filters see them: each stands among the rules, in its place, and
// is given the events that rules are given. Made by net/script, which knows this room; this room
// knows no more of scripts than what is here. Owned by the stream, used on its worker's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sluice {

struct FilterBench;

// Why a script could not do its work: a mistake in it, or a limit of memory or instructions.
enum class ScriptFailure : uint8_t { kNone, kError, kLimit };

class StreamScripts {
 public:
  struct Result {
    bool dropped = false;
    bool ends = false;
    uint32_t added = 0;  // events
    ScriptFailure failure = ScriptFailure::kNone;
  };

  virtual ~StreamScripts() = default;

  // The bench's event, for the script at that place of the configuration.
  virtual Result on_event(size_t place, FilterBench& bench) = 0;
  // The stream is over; the last that they hear.
  virtual void on_end(std::string_view ending) = 0;
};

}  // namespace sluice

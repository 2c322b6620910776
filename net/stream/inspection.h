// What a stream needs whose single events are looked at. Made with its request's head where
// something of the route does look at them, or with the head of a response that has to be unpacked
// first, or when somebody begins to watch it; a stream without one passes whole runs by reference.
// Owned by the stream.
#pragma once

#include <memory>
#include <optional>

#include "net/base/ending.h"
#include "net/coding/unpacker.h"
#include "net/filter/filters.h"
#include "net/filter/stream_scripts.h"
#include "net/llm/request_reader.h"
#include "net/stream/llm_watch.h"
#include "net/stream/metering.h"
#include "net/stream/taps.h"

namespace sluice {

// The body of one attempt, on its way out of a content coding.
struct Unpacking {
  Unpacker unpacker;
  // How the upstream's response has ended, while bytes of it still wait.
  std::optional<Ending> ending = {};
  const char* reason = "";
};

struct Inspection {
  Filters::Chosen filters = 0;             // of its route, those that see its events
  bool begun = false;                      // an event has been seen
  Taps::Set taps = 0;                      // that watch it
  std::unique_ptr<StreamScripts> scripts;  // those among its filters
  std::unique_ptr<RequestReader> request;  // null where neither of the next two asks what it says
  std::unique_ptr<LlmWatch> llm;       // null where nothing speaks for a dialect of language models
  std::unique_ptr<Metering> metering;  // of a request to a model, where its usage is counted
  std::unique_ptr<Unpacking> unpacking;
};

}  // namespace sluice

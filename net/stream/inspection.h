// What a stream needs whose single events are looked at. Made with its request's head where
// something of the route does look at them; a stream without one passes whole runs by reference.
// Owned by the stream.
#pragma once

#include <memory>

#include "net/filter/filters.h"
#include "net/filter/stream_scripts.h"
#include "net/stream/llm_watch.h"
#include "net/stream/metering.h"

namespace sluice {

struct Inspection {
  Filters::Chosen filters = 0;             // of its route, those that see its events
  bool begun = false;                      // an event has been seen
  std::unique_ptr<StreamScripts> scripts;  // those among its filters
  std::unique_ptr<LlmWatch> llm;  // null where nothing speaks for a dialect of language models
  std::unique_ptr<Metering> metering;  // of a request to a model, where its usage is counted
};

}  // namespace sluice

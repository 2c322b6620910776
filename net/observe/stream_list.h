// The live streams of a worker, as /streams shows them. Copied on the worker's thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "net/stream/streams.h"

namespace sluice {

struct StreamInfo {
  uint64_t id;
  std::string request_id;
  unsigned worker;
  std::string route;
  std::string upstream;
  std::string method;
  std::string target;
  std::string protocol;  // towards the client
  std::string client;
  std::string dialect;  // "none" as long as none is known
  std::string phase;
  int status;
  uint64_t age_ms;
  uint64_t events;
  uint64_t bytes;
  uint64_t window;
  uint64_t backlog;
  uint64_t held;
  bool event_stream;
  bool stalled;
};

// The newest, up to kStreamsListed.
void list_streams(const Streams& streams, std::vector<StreamInfo>& into);

}  // namespace sluice

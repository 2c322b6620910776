// The reports of each stream's end: counters by ending and status, its usage, a message if
// something failed, a line in the access log. Owned by the gateway, used on its worker's thread.
#pragma once

#include "net/context/worker_context.h"
#include "net/observe/access_log.h"
#include "net/stream/streams.h"

namespace sluice {

class StreamEndings final : public StreamObserver {
 public:
  StreamEndings(WorkerContext& context, LogQueue& log)
      : context_(context), log_(log), access_log_(log) {}

  void stream_ended(const Stream& stream) override;

 private:
  void count(const Stream& stream);
  void tell_usage(const Stream& stream);
  void tell_operator(const Stream& stream);

  WorkerContext& context_;
  LogQueue& log_;
  AccessLog access_log_;
};

}  // namespace sluice

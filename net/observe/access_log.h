// One line per request, at its end, as text or JSON. Formats on the worker's thread into its own
// buffer and hands the line to the log's writer thread (core/log.h); never waits. Owned by a
// worker.
#pragma once

#include <cstdint>
#include <string>

#include "core/log.h"
#include "net/config/config.h"

namespace sluice {

class Stream;

class AccessLog {
 public:
  explicit AccessLog(LogQueue& queue) : queue_(queue) {}

  // If the queue is full, it drops and counts the line.
  void write(const Stream& stream, AccessLogFormat format, uint64_t now_ns);

 private:
  void format_text(const Stream& stream, uint64_t now_ns);
  void format_json(const Stream& stream, uint64_t now_ns);

  LogQueue& queue_;
  std::string line_;
};

}  // namespace sluice

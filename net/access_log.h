// One line per request, at its end, as text or JSON. Formats on the worker's thread into its own
// buffer and hands the line to the log's writer thread (core/log.h); never waits. Owned by a
// worker.
#pragma once

#include <cstdint>
#include <string>

#include "core/log.h"
#include "net/config.h"

namespace sluice {

class Stream;

class AccessLog {
 public:
  AccessLog(LogQueue& queue, AccessLogFormat format) : queue_(queue), format_(format) {}

  // False: the queue is full and the line was dropped.
  bool write(const Stream& stream, uint64_t now_ns);

 private:
  void format_text(const Stream& stream, uint64_t now_ns);
  void format_json(const Stream& stream, uint64_t now_ns);

  LogQueue& queue_;
  AccessLogFormat format_;
  std::string line_;
};

// Appends text with ", \ and control characters escaped as JSON has them. Bytes that are not
// UTF-8 are escaped as if they were Latin-1, so that the line is always valid.
void append_json_escaped(std::string& out, std::string_view text);

}  // namespace sluice

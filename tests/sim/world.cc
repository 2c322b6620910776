#include "tests/sim/world.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>

namespace sluice::sim {

void World::advance_to(uint64_t at_ns) {
  while (!events_.empty() && events_.top().at_ns <= at_ns) {
    // The queue gives constant access only; what is about to be popped may be moved from.
    Event event = std::move(const_cast<Event&>(events_.top()));
    events_.pop();
    now_ns_ = std::max(now_ns_, event.at_ns);
    event.happens();
  }
  now_ns_ = std::max(now_ns_, at_ns);
}

void World::trace(const char* format,
                  ...) const {  // NOLINT(cert-dcl50-cpp): checked as printf() is
  if (!traced_) return;
  (void)std::fprintf(stderr, "%12.6f  ", static_cast<double>(now_ns_ - 1000 * kSecond) / 1e9);
  va_list arguments;
  va_start(arguments, format);
  (void)std::vfprintf(stderr, format, arguments);
  va_end(arguments);
  (void)std::fputc('\n', stderr);
}

void violation(const std::string& what) {
  (void)std::fprintf(stderr, "violation: %s\n", what.c_str());
  std::abort();
}

}  // namespace sluice::sim

// Invariants. SLUICE_CHECK is for conditions that only a bug of ours can break: it prints where and
// aborts, in every build. A peer's bytes never reach one; they are counted and answered instead.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace sluice {

[[noreturn]] inline void check_failed(const char* what, const char* file, int line) {
  (void)std::fprintf(stderr, "sluice: invariant broken: %s (%s:%d)\n", what, file, line);
  std::abort();
}

}  // namespace sluice

#define SLUICE_CHECK(condition)                                                                    \
  do {                                                                                             \
    if (__builtin_expect(!(condition), 0)) ::sluice::check_failed(#condition, __FILE__, __LINE__); \
  } while (false)

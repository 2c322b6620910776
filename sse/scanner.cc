#include "sse/scanner.h"

#include <algorithm>

namespace sluice {
namespace {

bool always() {
  return true;
}

#if defined(__x86_64__)
// Each asks for every feature that its file is compiled with (sse/CMakeLists.txt). The builtin also
// checks that the kernel saves the wide registers.
bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
         __builtin_cpu_supports("bmi2");
}

bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
}
#endif

constexpr Scanner kScanners[] = {
#if defined(__x86_64__)
    {"avx512", scan64_avx512, has_avx512},
    {"avx2", scan64_avx2, has_avx2},
    {"sse2", scan64_sse2, always},
#elif defined(__aarch64__)
    {"neon", scan64_neon, always},
#endif
    {"scalar", scan64_scalar, always},
};

const Scanner* find(std::string_view name) noexcept {
  auto fits = [name](const Scanner& scanner) {
    return (name == "auto" || name == scanner.name) && scanner.supported();
  };
  const auto* found = std::ranges::find_if(kScanners, fits);
  return found == std::end(kScanners) ? nullptr : found;
}

const Scanner* active = find("auto");

}  // namespace

std::span<const Scanner> scanners() {
  return kScanners;
}

const Scanner& active_scanner() {
  return *active;
}

bool select_scanner(std::string_view name) {
  const Scanner* found = find(name);
  if (found) active = found;
  return found != nullptr;
}

}  // namespace sluice

// Command-line flags of the load tools: `--name value` and `--name=value`, each bound to a
// variable. A mistake prints one line and the usage's first line, and exits with status 2;
// --help prints the usage and exits with 0. Used once, at the start of main.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/clock.h"
#include "core/text.h"

namespace sluice::perf {

template <typename Number>
bool parse_number(std::string_view text, Number* out) {
  const auto number = [text] {
    if constexpr (std::is_floating_point_v<Number>)
      return parse_real(text);
    else
      return parse_decimal(text, std::numeric_limits<Number>::max());
  }();
  if (number) *out = static_cast<Number>(*number);
  return number.has_value();
}

// "250us", "20ms", "60s", "5m".
inline std::optional<uint64_t> parse_duration_ns(std::string_view text) {
  static constexpr std::pair<std::string_view, uint64_t> kUnits[] = {
      {"us", 1000}, {"ms", kNsPerMs}, {"s", kNsPerS}, {"m", 60 * kNsPerS}};
  for (const auto& [unit, ns] : kUnits) {
    if (!text.ends_with(unit)) continue;
    double amount = 0;
    if (!parse_number(text.substr(0, text.size() - unit.size()), &amount)) continue;
    if (!(amount >= 0 && amount < 1e9)) return std::nullopt;
    return static_cast<uint64_t>(amount * static_cast<double>(ns));
  }
  return std::nullopt;
}

class Flags {
 public:
  explicit Flags(const char* usage) : usage_(usage) {}

  void text(std::string_view name, std::string* out) {
    add(name, true, [out](std::string_view value) {
      *out = value;
      return true;
    });
  }
  template <typename Number>
  void number(std::string_view name, Number* out) {
    add(name, true, [out](std::string_view value) { return parse_number(value, out); });
  }
  void duration(std::string_view name, uint64_t* out_ns) {
    add(name, true, [out_ns](std::string_view value) {
      auto parsed = parse_duration_ns(value);
      if (parsed) *out_ns = *parsed;
      return parsed.has_value();
    });
  }
  void toggle(std::string_view name, bool* out) {
    add(name, false, [out](std::string_view) { return *out = true; });
  }

  void parse(int argc, char** argv) const {
    for (int i = 1; i < argc; ++i) {
      std::string_view arg = argv[i];
      if (arg == "--help" || arg == "-h") {
        (void)std::fputs(usage_, stdout);
        std::exit(0);
      }
      const size_t equals = arg.find('=');
      const Flag* flag = find(arg.substr(0, equals));
      if (flag == nullptr) fail("unknown flag", arg);
      std::string_view value;
      if (equals != std::string_view::npos) {
        if (!flag->takes_value) fail("takes no value:", arg);
        value = arg.substr(equals + 1);
      } else if (flag->takes_value) {
        if (++i == argc) fail("a value is missing after", arg);
        value = argv[i];
      }
      if (!flag->set(value)) fail("bad value for", std::string(flag->name) + ": " + argv[i]);
    }
  }

  [[noreturn]] void fail(std::string_view what, std::string_view which) const {
    const std::string_view usage = usage_;
    const std::string_view first = usage.substr(0, usage.find('\n'));
    (void)std::fprintf(stderr, "%.*s %.*s\n%.*s\n", static_cast<int>(what.size()), what.data(),
                       static_cast<int>(which.size()), which.data(), static_cast<int>(first.size()),
                       first.data());
    std::exit(2);
  }

 private:
  struct Flag {
    std::string_view name;
    bool takes_value;
    std::function<bool(std::string_view)> set;
  };

  void add(std::string_view name, bool takes_value, std::function<bool(std::string_view)> set) {
    flags_.push_back({name, takes_value, std::move(set)});
  }
  const Flag* find(std::string_view name) const {
    for (const Flag& flag : flags_) {
      if (flag.name == name) return &flag;
    }
    return nullptr;
  }

  const char* usage_;
  std::vector<Flag> flags_;
};

}  // namespace sluice::perf

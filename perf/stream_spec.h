// What a stream is, as its request target says it. The origin reads it to know what to send, the
// load reads its own target the same way to know what must arrive: neither tells the other.
//
//   /stream?rate=20&size=220&count=1200&burst=1&id=1&end=clean&ids=off
//   /llm?deltas=64&every=20&id=1&end=clean
//
// rate: events a second, 0 = as fast as the socket takes. size: bytes of an event, blank line
// included. count: events, 0 = endless. burst: events that go out together. every: ms between
// deltas. end: clean, truncate (closed before the body is complete) or reset (RST). ids: on gives
// each event of /stream an `id:`, which counts for its size, and a request goes on behind its
// Last-Event-ID.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/clock.h"
#include "perf/flags.h"

namespace sluice::perf {

inline constexpr uint32_t kEventBytesMin = 48;
inline constexpr uint32_t kEventBytesMax = 1024 * 1024;
inline constexpr uint32_t kIdLineBytes = 4 + 11 + 1;  // "id: ", digits, LF

struct StreamSpec {
  enum class Shape : uint8_t { kEvents, kLlm };
  enum class Ending : uint8_t { kClean, kTruncate, kReset };

  Shape shape = Shape::kEvents;
  Ending ending = Ending::kClean;
  uint32_t id = 0;
  uint32_t size = 220;
  uint32_t burst = 1;
  uint64_t count = 0;
  double rate = 20;
  bool ids = false;

  bool paced() const { return rate > 0; }
  uint64_t period_ns() const {  // between bursts
    return static_cast<uint64_t>(static_cast<double>(burst) / rate * static_cast<double>(kNsPerS));
  }
};

namespace detail {

inline bool set_parameter(StreamSpec& spec, std::string_view name, std::string_view value) {
  using Ending = StreamSpec::Ending;
  if (name == "id") return parse_number(value, &spec.id);
  if (name == "end") {
    if (value == "clean")
      spec.ending = Ending::kClean;
    else if (value == "truncate")
      spec.ending = Ending::kTruncate;
    else if (value == "reset")
      spec.ending = Ending::kReset;
    else
      return false;
    return true;
  }
  if (spec.shape == StreamSpec::Shape::kLlm) {
    if (name == "deltas") {
      uint32_t deltas = 0;
      if (!parse_number(value, &deltas)) return false;
      spec.count = uint64_t{deltas} + 1;  // and the role chunk
      return true;
    }
    double every_ms = 0;
    if (name != "every" || !parse_number(value, &every_ms) || !(every_ms >= 0)) return false;
    spec.rate = every_ms == 0 ? 0 : 1000 / every_ms;
    return true;
  }
  if (name == "rate") return parse_number(value, &spec.rate) && spec.rate >= 0 && spec.rate <= 1e6;
  if (name == "count") return parse_number(value, &spec.count);
  if (name == "size") {
    return parse_number(value, &spec.size) && spec.size >= kEventBytesMin &&
           spec.size <= kEventBytesMax;
  }
  if (name == "ids") {
    spec.ids = value == "on";
    return spec.ids || value == "off";
  }
  if (name == "burst") {
    return parse_number(value, &spec.burst) && spec.burst >= 1 && spec.burst <= 10'000;
  }
  return false;
}

}  // namespace detail

// nullopt: neither path, or a parameter that is unknown or out of bounds (*error names it).
inline std::optional<StreamSpec> parse_stream_spec(std::string_view target, std::string* error) {
  StreamSpec spec;
  const size_t question = target.find('?');
  const std::string_view path = target.substr(0, question);
  if (path == "/llm" || path == "/v1/chat/completions") {
    spec.shape = StreamSpec::Shape::kLlm;
    spec.count = 65;
    spec.rate = 50;
  } else if (path != "/stream") {
    *error = "unknown path " + std::string(path) + ", there are /stream and /llm";
    return std::nullopt;
  }
  std::string_view query =
      question == std::string_view::npos ? std::string_view() : target.substr(question + 1);
  while (!query.empty()) {
    const std::string_view parameter = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), parameter.size() + 1));
    if (parameter.empty()) continue;
    const size_t equals = std::min(parameter.find('='), parameter.size());
    const std::string_view value = parameter.substr(std::min(equals + 1, parameter.size()));
    if (!detail::set_parameter(spec, parameter.substr(0, equals), value)) {
      *error = "bad parameter " + std::string(parameter);
      return std::nullopt;
    }
  }
  if (spec.ids && spec.size < kEventBytesMin + kIdLineBytes) {
    *error = "size is too small for an event with an id";
    return std::nullopt;
  }
  return spec;
}

}  // namespace sluice::perf

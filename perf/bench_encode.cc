// What packing a stream for its client costs an event, each flushed by itself, and what is left of
// it. `256`: as many bodies in turn, as a worker has them, so that states leave the CPU's cache.
// `alone` and `behind`: what a text costs that is packed once for many (net/coding/text_coder.h).
// ns_per_event, ratio (bytes out per byte in) and bytes_per_state are the figures to watch.
#include <array>
#include <memory>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>

#include "net/coding/encoder.h"
#include "net/coding/text_coder.h"

namespace sluice {
namespace {

// A chunk of OpenAI's, with 217 bytes of JSON but for the word.
std::string delta(size_t i) {
  return "data: {\"id\":\"chatcmpl-AbCdEfGhIjKlMnOpQrStUvWx\",\"object\":\"chat.completion.chunk\","
         "\"created\":1732000000,\"model\":\"gpt-4o-mini-2024-07-18\",\"choices\":[{\"index\":0,"
         "\"delta\":{\"content\":\" word" +
         std::to_string(i * 7919 % 1000) + "\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n";
}

// About 1 KiB of fields with values that do not repeat.
std::string object(size_t i) {
  std::string text = "data: {";
  uint64_t state = i + 1;
  for (size_t field = 0; field < 30; ++field) {
    state = state * 6364136223846793005 + 1442695040888963407;
    text += "\"field" + std::to_string(field) + "\":\"" + std::to_string(state) + "\",";
  }
  return text + "\"end\":true}\n\n";
}

void run(benchmark::State& state, ContentCoding coding, std::string (*make)(size_t)) {
  std::vector<std::string> events;
  for (size_t i = 0; i < 1024; ++i) events.push_back(make(i));
  std::vector<std::unique_ptr<Encoder>> encoders;
  for (int64_t i = 0; i < state.range(0); ++i) encoders.push_back(make_encoder(coding));
  std::array<char, 4096> room;
  uint64_t in = 0;
  uint64_t out = 0;
  size_t i = 0;
  for (auto _ : state) {
    std::string_view event = events[i / encoders.size() % events.size()];
    Encoder& encoder = *encoders[i++ % encoders.size()];
    in += event.size();
    for (bool done = false; !done;) {
      Encoder::Step step = encoder.encode(event, Encoder::Then::kFlush, room);
      event.remove_prefix(step.taken);
      out += step.written;
      done = step.done;
    }
  }
  state.counters["ns_per_event"] =
      benchmark::Counter(static_cast<double>(state.iterations()) / 1e9,
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  state.counters["ratio"] = static_cast<double>(out) / static_cast<double>(in);
  state.counters["bytes_per_state"] = static_cast<double>(encoder_bytes(coding));
}

void run_texts(benchmark::State& state, std::string (*make)(size_t), bool behind) {
  std::vector<std::string> events;
  for (size_t i = 0; i < 1024; ++i)
    events.push_back("id: 586aef3c." + std::to_string(i) + '\n' + make(i));
  TextCoder coder;
  uint64_t in = 0;
  uint64_t out = 0;
  size_t i = 0;
  for (auto _ : state) {
    std::string_view before = behind ? std::string_view(events[i % 1024]) : std::string_view();
    std::string_view event = events[++i % 1024];
    in += event.size();
    out += coder.code(event, before).bytes.size();
  }
  state.counters["ns_per_event"] =
      benchmark::Counter(static_cast<double>(state.iterations()) / 1e9,
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  state.counters["ratio"] = static_cast<double>(out) / static_cast<double>(in);
}

BENCHMARK_CAPTURE(run, gzip_delta, ContentCoding::kGzip, delta)->Arg(1)->Arg(256);
BENCHMARK_CAPTURE(run, zstd_delta, ContentCoding::kZstd, delta)->Arg(1)->Arg(256);
BENCHMARK_CAPTURE(run, br_delta, ContentCoding::kBrotli, delta)->Arg(1);
BENCHMARK_CAPTURE(run, gzip_1k, ContentCoding::kGzip, object)->Arg(1)->Arg(256);
BENCHMARK_CAPTURE(run, zstd_1k, ContentCoding::kZstd, object)->Arg(1)->Arg(256);
BENCHMARK_CAPTURE(run, br_1k, ContentCoding::kBrotli, object)->Arg(1);
BENCHMARK_CAPTURE(run_texts, gzip_delta_alone, delta, false);
BENCHMARK_CAPTURE(run_texts, gzip_delta_behind, delta, true);
BENCHMARK_CAPTURE(run_texts, gzip_1k_alone, object, false);
BENCHMARK_CAPTURE(run_texts, gzip_1k_behind, object, true);

}  // namespace
}  // namespace sluice

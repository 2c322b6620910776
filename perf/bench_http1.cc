// What a request costs before its stream runs: parsing a head (guard and llhttp), and writing it
// for the other side, by the heads that clients and upstreams of event streams really send. A head
// is parsed once per request, so ns_per_head is the figure to watch; MB/s is bytes_per_second. And
// what the chunk framing of a body costs, where a read holds many chunks: ns_per_chunk.
#include <cstdio>
#include <random>
#include <string>
#include <string_view>

#include <benchmark/benchmark.h>

#include "core/check.h"
#include "net/http/head.h"
#include "net/http1/parser.h"
#include "net/http1/writer.h"
#include "perf/bench_cost.h"

namespace sluice {
namespace {

using Role = Http1Parser::Role;

struct Sample {
  const char* name;
  Role role;
  std::string_view bytes;
};

constexpr Sample kSamples[] = {
    {"request/curl", Role::kRequest,
     "GET /events HTTP/1.1\r\n"
     "Host: localhost:8080\r\n"
     "User-Agent: curl/7.88.1\r\n"
     "Accept: text/event-stream\r\n"
     "\r\n"},
    {"request/browser", Role::kRequest,
     "GET /api/v1/notifications/stream?topics=orders,billing&since=0 HTTP/1.1\r\n"
     "Host: app.example.com\r\n"
     "Connection: keep-alive\r\n"
     "sec-ch-ua-platform: \"Linux\"\r\n"
     "Cache-Control: no-cache\r\n"
     "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
     "Chrome/131.0.0.0 Safari/537.36\r\n"
     "Accept: text/event-stream\r\n"
     "sec-ch-ua: \"Chromium\";v=\"131\", \"Not_A Brand\";v=\"24\", \"Google Chrome\";v=\"131\"\r\n"
     "DNT: 1\r\n"
     "sec-ch-ua-mobile: ?0\r\n"
     "Sec-Fetch-Site: same-origin\r\n"
     "Sec-Fetch-Mode: cors\r\n"
     "Sec-Fetch-Dest: empty\r\n"
     "Referer: https://app.example.com/dashboard/overview\r\n"
     "Accept-Encoding: gzip, deflate, br, zstd\r\n"
     "Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n"
     "Cookie: session=8f14e45fceea167a5a36dedd4bea2543c9f0f895fb98ab9159f51fd0297e236d; "
     "_ga=GA1.1.1204578233.1712345678; csrftoken=Zx81mQ0pVt6kR3yNnB5cLw7uEoA2sDfG; theme=dark\r\n"
     "Last-Event-ID: 1712345678901-42\r\n"
     "\r\n"},
    {"request/openai-sdk", Role::kRequest,
     "POST /v1/chat/completions HTTP/1.1\r\n"
     "Host: api.example.com\r\n"
     "Accept-Encoding: gzip, deflate\r\n"
     "Connection: keep-alive\r\n"
     "Accept: application/json\r\n"
     "Content-Type: application/json\r\n"
     "User-Agent: OpenAI/Python 1.55.3\r\n"
     "X-Stainless-Lang: python\r\n"
     "X-Stainless-Package-Version: 1.55.3\r\n"
     "X-Stainless-OS: Linux\r\n"
     "X-Stainless-Arch: x64\r\n"
     "X-Stainless-Runtime: CPython\r\n"
     "X-Stainless-Runtime-Version: 3.11.2\r\n"
     "Authorization: Bearer sk-proj-0000000000000000000000000000000000000000000000000000000000\r\n"
     "X-Stainless-Async: false\r\n"
     "x-stainless-retry-count: 0\r\n"
     "Content-Length: 1834\r\n"
     "\r\n"},
    {"response/plain", Role::kResponse,
     "HTTP/1.1 200 OK\r\n"
     "Content-Type: text/event-stream\r\n"
     "Cache-Control: no-cache\r\n"
     "Connection: keep-alive\r\n"
     "Date: Tue, 03 Dec 2024 10:00:00 GMT\r\n"
     "Transfer-Encoding: chunked\r\n"
     "\r\n"},
    {"response/framework", Role::kResponse,
     "HTTP/1.1 200 OK\r\n"
     "X-Powered-By: Express\r\n"
     "Access-Control-Allow-Origin: https://app.example.com\r\n"
     "Access-Control-Allow-Credentials: true\r\n"
     "Vary: Origin, Accept-Encoding\r\n"
     "Content-Type: text/event-stream; charset=utf-8\r\n"
     "Cache-Control: no-cache, no-transform\r\n"
     "X-Accel-Buffering: no\r\n"
     "Set-Cookie: session=8f14e45fceea167a5a36dedd4bea2543; Path=/; HttpOnly; SameSite=Lax\r\n"
     "Date: Tue, 03 Dec 2024 10:00:00 GMT\r\n"
     "Connection: keep-alive\r\n"
     "Keep-Alive: timeout=5\r\n"
     "Transfer-Encoding: chunked\r\n"
     "\r\n"},
    {"response/openai", Role::kResponse,
     "HTTP/1.1 200 OK\r\n"
     "Date: Tue, 03 Dec 2024 10:00:00 GMT\r\n"
     "Content-Type: text/event-stream; charset=utf-8\r\n"
     "Transfer-Encoding: chunked\r\n"
     "Connection: keep-alive\r\n"
     "access-control-expose-headers: X-Request-ID\r\n"
     "openai-organization: example-0000000000\r\n"
     "openai-processing-ms: 214\r\n"
     "openai-version: 2020-10-01\r\n"
     "x-ratelimit-limit-requests: 10000\r\n"
     "x-ratelimit-limit-tokens: 30000000\r\n"
     "x-ratelimit-remaining-requests: 9999\r\n"
     "x-ratelimit-remaining-tokens: 29999542\r\n"
     "x-ratelimit-reset-requests: 6ms\r\n"
     "x-ratelimit-reset-tokens: 0s\r\n"
     "x-request-id: req_4b1f0c2d7a9e4e5f8c6b3a2918171615\r\n"
     "strict-transport-security: max-age=31536000; includeSubDomains; preload\r\n"
     "CF-Cache-Status: DYNAMIC\r\n"
     "Set-Cookie: __cf_bm=Q1w2E3r4T5y6U7i8O9p0A1s2D3f4G5h6J7k8L9z0X1c-1733220000-1.0.1.1-V2b3N4m; "
     "path=/; expires=Tue, 03-Dec-24 10:30:00 GMT; domain=.api.example.com; HttpOnly; Secure; "
     "SameSite=None\r\n"
     "X-Content-Type-Options: nosniff\r\n"
     "Server: cloudflare\r\n"
     "CF-RAY: 8ec0f1a2b3c4d5e6-FRA\r\n"
     "alt-svc: h3=\":443\"; ma=86400\r\n"
     "\r\n"},
};

class NoBody final : public BodySink {
 public:
  void on_body(std::string_view /*bytes*/) override {}
};

void parse_into(const Sample& sample, Http1Parser& parser, Head& head) {
  NoBody sink;
  parser.begin(&head);
  Http1Parser::Step step = parser.feed(sample.bytes, sink);
  SLUICE_CHECK(step.event == Http1Parser::Event::kHead);
  benchmark::DoNotOptimize(head);
}

void rewrite_into(const Sample& sample, const Head& head, std::string& out) {
  out.clear();
  if (sample.role == Role::kRequest) {
    RequestRewrite rewrite;
    rewrite.client_ip = "203.0.113.7";
    http1_request_writer().write_head(head, rewrite, out);
  } else {
    ResponseRewrite rewrite;
    rewrite.event_stream = true;
    http1_response_writer(1).write_head(head, rewrite, out);
  }
  benchmark::DoNotOptimize(out);
}

void count_heads(benchmark::State& state, const Sample& sample, const perf::CostCounter& cost) {
  cost.report(state, "ns_per_head", static_cast<uint64_t>(state.iterations()));
  state.counters["head_bytes"] = static_cast<double>(sample.bytes.size());
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * sample.bytes.size()));
}

// The parser is kept here; heads are recycled.
void parse(benchmark::State& state, const Sample& sample) {
  Http1Parser parser(sample.role, HeadLimits{});
  Head head;
  const perf::CostCounter cost;
  for (auto _ : state) {
    parse_into(sample, parser, head);
    // The next message, on this one's connection.
    parser = Http1Parser(sample.role, HeadLimits{});
  }
  count_heads(state, sample, cost);
}

void rewrite(benchmark::State& state, const Sample& sample) {
  Http1Parser parser(sample.role, HeadLimits{});
  Head head;
  parse_into(sample, parser, head);
  std::string out;
  const perf::CostCounter cost;
  for (auto _ : state) rewrite_into(sample, head, out);
  count_heads(state, sample, cost);
}

// A body in reads of 16 KiB, whatever they cut. The chunks differ in size, as events do: from half
// of `data_bytes` to one and a half.
void chunks(benchmark::State& state) {
  constexpr size_t kReadBytes = size_t{16} * 1024;
  constexpr size_t kReads = 32;
  const auto data_bytes = static_cast<size_t>(state.range(0));
  std::minstd_rand random;
  std::string body;
  uint64_t count = 0;
  for (; body.size() < kReads * kReadBytes; ++count) {
    const std::string data(data_bytes / 2 + random() % (data_bytes + 1), 'x');
    char line[16];
    body.append(line, std::snprintf(line, sizeof(line), "%zx\r\n", data.size()));
    body.append(data).append("\r\n");
  }

  Http1Parser parser(Role::kResponse, HeadLimits{});
  Head head;
  NoBody sink;
  parser.begin(&head);
  parser.feed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", sink);
  const perf::CostCounter cost;
  for (auto _ : state) {
    for (std::string_view rest = body; !rest.empty();) {
      const std::string_view read = rest.substr(0, kReadBytes);
      rest.remove_prefix(read.size());
      SLUICE_CHECK(parser.feed(read, sink).event == Http1Parser::Event::kNeedMore);
    }
  }
  cost.report(state, "ns_per_chunk", static_cast<uint64_t>(state.iterations()) * count);
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * body.size()));
}
BENCHMARK(chunks)->Arg(20)->Arg(230)->Arg(4000);

[[maybe_unused]] const bool registered = [] {
  for (const Sample& sample : kSamples) {
    benchmark::RegisterBenchmark((std::string("parse/") + sample.name).c_str(), parse, sample);
    benchmark::RegisterBenchmark((std::string("rewrite/") + sample.name).c_str(), rewrite, sample);
  }
  return true;
}();

}  // namespace
}  // namespace sluice

#include "net/observe/usage_text.h"

#include <map>
#include <utility>

#include "core/clock.h"
#include "core/log.h"
#include "net/stream/stream.h"

namespace sluice {

namespace {

// The time in which the output came, behind its first token; 0: it is not known.
uint64_t output_ns(const ContentTimes& times) {
  return times.last_ns - times.first_ns;
}

}  // namespace

void append_usage(const Stream& stream, JsonLine& line) {
  const UsageMeter& meter = *stream.usage();
  UsageMeter::Bill bill = stream.bill();
  line.text("model", meter.model());
  if (!meter.answering_model().empty() && meter.answering_model() != meter.model())
    line.text("answering_model", meter.answering_model());
  line.text("usage_source", kUsageSourceNames[static_cast<unsigned>(bill.source)]);
  for (size_t kind = 0; kind < kTokenKinds; ++kind)
    if (bill.usage.has(static_cast<TokenKind>(kind)))
      line.number(std::string(kTokenKindNames[kind]) + "_tokens", bill.usage.tokens[kind]);
  const ContentTimes& times = meter.times();
  if (times.count == 0) return;
  line.ms("first_content_ms", times.first_ns - stream.started_ns());
  line.number("content_events", times.count);
  if (times.count == 1) return;
  line.ms("gap_mean_ms", times.gap_mean_ns());
  line.ms("gap_max_ms", times.gap_max_ns);
  uint64_t output = bill.usage.of(TokenKind::kOutput);
  if (output > 1 && output_ns(times) > 0)
    line.number("tokens_per_second", (output - 1) * 1'000'000'000 / output_ns(times));
}

void write_usage_line(const Stream& stream, uint64_t now_ns, std::string& out) {
  out.clear();
  JsonLine line(out);
  std::string ended;
  append_timestamp(ended, wall_clock_ms());
  line.text("time", ended);
  line.number("id", stream.id());
  line.text("request_id", stream.request_id());
  line.text("route", stream.route().path);
  line.text("upstream", stream.upstream_url());
  append_usage(stream, line);
  line.number("status", static_cast<uint64_t>(stream.status()));
  line.text("ending", ending_name(stream.ending()));
  line.text("side", side_name(ending_side(stream.ending())));
  line.number("bytes_in", stream.request_body_bytes());
  line.number("bytes_out", stream.response_body_bytes());
  line.number("events", stream.events());
  if (stream.events() > 0) line.ms("first_event_ms", stream.first_event_after_ns());
  line.ms("time_ms", now_ns - stream.started_ns());
  out += '}';
}

void count_usage(const Stream& stream, UsageCounts& counts) {
  const UsageMeter& meter = *stream.usage();
  UsageMeter::Bill bill = stream.bill();
  std::string_view model = meter.model().empty() ? "unknown" : meter.model();
  // A word that an upstream has answered to is a model of it.
  ModelCounts& of_model =
      counts.of(stream.route().id, model, bill.source == UsageSource::kReported);
  ++of_model.requests[static_cast<unsigned>(bill.source)];
  for (size_t kind = 0; kind < kTokenKinds; ++kind)
    of_model.tokens[kind] += bill.usage.tokens[kind];
  uint64_t output = bill.usage.of(TokenKind::kOutput);
  if (meter.times().count > 1 && output > 1)
    counts.time_per_token.add(output_ns(meter.times()) / (output - 1));
}

void render_usage(Page& page, const ConfigSnapshot& snapshot, const Workers& workers) {
  std::map<std::pair<uint32_t, std::string_view>, ModelCounts> models;
  UsageCounts total;
  for (const WorkerSnapshot& worker : workers) {
    const UsageCounts& counts = worker.metrics.usage;
    for (const ModelCounts& one : counts.models) {
      ModelCounts& sum = models[{one.route, one.model}];
      for (size_t i = 0; i < sum.requests.size(); ++i) sum.requests[i] += one.requests[i];
      for (size_t i = 0; i < kTokenKinds; ++i) sum.tokens[i] += one.tokens[i];
    }
    for (size_t i = 0; i < total.clumped.size(); ++i) total.clumped[i] += counts.clumped[i];
    for (size_t i = 0; i < total.drains.size(); ++i) total.drains[i] += counts.drains[i];
    total.hidden_chunks += counts.hidden_chunks;
    total.time_to_first_content.add(counts.time_to_first_content);
    total.content_gap.add(counts.content_gap);
    total.time_per_token.add(counts.time_per_token);
  }
  auto each_model = [&](auto add) {
    for (const Route& route : snapshot.routes())
      for (auto model = models.lower_bound({route.id, ""});
           model != models.end() && model->first.first == route.id; ++model)
        add({{"route", route.path}, {"model", std::string(model->first.second)}}, model->second);
  };
  page.counter("sluice_llm_requests",
               "Requests to language models ended, by whose word their usage is.");
  each_model([&page](Labels labels, const ModelCounts& counts) {
    labels.emplace_back("source", "");
    for (size_t i = 0; i < counts.requests.size(); ++i) {
      labels.back().second = kUsageSourceNames[i];
      page.add(counts.requests[i], labels);
    }
  });
  page.counter("sluice_llm_tokens", "Tokens of language models, reported and estimated.");
  each_model([&page](Labels labels, const ModelCounts& counts) {
    labels.emplace_back("kind", "");
    for (size_t i = 0; i < kTokenKinds; ++i) {
      labels.back().second = kTokenKindNames[i];
      page.add(counts.tokens[i], labels);
    }
  });
  page.counter("sluice_llm_hidden_chunks",
               "Chunks with usage that were asked for by us, and kept from clients.");
  page.add(total.hidden_chunks);
  page.counter("sluice_llm_usage_drains",
               "Upstreams that went on without their client, by what came of it.");
  for (size_t i = 0; i < total.drains.size(); ++i)
    page.add(total.drains[i], {{"outcome", kDrainNames[i]}});
  page.counter("sluice_llm_clumped_events",
               "Events that left together with another that had come before, by who is to blame.");
  for (size_t i = 0; i < total.clumped.size(); ++i)
    page.add(total.clumped[i], {{"by", kClumpNames[i]}});
  page.histogram("sluice_llm_time_to_first_content_seconds",
                 "From a request's first byte to its first event with content.",
                 total.time_to_first_content);
  page.histogram("sluice_llm_content_gap_seconds", "Between the events with content of a stream.",
                 total.content_gap);
  page.quantiles(
      "sluice_llm_content_gap_quantile_seconds",
      "The same since the start, within 7 % from 1 us on, where the buckets are too coarse.",
      total.content_gap);
  page.histogram("sluice_llm_time_per_output_token_seconds",
                 "Of a stream, from its first content to its last, for each output token but one.",
                 total.time_per_token);
}

}  // namespace sluice

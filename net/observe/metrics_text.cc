#include "net/observe/metrics_text.h"

#include <algorithm>
#include <array>
#include <functional>
#include <map>

#include "core/clock.h"
#include "net/config/health_check.h"
#include "net/observe/filter_metrics.h"
#include "net/observe/hub_metrics.h"
#include "net/observe/llm_metrics.h"
#include "net/observe/metrics_page.h"
#include "net/observe/usage_text.h"

namespace sluice {

namespace {

struct SimpleCounter {
  const char* name;
  const char* help;
  uint64_t Metrics::*member;
};

constexpr SimpleCounter kCounters[] = {
    {"sluice_client_connections_accepted", "Client connections accepted.",
     &Metrics::client_connections},
    {"sluice_client_connections_closed", "Client connections closed.",
     &Metrics::client_connections_closed},
    {"sluice_accept_pauses",
     "Pauses of accepting, for want of file descriptors or after another error.",
     &Metrics::accept_pauses},
    {"sluice_accept_errors", "Accepts that failed, but for those whose client had left.",
     &Metrics::accept_errors},
    {"sluice_tapped_bytes", "Bytes of events copied to taps.", &Metrics::tapped_bytes},
    {"sluice_tap_dropped_events",
     "Events that taps did not get, since their watcher was slow or memory was tight.",
     &Metrics::tap_dropped_events},
    {"sluice_streams_started", "Requests that began to arrive.", &Metrics::streams_started},
    {"sluice_streams_ended", "Requests ended.", &Metrics::streams_ended},
    {"sluice_upstream_connections_closed", "Connections to upstreams closed.",
     &Metrics::upstream_connections_closed},
    {"sluice_upstream_connects", "Connections to upstreams attempted.",
     &Metrics::upstream_connects},
    {"sluice_upstream_connect_errors", "Connections to upstreams that failed.",
     &Metrics::upstream_connect_errors},
    {"sluice_upstream_reuses", "Requests sent on a kept-alive upstream connection.",
     &Metrics::upstream_reuses},
    {"sluice_upstream_retries", "Requests sent again because a kept-alive connection was stale.",
     &Metrics::upstream_retries},
    {"sluice_cancelled_before_first_byte",
     "Upstream requests cancelled for a client that left before any byte of the answer.",
     &Metrics::cancelled_before_first_byte},
    {"sluice_event_streams", "Responses that were framed as event streams.",
     &Metrics::event_streams},
    {"sluice_events", "Events forwarded.", &Metrics::events},
    {"sluice_torn_events", "Events longer than --event-hold, cut through in pieces.",
     &Metrics::torn_events},
    {"sluice_discarded_bytes", "Bytes of events that their upstream never completed.",
     &Metrics::discarded_bytes},
    {"sluice_heartbeats", "Heartbeats sent to clients.", &Metrics::heartbeats},
    {"sluice_client_received_bytes", "Bytes received from clients.", &Metrics::bytes_from_clients},
    {"sluice_client_sent_bytes", "Bytes of forwarded bodies sent to clients.",
     &Metrics::bytes_to_clients},
    {"sluice_upstream_received_bytes", "Bytes received from upstreams.",
     &Metrics::bytes_from_upstreams},
    {"sluice_upstream_sent_bytes", "Bytes sent to upstreams.", &Metrics::bytes_to_upstreams},
    {"sluice_backpressure_stalls", "Times an upstream was stopped because its client was slow.",
     &Metrics::stalls},
};

// Requests by status; 0: without an answer.
void add_route(std::map<int, uint64_t>& counts, const RouteMetrics& route) {
  if (route.unanswered > 0) counts[0] += route.unanswered;
  for (const RouteMetrics::Status& status : route.by_status) counts[status.code] += status.count;
}

// Of the configuration's routes: those that a reload has removed would add up without an end.
void render_requests(Page& page, const ConfigSnapshot& snapshot, const Workers& workers) {
  page.counter("sluice_requests",
               "Requests ended, by route and status (0: the client left before any answer).");
  auto add = [&page](const std::map<int, uint64_t>& counts, const std::string& path) {
    for (const auto& [code, count] : counts)
      page.add(count, {{"route", path}, {"code", std::to_string(code)}});
  };
  for (const Route& route : snapshot.routes()) {
    std::map<int, uint64_t> counts;
    for (const WorkerSnapshot& worker : workers)
      if (route.id < worker.metrics.routes.size())
        add_route(counts, worker.metrics.routes[route.id]);
    add(counts, route.path);
  }
  std::map<int, uint64_t> counts;
  for (const WorkerSnapshot& worker : workers) add_route(counts, worker.metrics.no_route);
  add(counts, "none");
}

void render_upstreams(Page& page, const ConfigSnapshot& snapshot, const Workers& workers) {
  std::vector<UpstreamMetrics> upstreams(snapshot.upstream_urls().size());
  for (const WorkerSnapshot& worker : workers) {
    for (size_t id = 0; id < std::min(upstreams.size(), worker.metrics.upstreams.size()); ++id) {
      const UpstreamMetrics& one = worker.metrics.upstreams[id];
      for (unsigned i = 0; i < kEndings; ++i) upstreams[id].ended[i] += one.ended[i];
    }
  }
  page.counter("sluice_upstream_attempts",
               "Requests sent, or to be sent, to an upstream, by how "
               "that ended; one that is sent again counts twice.");
  for (uint32_t id : snapshot.upstreams_in_use())
    for (unsigned i = 0; i < kEndings; ++i)
      if (uint64_t count = upstreams[id].ended[i]; count > 0)
        page.add(count, {{"upstream", snapshot.upstream_urls()[id]},
                         {"ending", std::string(ending_name(static_cast<Ending>(i)))}});
}

// Of the upstreams that the configuration names, as with routes.
void render_health(Page& page, const ConfigSnapshot& snapshot, uint64_t now_ms) {
  const UpstreamBoard& board = snapshot.board();
  const std::vector<std::string>& urls = snapshot.upstream_urls();
  page.gauge("sluice_upstream_outstanding", "Requests under way, by upstream.");
  for (uint32_t id : snapshot.upstreams_in_use())
    page.add(board.outstanding(id), {{"upstream", urls[id]}});
  page.gauge("sluice_upstream_pending",
             "Requests that wait for a connection to an upstream that has a limit.");
  for (uint32_t id : snapshot.upstreams_in_use())
    page.add(board.places(id).waiting, {{"upstream", urls[id]}});
  page.gauge("sluice_upstream_state", "1 for the state that the upstream is in.");
  for (uint32_t id : snapshot.upstreams_in_use())
    for (unsigned i = 0; i < kUpstreamStates; ++i) {
      auto state = static_cast<UpstreamState>(i);
      page.add(board.health(id).state(now_ms) == state ? 1 : 0,
               {{"upstream", urls[id]}, {"state", upstream_state_name(state)}});
    }
  page.counter("sluice_upstream_ejections", "Times an upstream was left out, by its last failure.");
  for (uint32_t id : snapshot.upstreams_in_use())
    for (unsigned i = 0; i < kEjectReasons; ++i)
      page.add(
          board.health(id).ejections[i],
          {{"upstream", urls[id]}, {"reason", eject_reason_name(static_cast<EjectReason>(i))}});
}

// Of those that are asked.
void render_probes(Page& page, const ConfigSnapshot& snapshot) {
  std::vector<HealthCheck> checks = health_checks(snapshot);
  std::erase_if(checks, [](const HealthCheck& check) { return !check; });
  auto probes_of = [&snapshot](const HealthCheck& check) -> const UpstreamHealth::Probes& {
    return snapshot.board().health(check.upstream->id).probes;
  };
  page.counter("sluice_health_probes", "Health checks of an upstream, by how they ended.");
  for (const HealthCheck& check : checks) {
    const std::string& url = check.upstream->url;
    page.add(probes_of(check).passed, {{"upstream", url}, {"result", "passed"}});
    for (unsigned i = 0; i < kEjectReasons; ++i)
      page.add(probes_of(check).failed[i],
               {{"upstream", url}, {"result", eject_reason_name(static_cast<EjectReason>(i))}});
  }
  page.counter("sluice_upstream_unhealthy",
               "Times an upstream was left out because its health checks failed.");
  for (const HealthCheck& check : checks)
    page.add(probes_of(check).times_unhealthy, {{"upstream", check.upstream->url}});
}

void render_endings(Page& page, const Workers& workers) {
  page.counter("sluice_closes", "Streams ended, by side and reason.");
  for (unsigned i = 0; i < kEndings; ++i) {
    auto ending = static_cast<Ending>(i);
    page.add(sum(workers, [i](const WorkerSnapshot& w) { return w.metrics.endings[i]; }),
             {{"side", std::string(side_name(ending_side(ending)))},
              {"reason", std::string(ending_name(ending))}});
  }
  page.counter("sluice_upstream_cancels",
               "Upstream requests cancelled because the client left, by phase.");
  for (unsigned i = 0; i < kPhases; ++i)
    page.add(sum(workers, [i](const WorkerSnapshot& w) { return w.metrics.upstream_cancels[i]; }),
             {{"phase", std::string(phase_name(static_cast<Phase>(i)))}});
  page.counter("sluice_bad_requests", "Requests refused, by reason.");
  for (unsigned i = 1; i < Metrics::kParseErrors; ++i)
    page.add(sum(workers, [i](const WorkerSnapshot& w) { return w.metrics.bad_requests[i]; }),
             {{"reason", parse_error_name(static_cast<ParseError>(i))}});
  for (unsigned i = 0; i < kRefusals; ++i)
    page.add(sum(workers, [i](const WorkerSnapshot& w) { return w.metrics.refusals[i]; }),
             {{"reason", refusal_name(static_cast<Refusal>(i))}});
  page.counter("sluice_bad_responses", "Upstream responses that were not valid, by reason.");
  for (unsigned i = 1; i < Metrics::kParseErrors; ++i)
    page.add(sum(workers, [i](const WorkerSnapshot& w) { return w.metrics.bad_responses[i]; }),
             {{"reason", parse_error_name(static_cast<ParseError>(i))}});
}

void render_handshakes(Page& page, const Workers& workers, TlsCounters Metrics::*side) {
  for (unsigned i = 0; i < kTlsResults; ++i) {
    auto result = static_cast<TlsResult>(i);
    bool done = result == TlsResult::kFull || result == TlsResult::kResumed;
    for (unsigned k = 0; k < kTlsVersions; ++k) {
      auto version = static_cast<TlsVersion>(k);
      if (done == (version == TlsVersion::kNone)) continue;  // one that was not done has no version
      uint64_t count =
          sum(workers, [=](const WorkerSnapshot& w) { return (w.metrics.*side).handshakes[i][k]; });
      page.add(count,
               {{"result", tls_result_name(result)}, {"version", tls_version_name(version)}});
    }
  }
}

void render_proxy_headers(Page& page, const Workers& workers) {
  page.counter("sluice_proxy_headers", "PROXY headers of clients, by what came of them.");
  for (unsigned i = 0; i < kProxyResults; ++i)
    page.add(sum(workers, [i](const WorkerSnapshot& w) { return w.metrics.proxy_headers[i]; }),
             {{"result", proxy_result_name(static_cast<ProxyResult>(i))}});
}

// Of clients with lean records.
void render_records(Page& page, const Workers& workers) {
  auto total = [&workers](auto get) {
    return sum(workers, [&](const WorkerSnapshot& w) { return get(w.metrics.tls.records); });
  };
  page.counter("sluice_tls_lean_connections",
               "Client connections that went on without OpenSSL's object (--tls-records=lean).");
  page.add(total([](const RecordCounters& r) { return r.connections; }));
  page.counter("sluice_tls_records", "Records of those connections, by direction and kind.");
  for (unsigned i = 0; i < kRecordKinds; ++i) {
    const char* kind = record_kind_name(static_cast<RecordKind>(i));
    page.add(total([i](const RecordCounters& r) { return r.sealed[i]; }),
             {{"direction", "sealed"}, {"kind", kind}});
    page.add(total([i](const RecordCounters& r) { return r.opened[i]; }),
             {{"direction", "opened"}, {"kind", kind}});
  }
  page.counter("sluice_tls_key_updates", "Key updates of those connections, by direction.");
  page.add(total([](const RecordCounters& r) { return r.key_updates_sent; }),
           {{"direction", "sent"}});
  page.add(total([](const RecordCounters& r) { return r.key_updates_received; }),
           {{"direction", "received"}});
  page.counter("sluice_tls_record_errors",
               "Those connections that broke, by the alert that they were sent (by_peer: the "
               "client sent one).");
  for (unsigned i = 0; i < kRecordErrors; ++i)
    page.add(total([i](const RecordCounters& r) { return r.errors[i]; }),
             {{"alert", record_error_name(static_cast<RecordError>(i))}});
}

void render_tls(Page& page, const Config& config, const Workers& workers) {
  page.counter("sluice_tls_handshakes", "TLS handshakes with clients, by result.");
  render_handshakes(page, workers, &Metrics::tls);
  page.counter("sluice_upstream_tls_handshakes", "TLS handshakes with upstreams, by result.");
  render_handshakes(page, workers, &Metrics::upstream_tls);
  page.counter("sluice_tls_broken", "Connections that broke behind their TLS handshake, by side.");
  page.add(sum(workers, [](const WorkerSnapshot& w) { return w.metrics.tls.broken; }),
           {{"side", "client"}});
  page.add(sum(workers, [](const WorkerSnapshot& w) { return w.metrics.upstream_tls.broken; }),
           {{"side", "upstream"}});
  page.counter("sluice_tls_renegotiations_refused",
               "Handshakes that a peer asked for within a TLS 1.2 connection, by side.");
  page.add(
      sum(workers, [](const WorkerSnapshot& w) { return w.metrics.tls.renegotiations_refused; }),
      {{"side", "client"}});
  page.add(
      sum(workers,
          [](const WorkerSnapshot& w) { return w.metrics.upstream_tls.renegotiations_refused; }),
      {{"side", "upstream"}});
  page.gauge("sluice_tls_handshakes_under_way", "TLS handshakes with clients that have begun.");
  page.add(sum(workers, [](const WorkerSnapshot& w) { return w.handshakes; }));
  render_records(page, workers);
  if (config.tls_keys.empty()) return;
  page.gauge("sluice_tls_certificate_expires_seconds",
             "Time at which a certificate of --tls-cert expires, since 1970.");
  for (const TlsKeyPair& pair : config.tls_keys)
    page.add(static_cast<uint64_t>(std::max<int64_t>(pair.expires_s, 0)),
             {{"certificate", pair.cert}});
  page.gauge("sluice_tls_ocsp_expires_seconds",
             "Time at which the OCSP response for a certificate expires, since 1970.");
  for (const TlsKeyPair& pair : config.tls_keys)
    if (pair.ocsp_expires_s > 0)
      page.add(static_cast<uint64_t>(pair.ocsp_expires_s), {{"certificate", pair.cert}});
  page.gauge("sluice_tls_certificate_days_left", "Days until then; 0 once it has expired.");
  int64_t now_s = static_cast<int64_t>(wall_clock_ms() / 1000);
  for (const TlsKeyPair& pair : config.tls_keys)
    page.add_real(static_cast<double>(std::max<int64_t>(pair.expires_s - now_s, 0)) / 86'400,
                  {{"certificate", pair.cert}});
}

void render_protocols(Page& page, const Workers& workers) {
  auto total = [&workers](auto get) {
    return sum(workers, [&](const WorkerSnapshot& w) { return get(w.metrics); });
  };
  uint64_t http2 = total([](const Metrics& m) { return m.http2_connections; });
  page.counter("sluice_client_protocols", "Client connections, by what they carried.");
  page.add(total([](const Metrics& m) { return m.client_connections; }) - http2,
           {{"protocol", "http1"}});
  page.add(http2, {{"protocol", "http2"}});
  page.counter("sluice_http2_resets",
               "HTTP/2 streams reset, by who has reset them and the code that was given.");
  for (size_t i = 0; i < kHttp2CodeNames.size(); ++i) {
    page.add(total([i](const Metrics& m) { return m.http2_resets[i]; }),
             {{"by", "client"}, {"code", kHttp2CodeNames[i]}});
    page.add(total([i](const Metrics& m) { return m.http2_resets_sent[i]; }),
             {{"by", "self"}, {"code", kHttp2CodeNames[i]}});
  }
  page.counter("sluice_http2_goaways", "HTTP/2 connections told of their end, by code.");
  for (size_t i = 0; i < kHttp2CodeNames.size(); ++i)
    page.add(total([i](const Metrics& m) { return m.http2_goaways[i]; }),
             {{"code", kHttp2CodeNames[i]}});
  page.counter("sluice_http2_floods",
               "HTTP/2 connections ended for too many frames that ask for nothing, by the last.");
  for (size_t i = 0; i < kHttp2FloodNames.size(); ++i)
    page.add(total([i](const Metrics& m) { return m.http2_floods[i]; }),
             {{"frames", kHttp2FloodNames[i]}});
  page.counter("sluice_http2_no_place",
               "Requests beside others on their connection that RLIMIT_NOFILE left no room for.");
  page.add(total([](const Metrics& m) { return m.http2_no_place; }));
  page.counter("sluice_http2_stalled",
               "HTTP/2 streams and connections whose client took nothing for --write-timeout.");
  page.add(total([](const Metrics& m) { return m.http2_stalled; }));
}

void render_names(Page& page, const Workers& workers) {
  constexpr const char* kResults[] = {"found", "none", "failed"};
  page.counter("sluice_dns_answers",
               "What came of looking the names of upstreams up: a question for each of the two "
               "address families.");
  for (unsigned i = 0; i < std::size(kResults); ++i)
    page.add(sum(workers, [i](const WorkerSnapshot& w) { return w.metrics.dns_answers[i]; }),
             {{"result", kResults[i]}});
}

// Other attempts than the first: before a client has content, and behind it.
void render_recovery(Page& page, const Workers& workers) {
  auto each = [&](const char* label, unsigned count, auto name, auto get) {
    for (unsigned i = 0; i < count; ++i)
      page.add(sum(workers, [&](const WorkerSnapshot& w) { return get(w.metrics, i); }),
               {{label, std::string(name(i))}});
  };
  auto failure = [](unsigned i) { return failure_name(static_cast<Failure>(i)); };
  page.counter("sluice_retries",
               "Requests sent to another upstream before their client had content, by what was "
               "wrong with the one before.");
  each("class", kFailures, failure, [](const Metrics& m, unsigned i) { return m.retries[i]; });
  page.counter("sluice_retries_denied", "Retries that the budget of a fifth did not allow.");
  page.add(sum(workers, [](const WorkerSnapshot& w) { return w.metrics.retries_denied; }));
  page.counter("sluice_heal_attempts", "Reconnects of broken event streams, by what broke them.");
  each("class", kFailures, failure,
       [](const Metrics& m, unsigned i) { return m.heal_attempts[i]; });
  page.counter("sluice_heal_attempts_paced", "Reconnects that --heal-rate has put off.");
  page.add(sum(workers, [](const WorkerSnapshot& w) { return w.metrics.heal_attempts_paced; }));
  page.counter("sluice_heals", "Broken event streams, by what became of them.");
  each(
      "result", kHealResults,
      [](unsigned i) { return heal_result_name(static_cast<HealResult>(i)); },
      [](const Metrics& m, unsigned i) { return m.heals[i]; });
  page.counter("sluice_heal_gaps", "Resumed streams that began elsewhere than they were asked to.");
  each(
      "reason", kGaps, [](unsigned i) { return gap_name(static_cast<Gap>(i)); },
      [](const Metrics& m, unsigned i) { return m.heal_gaps[i]; });
  page.counter("sluice_duplicate_events", "Events of resumed streams that had been delivered.");
  page.add(sum(workers, [](const WorkerSnapshot& w) { return w.metrics.duplicate_events; }));
}

// Bodies that left in a content coding of ours.
void render_encoding(Page& page, const Workers& workers) {
  auto each = [&](uint64_t EncodingCounts::*member) {
    for (unsigned i = 1; i < kContentCodings; ++i) {
      auto coding = static_cast<ContentCoding>(i);
      page.add(sum(workers,
                   [&](const WorkerSnapshot& worker) {
                     return worker.metrics.encoding.of(coding).*member;
                   }),
               {{"coding", std::string(coding_name(coding))}});
    }
  };
  page.counter("sluice_encoded_bodies", "Bodies packed for clients, by content coding.");
  each(&EncodingCounts::bodies);
  page.counter("sluice_encoded_plain_bytes", "Bytes that were packed, before.");
  each(&EncodingCounts::plain_bytes);
  page.counter("sluice_encoded_bytes", "Bytes that they became.");
  each(&EncodingCounts::packed_bytes);
  page.counter("sluice_encoder_states_taken_back",
               "States of encoders that were taken from idle bodies for others.");
  each(&EncodingCounts::taken_back);
  page.counter("sluice_encoders_refused",
               "Bodies that left plain since there was no encoder's state for them.");
  page.add(
      sum(workers, [](const WorkerSnapshot& worker) { return worker.metrics.encoding.refused; }));
  page.gauge("sluice_encoder_states", "States of encoders in use.");
  each(&EncodingCounts::states_in_use);
  page.gauge("sluice_encoder_state_bytes", "Memory of encoders, spare ones too.");
  each(&EncodingCounts::state_bytes);
}

// Event streams that came in a coding all the same.
void render_decoding(Page& page, const Workers& workers) {
  auto each = [&](uint64_t DecodingCounts::*member) {
    for (unsigned i = 1; i < kAppliedCodings - 1; ++i) {
      auto coding = static_cast<AppliedCoding>(i);
      page.add(sum(workers,
                   [&](const WorkerSnapshot& w) { return w.metrics.decoding.of(coding).*member; }),
               {{"coding", std::string(coding_name(coding))}});
    }
  };
  page.counter("sluice_decoded_bodies", "Event streams unpacked, by content coding.");
  each(&DecodingCounts::bodies);
  page.counter("sluice_decoded_bytes", "Bytes that were unpacked, before.");
  each(&DecodingCounts::packed_bytes);
  page.counter("sluice_decoded_plain_bytes", "Bytes that they became.");
  each(&DecodingCounts::plain_bytes);
  page.counter("sluice_decoding_failures",
               "Event streams that could not be unpacked to their end.");
  for (unsigned i = 1; i < kDecodingFaults; ++i)
    page.add(sum(workers, [&](const WorkerSnapshot& w) { return w.metrics.decoding.faults[i]; }),
             {{"reason", decoding_fault_name(static_cast<DecodingFault>(i))}});
  page.gauge("sluice_decoder_bytes", "Memory of decoders.");
  page.add(sum(workers, [](const WorkerSnapshot& w) { return w.metrics.decoding.decoder_bytes; }));
}

void render_gauges(Page& page, const Workers& workers) {
  struct Gauge {
    const char* name;
    const char* help;
    uint64_t WorkerSnapshot::*member;
  };
  constexpr Gauge kGauges[] = {
      {"sluice_active_streams", "Requests in progress.", &WorkerSnapshot::streams},
      {"sluice_active_event_streams", "Framed event streams in progress.",
       &WorkerSnapshot::event_streams},
      {"sluice_client_connections", "Client connections open.",
       &WorkerSnapshot::client_connections},
      {"sluice_upstream_connections", "Upstream connections open.",
       &WorkerSnapshot::upstream_connections},
      {"sluice_upstream_idle_connections", "Upstream connections kept alive and unused.",
       &WorkerSnapshot::upstream_idle},
      {"sluice_ring_operations", "Operations that the kernel has in hand.",
       &WorkerSnapshot::operations},
  };
  for (const Gauge& gauge : kGauges) {
    page.gauge(gauge.name, gauge.help);
    page.add(sum(workers, [&](const WorkerSnapshot& worker) { return worker.*gauge.member; }));
  }
}

void render_pools(Page& page, const Workers& workers) {
  auto each = [&](const std::function<void(const PoolSnapshot&, const Labels&)>& add) {
    for (size_t i = 0; i < workers.size(); ++i)
      for (const PoolSnapshot& pool : workers[i].pools)
        add(pool, {{"pool", pool.name}, {"worker", std::to_string(i)}});
  };
  page.gauge("sluice_buffer_pool_reuse_rate",
             "Leases served by a slot that had been used before (1 while nothing was leased).");
  each([&](const PoolSnapshot& pool, const Labels& labels) {
    uint64_t leases = pool.counters.reuses + pool.counters.allocations;
    page.add_real(
        leases == 0 ? 1.0 : static_cast<double>(pool.counters.reuses) / static_cast<double>(leases),
        labels);
  });
  struct PoolCounter {
    const char* name;
    const char* help;
    uint64_t PoolCounters::*member;
  };
  constexpr PoolCounter kPoolCounters[] = {
      {"sluice_buffer_pool_allocations", "Slots used for the first time, and heap blocks.",
       &PoolCounters::allocations},
      {"sluice_buffer_pool_reuses", "Leases of slots that had been used before.",
       &PoolCounters::reuses},
      {"sluice_buffer_pool_discards", "Slots given back to the system, and heap blocks freed.",
       &PoolCounters::discards},
      {"sluice_buffer_pool_waits", "Receives that found no slot and waited.", &PoolCounters::waits},
  };
  for (const PoolCounter& counter : kPoolCounters) {
    page.counter(counter.name, counter.help);
    each([&](const PoolSnapshot& pool, const Labels& labels) {
      page.add(pool.counters.*counter.member, labels);
    });
  }
  struct PoolGauge {
    const char* name;
    const char* help;
    uint64_t PoolSnapshot::*member;
  };
  constexpr PoolGauge kPoolGauges[] = {
      {"sluice_buffer_pool_current_size", "Slots of the pool.", &PoolSnapshot::slots},
      {"sluice_buffer_pool_slot_bytes", "Bytes of a slot.", &PoolSnapshot::slot_bytes},
      {"sluice_buffer_pool_provided", "Slots with the kernel.", &PoolSnapshot::provided},
      {"sluice_buffer_pool_free", "Slots that nobody uses.", &PoolSnapshot::free},
      {"sluice_buffer_pool_leases", "Slots that hold bytes on their way.", &PoolSnapshot::leased},
      {"sluice_buffer_pool_heap_blocks", "Blocks from the heap, beyond --pool-max.",
       &PoolSnapshot::heap_blocks},
      {"sluice_buffer_pool_high_water", "Most slots leased at once.", &PoolSnapshot::high_water},
  };
  for (const PoolGauge& gauge : kPoolGauges) {
    page.gauge(gauge.name, gauge.help);
    each([&](const PoolSnapshot& pool, const Labels& labels) {
      page.add(pool.*gauge.member, labels);
    });
  }
}

void render_rings(Page& page, const Workers& workers) {
  struct RingCounter {
    const char* name;
    const char* help;
    std::function<uint64_t(const WorkerSnapshot&)> get;
  };
  const RingCounter counters[] = {
      {"sluice_ring_enters", "Kernel entries.",
       [](const WorkerSnapshot& w) { return w.ring.enters; }},
      {"sluice_ring_submissions", "Operations submitted.",
       [](const WorkerSnapshot& w) { return w.ring.submissions; }},
      {"sluice_ring_completions", "Completions reaped.",
       [](const WorkerSnapshot& w) { return w.ring.completions; }},
      {"sluice_ring_overflows", "Completions that did not fit the queue at first.",
       [](const WorkerSnapshot& w) { return w.ring.overflows; }},
      {"sluice_ring_busy", "Kernel entries that were refused for a moment.",
       [](const WorkerSnapshot& w) { return w.ring.busy; }},
      {"sluice_ring_rearms", "Receives armed, for the first time or anew.",
       [](const WorkerSnapshot& w) { return w.ring.receives; }},
      {"sluice_ring_sends", "Sends submitted.",
       [](const WorkerSnapshot& w) { return w.ring.sends; }},
      {"sluice_ring_stale_completions", "Completions for an operation that is gone (a bug).",
       [](const WorkerSnapshot& w) { return w.loop.stale_completions; }},
      {"sluice_loop_turns", "Turns of the event loop.",
       [](const WorkerSnapshot& w) { return w.loop.turns; }},
      {"sluice_loop_gathered_turns", "Turns that waited to gather completions (--latency-budget).",
       [](const WorkerSnapshot& w) { return w.loop.gathered_turns; }},
  };
  for (const RingCounter& counter : counters) {
    page.counter(counter.name, counter.help);
    for (size_t i = 0; i < workers.size(); ++i)
      page.add(counter.get(workers[i]), {{"worker", std::to_string(i)}});
  }
  page.counter("sluice_loop_cpu_seconds", "CPU time of the worker's thread, kernel included.");
  for (size_t i = 0; i < workers.size(); ++i)
    page.add_real(static_cast<double>(workers[i].loop.cpu_ns) / 1e9,
                  {{"worker", std::to_string(i)}});
}

void render_process(Page& page, const ProcessFacts& process) {
  page.gauge("sluice_build_info", "Always 1; the version is a label.");
  page.add(1, {{"version", std::string(process.version)}});
  page.gauge("sluice_uptime_seconds", "Seconds since the start.");
  page.add_real(process.uptime_seconds);
  page.gauge("sluice_draining", "1 while shutting down.");
  page.add(process.draining ? 1 : 0);
  page.gauge("sluice_config_generation", "1 at the start; each reload that succeeds adds one.");
  page.add(process.config_generation);
  page.counter("sluice_config_reloads", "Reloads asked for, by SIGHUP or POST /reload.");
  page.add(process.reloads_ok, {{"result", "ok"}});
  page.add(process.reloads_failed, {{"result", "failed"}});
  page.counter("sluice_log_lines_dropped", "Log lines dropped because their queue was full.");
  page.add(process.log_lines_dropped);
  page.counter("sluice_log_write_errors", "Failed writes of log lines.");
  page.add(process.log_write_errors);
  page.counter("sluice_admin_connections_dropped",
               "Connections of the admin port closed to make room, or for an error of the kernel.");
  page.add(process.admin_drops);
  page.gauge("sluice_taps", "Taps that are open at the admin port.");
  page.add(process.taps);
  page.gauge("process_open_fds", "Open file descriptors.");
  page.add(process.open_fds);
  page.gauge("process_resident_memory_bytes", "Resident memory.");
  page.add(process.resident_bytes);
}

}  // namespace

std::string_view metrics_content_type(MetricsFormat format) {
  return format == MetricsFormat::kOpenMetrics
             ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
             : "text/plain; version=0.0.4; charset=utf-8";
}

std::string render_metrics(const ConfigSnapshot& snapshot,
                           const std::vector<WorkerSnapshot>& workers, const ProcessFacts& process,
                           MetricsFormat format) {
  Page page(format);
  render_requests(page, snapshot, workers);
  render_upstreams(page, snapshot, workers);
  render_filters(page, snapshot, workers);
  render_scripts(page, workers);
  render_dialects(page, workers);
  render_hubs(page, workers);
  render_health(page, snapshot, process.now_ms);
  render_probes(page, snapshot);
  render_gauges(page, workers);
  for (const SimpleCounter& counter : kCounters) {
    page.counter(counter.name, counter.help);
    page.add(sum(workers, [&](const WorkerSnapshot& w) { return w.metrics.*counter.member; }));
  }
  page.counter("sluice_backpressure_stall_seconds", "Time that upstreams were stopped for.");
  page.add_real(static_cast<double>(
                    sum(workers, [](const WorkerSnapshot& w) { return w.metrics.stall_ns; })) /
                1e9);
  render_endings(page, workers);
  render_protocols(page, workers);
  render_names(page, workers);
  render_proxy_headers(page, workers);
  render_tls(page, snapshot.config(), workers);
  render_recovery(page, workers);
  render_encoding(page, workers);
  render_usage(page, snapshot, workers);
  render_decoding(page, workers);
  page.histogram("sluice_time_to_first_event_seconds",
                 "From a request's first byte to its first event.",
                 merged(workers, &Metrics::time_to_first_event));
  page.histogram("sluice_event_gap_seconds", "Between the events of a stream.",
                 merged(workers, &Metrics::event_gap));
  page.histogram("sluice_residence_seconds",
                 "From an event's receipt to its send to the client, per event.",
                 merged(workers, &Metrics::residence));
  render_pools(page, workers);
  render_rings(page, workers);
  render_process(page, process);
  return page.finish();
}

}  // namespace sluice

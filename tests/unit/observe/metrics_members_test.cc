// Every number that is scraped gets a value of its own, and has to be found under its own name and
// labels: so members that are swapped are seen. Each struct is named here to its last byte: so is a
// member that is added and shown nowhere. The names and labels are written out, since dashboards
// and alerts rely on them.
#include <cstddef>
#include <map>
#include <set>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "net/observe/metrics_text.h"
#include "tests/unit/observe/scraped_page.h"

namespace sluice {
namespace {

constexpr uint64_t kSecondNs = 1'000'000'000;

class MetricsMembers : public testing::Test {
 protected:
  // A number that nothing else has, and that has to stand there. Labels have no quotes here.
  uint64_t number(const std::string& sample) {
    EXPECT_TRUE(expected_.emplace(sample, next_).second) << sample << " is named twice";
    return next_++;
  }

  void shown(uint64_t& member, const std::string& sample, uint64_t unit = 1) {
    member = number(sample) * unit;
    named(member);
  }
  // Of an array: each takes one of the words in the place of the star; "-" is shown nowhere.
  void shown(std::span<uint64_t> members, const std::string& sample, const std::string& words) {
    std::istringstream each(words);
    std::string word;
    for (uint64_t& member : members) {
      ASSERT_TRUE(each >> word) << sample << " has more members than words";
      std::string one = sample;
      member = word == "-" ? next_++ : number(one.replace(one.find('*'), 1, word));
      named(member);
    }
    EXPECT_FALSE(each >> word) << sample << " has no member for " << word;
  }
  void shown(Histogram& histogram, const std::string& name) {
    uint64_t count = number(name + "_count");
    histogram.add(kSecondNs, count);
    expected_[name + "_sum"] = static_cast<double>(count);
    named(histogram);
  }
  // No number of its own, or one that is shown nowhere.
  template <typename Member>
  void named(const Member& member) {
    named_[reinterpret_cast<const std::byte*>(&member)] = sizeof(member);
  }
  template <typename Struct>
  void expect_whole(const Struct& whole, const char* name) {
    const auto* begin = reinterpret_cast<const std::byte*>(&whole);
    const std::byte* end = begin + sizeof(whole);
    // Less than a number's size is padding.
    for (const std::byte* at = begin; end - at >= std::ptrdiff_t{alignof(uint64_t)};) {
      auto member = named_.lower_bound(at);
      bool is_there =
          member != named_.end() && member->first - at < std::ptrdiff_t{alignof(uint64_t)};
      ASSERT_TRUE(is_there) << "the member at byte " << at - begin << " of " << name
                            << " is not named here";
      at = member->first + member->second;
    }
  }

  void fill(Metrics& m);
  void fill_traffic(Metrics& m);
  void fill_recovery(Metrics& m);
  void fill_tls(TlsCounters& tls, const std::string& prefix, const std::string& side);
  void fill(RecordCounters& records);
  void fill(EncodingMetrics& encoding);
  void fill(DecodingMetrics& decoding);
  void fill(UsageCounts& usage);
  void fill(ScriptMetrics& scripts);
  void fill(RouteMetrics& route, const std::string& path);
  void fill(PoolSnapshot& pool);
  void fill(HubCounts& hub);
  void fill(HubSourceCounts& source);
  void fill(WorkerSnapshot& worker);
  void fill(ProcessFacts& process);
  void fill(UpstreamBoard& board);

  uint64_t next_ = 1000;
  std::map<std::string, double> expected_;    // by sample
  std::map<const std::byte*, size_t> named_;  // members, with their sizes
};

constexpr char kEndingNames[] =
    "complete refused client_left client_stalled client_timed_out upstream_unresolved "
    "upstream_refused upstream_tls upstream_connect_timeout upstream_first_byte_timeout "
    "upstream_idle_timeout upstream_truncated upstream_reset upstream_bad_response unavailable "
    "overloaded script_failed shutdown";
constexpr char kSidesAndEndings[] =
    "none,reason=complete client,reason=refused client,reason=client_left "
    "client,reason=client_stalled client,reason=client_timed_out "
    "upstream,reason=upstream_unresolved upstream,reason=upstream_refused "
    "upstream,reason=upstream_tls upstream,reason=upstream_connect_timeout "
    "upstream,reason=upstream_first_byte_timeout upstream,reason=upstream_idle_timeout "
    "upstream,reason=upstream_truncated upstream,reason=upstream_reset "
    "upstream,reason=upstream_bad_response self,reason=unavailable self,reason=overloaded "
    "self,reason=script_failed self,reason=shutdown";
constexpr char kFailureNames[] =
    "refused unreachable dns reset truncated idle tls status protocol overload ended";
constexpr char kMistakes[] =
    "- bad_syntax bad_field bad_framing bad_chunk bad_host head_too_large target_too_long "
    "bad_version unknown_coding not_http bad_status method_too_long";
constexpr char kHttp2Codes[] =
    "no_error protocol_error internal_error flow_control_error settings_timeout stream_closed "
    "frame_size_error refused_stream cancel compression_error connect_error enhance_your_calm "
    "inadequate_security http_1_1_required other";

void MetricsMembers::fill(Metrics& m) {
  m.routes.resize(1);
  fill(m.routes[0], "/");
  named(m.routes);
  m.upstreams.resize(1);
  named(m.upstreams[0].begun);
  shown(m.upstreams[0].ended, "sluice_upstream_attempts_total{upstream=http://u,ending=*}",
        kEndingNames);
  expect_whole(m.upstreams[0], "UpstreamMetrics");
  named(m.upstreams);
  fill(m.no_route, "none");
  m.filters.resize(1);
  shown(m.filters[0].events, "sluice_filter_events_total{filter=f,action=*}",
        "dropped changed added ended invalid unsearched script_error script_limit");
  expect_whole(m.filters[0], "FilterCounts");
  named(m.filters);
  shown(m.oversize_events, "sluice_filter_oversize_events_total{action=*}", "pass drop end");
  shown(m.unfiltered_streams, "sluice_unfiltered_streams_total");
  fill(m.scripts);
  fill(m.usage);
  shown(m.dialect_streams, "sluice_dialect_streams_total{dialect=*}",
        "- openai responses anthropic");
  shown(m.error_events, "sluice_error_events_total{dialect=*}", "- openai responses anthropic");
  shown(m.late_events, "sluice_late_events_total");
  shown(m.gates, "sluice_content_gates_total{outcome=*}", "content time bytes failed_over ended");
  fill_traffic(m);
  fill_recovery(m);
  fill_tls(m.tls, "sluice_tls", "client");
  fill(m.tls.records);
  expect_whole(m.tls, "TlsCounters");
  fill_tls(m.upstream_tls, "sluice_upstream_tls", "upstream");
  named(m.upstream_tls.records);  // upstreams' records are OpenSSL's
  fill(m.encoding);
  fill(m.decoding);
  expect_whole(m, "Metrics");
}

void MetricsMembers::fill_traffic(Metrics& m) {
  shown(m.http2_connections, "sluice_client_protocols_total{protocol=http2}");
  shown(m.client_connections, "sluice_client_connections_accepted_total");
  expected_["sluice_client_protocols_total{protocol=http1}"] =
      static_cast<double>(m.client_connections - m.http2_connections);
  shown(m.client_connections_closed, "sluice_client_connections_closed_total");
  shown(m.http2_resets, "sluice_http2_resets_total{by=client,code=*}", kHttp2Codes);
  shown(m.http2_resets_sent, "sluice_http2_resets_total{by=self,code=*}", kHttp2Codes);
  shown(m.http2_goaways, "sluice_http2_goaways_total{code=*}", kHttp2Codes);
  shown(m.http2_floods, "sluice_http2_floods_total{frames=*}",
        "settings ping reset provoked empty_data window_update priority unknown late_data goaway "
        "continuation");
  shown(m.http2_no_place, "sluice_http2_no_place_total");
  shown(m.http2_stalled, "sluice_http2_stalled_total");
  shown(m.accept_pauses, "sluice_accept_pauses_total");
  shown(m.accept_errors, "sluice_accept_errors_total");
  shown(m.proxy_headers, "sluice_proxy_headers_total{result=*}",
        "address local missing invalid timed_out abandoned");
  shown(m.dns_answers, "sluice_dns_answers_total{result=*}", "found none failed");
  shown(m.upstream_connects, "sluice_upstream_connects_total");
  shown(m.upstream_connect_errors, "sluice_upstream_connect_errors_total");
  shown(m.upstream_reuses, "sluice_upstream_reuses_total");
  shown(m.upstream_connections_closed, "sluice_upstream_connections_closed_total");
  shown(m.streams_started, "sluice_streams_started_total");
  shown(m.streams_ended, "sluice_streams_ended_total");
  shown(m.endings, "sluice_closes_total{side=*}", kSidesAndEndings);
  shown(m.upstream_cancels, "sluice_upstream_cancels_total{phase=*}",
        "request healing queued resolving connecting awaiting_head first_event streaming draining");
  shown(m.cancelled_before_first_byte, "sluice_cancelled_before_first_byte_total");
  shown(m.bad_requests, "sluice_bad_requests_total{reason=*}", kMistakes);
  shown(m.bad_responses, "sluice_bad_responses_total{reason=*}", kMistakes);
  shown(m.refusals, "sluice_bad_requests_total{reason=*}",
        "header_timeout body_timeout body_too_large no_route upgrade connect expectation "
        "max_forwards loop no_host");
  shown(m.event_streams, "sluice_event_streams_total");
  shown(m.events, "sluice_events_total");
  shown(m.torn_events, "sluice_torn_events_total");
  shown(m.discarded_bytes, "sluice_discarded_bytes_total");
  shown(m.heartbeats, "sluice_heartbeats_total");
  shown(m.bytes_from_clients, "sluice_client_received_bytes_total");
  shown(m.bytes_to_clients, "sluice_client_sent_bytes_total");
  shown(m.bytes_from_upstreams, "sluice_upstream_received_bytes_total");
  shown(m.bytes_to_upstreams, "sluice_upstream_sent_bytes_total");
  shown(m.tapped_bytes, "sluice_tapped_bytes_total");
  shown(m.tap_dropped_events, "sluice_tap_dropped_events_total");
  shown(m.stalls, "sluice_backpressure_stalls_total");
  shown(m.stall_ns, "sluice_backpressure_stall_seconds_total", kSecondNs);
  shown(m.time_to_first_event, "sluice_time_to_first_event_seconds");
  shown(m.event_gap, "sluice_event_gap_seconds");
  shown(m.residence, "sluice_residence_seconds");
}

void MetricsMembers::fill_recovery(Metrics& m) {
  shown(m.upstream_retries, "sluice_upstream_retries_total");
  shown(m.retries, "sluice_retries_total{class=*}", kFailureNames);
  shown(m.retries_denied, "sluice_retries_denied_total");
  shown(m.heal_attempts, "sluice_heal_attempts_total{class=*}", kFailureNames);
  shown(m.heal_attempts_paced, "sluice_heal_attempts_paced_total");
  shown(m.heals, "sluice_heals_total{result=*}", "resumed ended refused given_up");
  shown(m.heal_gaps, "sluice_heal_gaps_total{reason=*}", "skipped replayed");
  shown(m.duplicate_events, "sluice_duplicate_events_total");
}

void MetricsMembers::fill_tls(TlsCounters& tls, const std::string& prefix,
                              const std::string& side) {
  std::istringstream results(
      "full resumed plain_http version cipher protocol certificate no_certificate alert invalid "
      "abandoned");
  for (auto& by_version : tls.handshakes) {
    std::string result;
    ASSERT_TRUE(results >> result);
    bool done = result == "full" || result == "resumed";
    shown(by_version, prefix + "_handshakes_total{result=" + result + ",version=*}",
          done ? "- 1.2 1.3" : "none - -");
  }
  shown(tls.broken, "sluice_tls_broken_total{side=" + side + "}");
  shown(tls.renegotiations_refused, "sluice_tls_renegotiations_refused_total{side=" + side + "}");
}

void MetricsMembers::fill(RecordCounters& records) {
  shown(records.connections, "sluice_tls_lean_connections_total");
  shown(records.sealed, "sluice_tls_records_total{direction=sealed,kind=*}",
        "data handshake alert");
  shown(records.opened, "sluice_tls_records_total{direction=opened,kind=*}",
        "data handshake alert");
  shown(records.key_updates_sent, "sluice_tls_key_updates_total{direction=sent}");
  shown(records.key_updates_received, "sluice_tls_key_updates_total{direction=received}");
  shown(records.errors, "sluice_tls_record_errors_total{alert=*}",
        "unexpected_message bad_record_mac record_overflow illegal_parameter decode_error "
        "internal_error by_peer");
}

void MetricsMembers::fill(EncodingMetrics& encoding) {
  named(encoding.of(ContentCoding::kIdentity));
  const std::vector<std::string> names = {"gzip", "zstd", "br"};
  for (size_t i = 0; i < names.size(); ++i) {
    EncodingCounts& counts = encoding.by_coding[i + 1];
    const std::string label = "{coding=" + names[i] + "}";
    shown(counts.bodies, "sluice_encoded_bodies_total" + label);
    shown(counts.plain_bytes, "sluice_encoded_plain_bytes_total" + label);
    shown(counts.packed_bytes, "sluice_encoded_bytes_total" + label);
    shown(counts.taken_back, "sluice_encoder_states_taken_back_total" + label);
    shown(counts.states_in_use, "sluice_encoder_states" + label);
    shown(counts.state_bytes, "sluice_encoder_state_bytes" + label);
  }
  shown(encoding.refused, "sluice_encoders_refused_total");
}

void MetricsMembers::fill(DecodingMetrics& decoding) {
  named(decoding.of(AppliedCoding::kNone));
  named(decoding.of(AppliedCoding::kOther));
  const std::vector<std::string> names = {"gzip", "deflate", "zstd", "br"};
  for (size_t i = 0; i < names.size(); ++i) {
    DecodingCounts& counts = decoding.by_coding[i + 1];
    const std::string label = "{coding=" + names[i] + "}";
    shown(counts.bodies, "sluice_decoded_bodies_total" + label);
    shown(counts.packed_bytes, "sluice_decoded_bytes_total" + label);
    shown(counts.plain_bytes, "sluice_decoded_plain_bytes_total" + label);
  }
  shown(decoding.faults, "sluice_decoding_failures_total{reason=*}", "- invalid cut ratio memory");
  shown(decoding.decoder_bytes, "sluice_decoder_bytes");
}

void MetricsMembers::fill(UsageCounts& usage) {
  ModelCounts& counts = usage.models.emplace_back();
  counts.model = "m";
  named(counts.route);
  named(counts.model);
  shown(counts.requests, "sluice_llm_requests_total{route=/,model=m,source=*}",
        "none estimated reported");
  shown(counts.tokens, "sluice_llm_tokens_total{route=/,model=m,kind=*}",
        "input output cached cache_write reasoning");
  expect_whole(counts, "ModelCounts");
  named(usage.models);
  shown(usage.clumped, "sluice_llm_clumped_events_total{by=*}", "upstream client gateway");
  shown(usage.drains, "sluice_llm_usage_drains_total{outcome=*}", "complete given_up");
  named(usage.drains_live);
  shown(usage.hidden_chunks, "sluice_llm_hidden_chunks_total");
  shown(usage.time_to_first_content, "sluice_llm_time_to_first_content_seconds");
  shown(usage.content_gap, "sluice_llm_content_gap_seconds");
  for (const char* share : {"0.5", "0.99", "0.999"})
    expected_[std::string("sluice_llm_content_gap_quantile_seconds{quantile=") + share + "}"] =
        usage.content_gap.quantile_seconds(0.5);
  shown(usage.time_per_token, "sluice_llm_time_per_output_token_seconds");
}

void MetricsMembers::fill(ScriptMetrics& scripts) {
  shown(scripts.states, "sluice_script_states");
  shown(scripts.memory_bytes, "sluice_script_memory_bytes");
  shown(scripts.messages_dropped, "sluice_script_lines_dropped_total");
  ScriptCount& count = scripts.counts.emplace_back();
  count.filter = "f";
  count.name = "n";
  count.label = "l";
  shown(count.count, "sluice_script_count_total{filter=f,counter=n,label=l}");
  named(scripts.counts);
}

void MetricsMembers::fill(RouteMetrics& route, const std::string& path) {
  const std::string sample = "sluice_requests_total{route=" + path + ",code=";
  route.by_status = {{200, number(sample + "200}")}, {502, number(sample + "502}")}};
  named(route.by_status);
  shown(route.unanswered, sample + "0}");
}

void MetricsMembers::fill(PoolSnapshot& pool) {
  const std::string prefix = "sluice_buffer_pool_";
  const std::string labels = "{pool=p,worker=1}";
  pool.name = "p";
  named(pool.name);
  shown(pool.slot_bytes, prefix + "slot_bytes" + labels);
  shown(pool.slots, prefix + "current_size" + labels);
  shown(pool.provided, prefix + "provided" + labels);
  shown(pool.free, prefix + "free" + labels);
  shown(pool.leased, prefix + "leases" + labels);
  shown(pool.heap_blocks, prefix + "heap_blocks" + labels);
  shown(pool.high_water, prefix + "high_water" + labels);
  shown(pool.counters.allocations, prefix + "allocations_total" + labels);
  shown(pool.counters.reuses, prefix + "reuses_total" + labels);
  shown(pool.counters.discards, prefix + "discards_total" + labels);
  shown(pool.counters.waits, prefix + "waits_total" + labels);
  auto reuses = static_cast<double>(pool.counters.reuses);
  auto leases = static_cast<double>(pool.counters.reuses + pool.counters.allocations);
  expected_[prefix + "reuse_rate" + labels] = reuses / leases;
  expect_whole(pool, "PoolSnapshot");
}

void MetricsMembers::fill(HubCounts& hub) {
  hub.name = "h";
  named(hub.name);
  shown(hub.streams, "sluice_hub_streams{hub=h}");
  shown(hub.events, "sluice_hub_events{hub=h}");
  shown(hub.bytes, "sluice_hub_bytes{hub=h}");
  shown(hub.global_position, "sluice_hub_global_position{hub=h}");
  shown(hub.subscribers, "sluice_hub_subscribers{hub=h}");
  shown(hub.groups, "sluice_hub_groups{hub=h}");
  shown(hub.leases, "sluice_hub_leases{hub=h}");
  shown(hub.leases_granted, "sluice_hub_leases_granted_total{hub=h}");
  shown(hub.leases_expired, "sluice_hub_leases_expired_total{hub=h}");
  shown(hub.acks_fenced, "sluice_hub_acks_fenced_total{hub=h}");
  shown(hub.appended, "sluice_hub_appended_events_total{hub=h}");
  shown(hub.duplicates, "sluice_hub_duplicates_total{hub=h}");
  shown(hub.refused, "sluice_hub_refused_total{hub=h}");
  shown(hub.delivered, "sluice_hub_delivered_events_total{hub=h}");
  shown(hub.coded, "sluice_hub_coded_events_total{hub=h}");
  shown(hub.gaps, "sluice_hub_gaps_total{hub=h}");
  shown(hub.store_waiting, "sluice_hub_store_waiting_events{hub=h}");
  shown(hub.store_failing, "sluice_hub_store_failing{hub=h}");
  shown(hub.store_failures, "sluice_hub_store_failures_total{hub=h}");
  shown(hub.store_pages, "sluice_hub_store_pages_total{hub=h}");
  shown(hub.store_unread, "sluice_hub_store_unread_total{hub=h}");
  shown(hub.slow_ended, "sluice_hub_slow_ended_total{hub=h}");
  expect_whole(hub, "HubCounts");
}

void MetricsMembers::fill(HubSourceCounts& source) {
  const std::string labels = "{hub=h,stream=s}";
  source.hub = "h";
  source.stream = "s";
  source.up = true;
  expected_["sluice_hub_source_up" + labels] = 1;
  named(source.hub);
  named(source.stream);
  named(source.up);
  shown(source.attempts, "sluice_hub_source_attempts_total" + labels);
  shown(source.events, "sluice_hub_source_events_total" + labels);
  shown(source.duplicates, "sluice_hub_source_duplicate_events_total" + labels);
  shown(source.refused, "sluice_hub_source_refused_events_total" + labels);
  expect_whole(source, "HubSourceCounts");
}

void MetricsMembers::fill(WorkerSnapshot& worker) {
  const std::string label = "{worker=1}";
  fill(worker.metrics);
  shown(worker.ring.enters, "sluice_ring_enters_total" + label);
  shown(worker.ring.submissions, "sluice_ring_submissions_total" + label);
  shown(worker.ring.completions, "sluice_ring_completions_total" + label);
  shown(worker.ring.receives, "sluice_ring_rearms_total" + label);
  shown(worker.ring.sends, "sluice_ring_sends_total" + label);
  shown(worker.ring.overflows, "sluice_ring_overflows_total" + label);
  shown(worker.ring.busy, "sluice_ring_busy_total" + label);
  shown(worker.loop.turns, "sluice_loop_turns_total" + label);
  shown(worker.loop.gathered_turns, "sluice_loop_gathered_turns_total" + label);
  shown(worker.loop.cpu_ns, "sluice_loop_cpu_seconds_total" + label, kSecondNs);
  shown(worker.loop.stale_completions, "sluice_ring_stale_completions_total" + label);
  shown(worker.operations, "sluice_ring_operations");
  shown(worker.client_connections, "sluice_client_connections");
  shown(worker.handshakes, "sluice_tls_handshakes_under_way");
  shown(worker.upstream_connections, "sluice_upstream_connections");
  shown(worker.upstream_idle, "sluice_upstream_idle_connections");
  shown(worker.streams, "sluice_active_streams");
  shown(worker.event_streams, "sluice_active_event_streams");
  fill(worker.pools.emplace_back());
  named(worker.pools);
  fill(worker.hubs.emplace_back());
  named(worker.hubs);
  fill(worker.hub_sources.emplace_back());
  named(worker.hub_sources);
  expect_whole(worker, "WorkerSnapshot");
}

void MetricsMembers::fill(ProcessFacts& process) {
  process.version = "v";
  expected_["sluice_build_info{version=v}"] = 1;
  process.draining = true;
  expected_["sluice_draining"] = 1;
  process.uptime_seconds = static_cast<double>(number("sluice_uptime_seconds"));
  named(process.version);
  named(process.draining);
  named(process.uptime_seconds);
  named(process.now_ms);
  shown(process.open_fds, "process_open_fds");
  shown(process.resident_bytes, "process_resident_memory_bytes");
  shown(process.log_lines_dropped, "sluice_log_lines_dropped_total");
  shown(process.log_write_errors, "sluice_log_write_errors_total");
  shown(process.admin_drops, "sluice_admin_connections_dropped_total");
  shown(process.taps, "sluice_taps");
  shown(process.config_generation, "sluice_config_generation");
  shown(process.reloads_ok, "sluice_config_reloads_total{result=ok}");
  shown(process.reloads_failed, "sluice_config_reloads_total{result=failed}");
  expect_whole(process, "ProcessFacts");
}

// What all workers write together. It holds more than is shown, so it is not named to its end.
void MetricsMembers::fill(UpstreamBoard& board) {
  const std::string label = "{upstream=http://u}";
  for (uint64_t left = number("sluice_upstream_outstanding" + label); left > 0; --left)
    board.attempt_begun(/*worker=*/1, /*id=*/0);
  board.places(0).waiting = number("sluice_upstream_pending" + label);
  UpstreamHealth& health = board.health(0);
  health.drained = true;
  expected_["sluice_upstream_state{upstream=http://u,state=drained}"] = 1;
  const std::vector<std::string> reasons = {"connect", "tls", "timeout", "broken", "status"};
  ASSERT_EQ(reasons.size(), kEjectReasons);
  for (size_t i = 0; i < reasons.size(); ++i) {
    const std::string upstream = "{upstream=http://u,";
    health.ejections[i] =
        number("sluice_upstream_ejections_total" + upstream + "reason=" + reasons[i] + "}");
    health.probes.failed[i] =
        number("sluice_health_probes_total" + upstream + "result=" + reasons[i] + "}");
  }
  health.probes.passed = number("sluice_health_probes_total{upstream=http://u,result=passed}");
  health.probes.times_unhealthy = number("sluice_upstream_unhealthy_total" + label);
}

TEST_F(MetricsMembers, AreEachShownUnderTheirOwnName) {
  Config config;
  config.routes.resize(1);
  config.routes[0].path = "/";
  config.routes[0].settings.health = "/up";
  config.routes[0].upstreams = {{.url = "http://u", .host = {}, .address = {}}};
  config.filters.resize(1);
  config.filters[0].name = "f";
  TlsKeyPair& pair = config.tls_keys.emplace_back();
  pair.cert = "c";
  pair.expires_s =
      static_cast<int64_t>(number("sluice_tls_certificate_expires_seconds{certificate=c}"));
  pair.ocsp_expires_s =
      static_cast<int64_t>(number("sluice_tls_ocsp_expires_seconds{certificate=c}"));
  expected_["sluice_tls_certificate_days_left{certificate=c}"] = 0;  // since 1970
  ConfigSnapshot snapshot(config);
  ProcessFacts process;
  std::vector<WorkerSnapshot> workers(2);  // the first one has nothing to tell
  fill(snapshot.board());
  fill(process);
  fill(workers[1]);
  const std::string text = render_metrics(snapshot, workers, process, MetricsFormat::kPrometheus);

  ScrapedPage page = read_page(text);
  std::map<std::string, double> samples;
  for (const auto& [quoted, value] : page.samples) {
    std::string sample = quoted;
    std::erase(sample, '"');
    samples[sample] = value;
    bool is_bucket = sample.find("_bucket{") != sample.npos;
    EXPECT_TRUE(value == 0 || is_bucket || expected_.contains(sample))
        << sample << " is named by no member here";
  }
  std::set<std::string> names;
  for (const auto& [sample, value] : expected_) {
    auto found = samples.find(sample);
    ASSERT_NE(found, samples.end()) << sample;
    EXPECT_DOUBLE_EQ(found->second, value) << sample;
    names.insert(sample.substr(0, sample.find('{')));
  }
  for (const auto& [family, type] : page.types)
    EXPECT_TRUE(names.contains(type == "histogram" ? family + "_count" : family))
        << family << " has no sample that a member sets";
}

}  // namespace
}  // namespace sluice

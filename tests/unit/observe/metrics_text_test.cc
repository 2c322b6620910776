#include "net/observe/metrics_text.h"

#include <cmath>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/observe/scraped_page.h"

namespace sluice {
namespace {

class MetricsText : public testing::TestWithParam<MetricsFormat> {
 protected:
  MetricsText() {
    config_.routes.resize(2);
    config_.routes[0].path = "/v1";
    config_.routes[1].path = "/";
    for (int i = 0; i < 2; ++i) {
      WorkerSnapshot& worker = workers_.emplace_back();
      worker.metrics.routes.resize(2);
      for (const char* name : {"sse_event", "http_message"}) {
        PoolSnapshot& pool = worker.pools.emplace_back();
        pool.name = name;
      }
    }
  }

  std::string text() const {
    return render_metrics(ConfigSnapshot(config_), workers_, process_, GetParam());
  }
  ScrapedPage page() const { return read_page(text()); }

  Config config_;
  std::vector<WorkerSnapshot> workers_;
  ProcessFacts process_;
};

INSTANTIATE_TEST_SUITE_P(Format, MetricsText,
                         testing::Values(MetricsFormat::kPrometheus, MetricsFormat::kOpenMetrics),
                         [](const auto& format) {
                           return format.param == MetricsFormat::kPrometheus ? "Prometheus"
                                                                             : "OpenMetrics";
                         });

TEST_P(MetricsText, IsWellFormed) {
  ScrapedPage page = this->page();
  bool open_metrics = GetParam() == MetricsFormat::kOpenMetrics;
  EXPECT_EQ(page.last_line == "# EOF", open_metrics);
  EXPECT_EQ(page.helps.size(), page.types.size());
  for (const auto& [family, type] : page.types) {
    EXPECT_TRUE(family.starts_with("sluice_") || family.starts_with("process_")) << family;
    EXPECT_TRUE(type == "counter" || type == "gauge" || type == "histogram") << type;
    // The suffix belongs to the samples of counters; OpenMetrics leaves it out of the family.
    EXPECT_EQ(family.ends_with("_total"), type == "counter" && !open_metrics) << family;
  }
  for (const auto& [sample, value] : page.samples) {
    std::string name = sample.substr(0, sample.find('{'));
    std::string family =
        open_metrics && name.ends_with("_total") ? name.substr(0, name.size() - 6) : name;
    auto type = page.types.find(family);
    EXPECT_TRUE(type == page.types.end() || name.ends_with("_total") == (type->second == "counter"))
        << sample;
    EXPECT_GE(value, 0) << sample;
  }
}

TEST_P(MetricsText, IsAllZeroWhereNothingHasHappened) {
  for (const auto& [sample, value] : page().samples) {
    bool of_nothing = sample.starts_with("sluice_build_info") ||
                      sample.starts_with("sluice_config_generation") ||
                      sample.find("reuse_rate") != sample.npos;
    EXPECT_EQ(value, of_nothing ? 1 : 0) << sample;
  }
}

TEST_P(MetricsText, AddsUpTheWorkers) {
  workers_[0].metrics.events = 40;
  workers_[1].metrics.events = 2;
  workers_[0].streams = 3;
  workers_[1].streams = 4;
  workers_[0].metrics.stall_ns = 1'500'000'000;
  workers_[1].metrics.stall_ns = 500'000'000;
  workers_[1].metrics.endings[static_cast<unsigned>(Ending::kUpstreamReset)] = 5;
  workers_[0].metrics.upstream_cancels[static_cast<unsigned>(Phase::kStreaming)] = 6;
  workers_[0].metrics.bad_requests[static_cast<unsigned>(ParseError::kBadHost)] = 7;
  workers_[0].metrics.refusals[static_cast<unsigned>(Refusal::kNoRoute)] = 8;
  workers_[1].metrics.bad_responses[static_cast<unsigned>(ParseError::kBadStatus)] = 9;
  ScrapedPage page = this->page();
  EXPECT_EQ(page["sluice_events_total"], 42);
  EXPECT_EQ(page["sluice_active_streams"], 7);
  EXPECT_EQ(page["sluice_backpressure_stall_seconds_total"], 2);
  EXPECT_EQ(page["sluice_closes_total{side=\"upstream\",reason=\"upstream_reset\"}"], 5);
  EXPECT_EQ(page["sluice_upstream_cancels_total{phase=\"streaming\"}"], 6);
  std::string bad_host = parse_error_name(ParseError::kBadHost);
  EXPECT_EQ(page["sluice_bad_requests_total{reason=\"" + bad_host + "\"}"], 7);
  EXPECT_EQ(page["sluice_bad_requests_total{reason=\"no_route\"}"], 8);
  std::string bad_status = parse_error_name(ParseError::kBadStatus);
  EXPECT_EQ(page["sluice_bad_responses_total{reason=\"" + bad_status + "\"}"], 9);
}

TEST_P(MetricsText, CountsRequestsByRouteAndStatus) {
  workers_[0].metrics.routes[0].by_status = {{404, 1}, {200, 1}};
  workers_[1].metrics.routes[0].by_status = {{200, 2}};
  workers_[0].metrics.routes[1].by_status = {{504, 4}};
  workers_[0].metrics.routes[1].unanswered = 5;
  workers_[0].metrics.no_route.by_status = {{404, 6}};
  ScrapedPage page = this->page();
  EXPECT_EQ(page["sluice_requests_total{route=\"/v1\",code=\"200\"}"], 3);
  EXPECT_EQ(page["sluice_requests_total{route=\"/\",code=\"504\"}"], 4);
  EXPECT_EQ(page["sluice_requests_total{route=\"/\",code=\"0\"}"], 5);
  EXPECT_EQ(page["sluice_requests_total{route=\"none\",code=\"404\"}"], 6);
  EXPECT_FALSE(page.samples.contains("sluice_requests_total{route=\"/v1\",code=\"502\"}"))
      << "what has not occurred is left out";
}

TEST_P(MetricsText, EscapesLabels) {
  config_.routes[0].path = "/a\"b\\c\nd";
  workers_[0].metrics.routes[0].by_status = {{200, 1}};
  EXPECT_EQ(page()["sluice_requests_total{route=\"/a\\\"b\\\\c\\nd\",code=\"200\"}"], 1);
}

TEST_P(MetricsText, HistogramsAreCumulative) {
  Histogram& one = workers_[0].metrics.residence;
  one.add(1'000);              // 1 us
  one.add(3'000);              // 4 us
  one.add(uint64_t{1} << 50);  // beyond the last bound
  workers_[1].metrics.residence.add(3'500, 2);
  ScrapedPage page = this->page();
  const std::string name = "sluice_residence_seconds";
  EXPECT_EQ(page.types[name], "histogram");
  EXPECT_EQ(page[name + "_bucket{le=\"1e-06\"}"], 1);
  EXPECT_EQ(page[name + "_bucket{le=\"2e-06\"}"], 1);
  EXPECT_EQ(page[name + "_bucket{le=\"4e-06\"}"], 4);
  EXPECT_EQ(page[name + "_bucket{le=\"268.435456\"}"], 4);
  EXPECT_EQ(page[name + "_bucket{le=\"+Inf\"}"], 5);
  EXPECT_EQ(page[name + "_count"], 5);
  EXPECT_NEAR(page[name + "_sum"], std::ldexp(1.0, 50) / 1e9 + 11e-6, 1e-6);
  unsigned buckets = 0;
  double previous_bound = 0;
  double previous = 0;
  for (const std::string& sample : page.order) {
    if (!sample.starts_with(name + "_bucket")) continue;
    ++buckets;
    double bound = std::stod(sample.substr(sample.find('"') + 1));
    EXPECT_GT(bound, previous_bound) << sample;
    EXPECT_GE(page[sample], previous) << sample;
    previous_bound = bound;
    previous = page[sample];
  }
  EXPECT_EQ(buckets, Histogram::kBuckets);
  EXPECT_EQ(page["sluice_event_gap_seconds_count"], 0);
}

TEST_P(MetricsText, PoolsAndRingsAreToldApartByWorker) {
  PoolSnapshot& pool = workers_[1].pools[0];
  pool.slots = 1000;
  pool.provided = 400;
  pool.free = 500;
  pool.leased = 100;
  pool.counters = {.allocations = 25, .reuses = 75, .discards = 3, .waits = 4};
  workers_[0].ring.enters = 17;
  workers_[1].loop.stale_completions = 1;
  ScrapedPage page = this->page();
  const std::string labels = "{pool=\"sse_event\",worker=\"1\"}";
  EXPECT_EQ(page["sluice_buffer_pool_current_size" + labels], 1000);
  EXPECT_EQ(page["sluice_buffer_pool_leases" + labels], 100);
  EXPECT_EQ(page["sluice_buffer_pool_discards_total" + labels], 3);
  EXPECT_EQ(page["sluice_buffer_pool_waits_total" + labels], 4);
  EXPECT_DOUBLE_EQ(page["sluice_buffer_pool_reuse_rate" + labels], 0.75);
  EXPECT_EQ(page["sluice_buffer_pool_reuse_rate{pool=\"http_message\",worker=\"0\"}"], 1)
      << "nothing was leased";
  EXPECT_EQ(page["sluice_ring_enters_total{worker=\"0\"}"], 17);
  EXPECT_EQ(page["sluice_ring_stale_completions_total{worker=\"1\"}"], 1);
}

TEST_P(MetricsText, TellsOfTheProcess) {
  process_ = {.version = "1.2.3",
              .uptime_seconds = 2.5,
              .open_fds = 12,
              .resident_bytes = 4096,
              .log_lines_dropped = 6,
              .log_write_errors = 7,
              .admin_drops = 8,
              .taps = 3,
              .draining = true};
  ScrapedPage page = this->page();
  EXPECT_EQ(page["sluice_build_info{version=\"1.2.3\"}"], 1);
  EXPECT_EQ(page["sluice_uptime_seconds"], 2.5);
  EXPECT_EQ(page["process_open_fds"], 12);
  EXPECT_EQ(page["process_resident_memory_bytes"], 4096);
  EXPECT_EQ(page["sluice_log_lines_dropped_total"], 6);
  EXPECT_EQ(page["sluice_log_write_errors_total"], 7);
  EXPECT_EQ(page["sluice_admin_connections_dropped_total"], 8);
  EXPECT_EQ(page["sluice_taps"], 3);
  EXPECT_EQ(page["sluice_draining"], 1);
}

TEST(MetricsContentType, NamesTheFormat) {
  EXPECT_EQ(metrics_content_type(MetricsFormat::kPrometheus),
            "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_EQ(metrics_content_type(MetricsFormat::kOpenMetrics),
            "application/openmetrics-text; version=1.0.0; charset=utf-8");
}

TEST_P(MetricsText, ShowsTheHealthOfUpstreams) {
  config_.routes[0].upstreams = {{.url = "http://a", .host = {}, .address = {}},
                                 {.url = "http://b", .host = {}, .address = {}}};
  ConfigSnapshot snapshot(config_);
  UpstreamHealth& health = snapshot.board().health(1);
  health.ejections[static_cast<unsigned>(EjectReason::kTimeout)] = 3;
  health.ejected_until_ms = 1000;
  snapshot.board().attempt_begun(4, 0);
  snapshot.board().places(1).waiting = 3;
  process_.now_ms = 999;
  ScrapedPage page = read_page(render_metrics(snapshot, workers_, process_, GetParam()));
  EXPECT_EQ(page["sluice_upstream_outstanding{upstream=\"http://a\"}"], 1);
  EXPECT_EQ(page["sluice_upstream_outstanding{upstream=\"http://b\"}"], 0);
  EXPECT_EQ(page["sluice_upstream_pending{upstream=\"http://a\"}"], 0);
  EXPECT_EQ(page["sluice_upstream_pending{upstream=\"http://b\"}"], 3);
  EXPECT_EQ(page["sluice_upstream_state{upstream=\"http://a\",state=\"closed\"}"], 1);
  EXPECT_EQ(page["sluice_upstream_state{upstream=\"http://b\",state=\"closed\"}"], 0);
  EXPECT_EQ(page["sluice_upstream_state{upstream=\"http://b\",state=\"open\"}"], 1);
  EXPECT_EQ(page["sluice_upstream_ejections_total{upstream=\"http://b\",reason=\"timeout\"}"], 3);
  EXPECT_EQ(page["sluice_upstream_ejections_total{upstream=\"http://a\",reason=\"timeout\"}"], 0);
  process_.now_ms = 1000;
  page = read_page(render_metrics(snapshot, workers_, process_, GetParam()));
  EXPECT_EQ(page["sluice_upstream_state{upstream=\"http://b\",state=\"half_open\"}"], 1);
}

TEST_P(MetricsText, ShowsTheProbesOfUpstreamsThatAreAsked) {
  Route asked = config_.routes[0];
  asked.path = "/asked";
  asked.settings.health = "/up";
  asked.upstreams = {{.url = "http://b", .host = {}, .address = {}}};
  config_.routes[0].upstreams = {{.url = "http://a", .host = {}, .address = {}}};
  config_.routes.push_back(asked);
  ConfigSnapshot snapshot(config_);
  UpstreamHealth& health = snapshot.board().health(*snapshot.find_upstream("http://b"));
  health.probes.passed = 5;
  health.probes.failed[static_cast<unsigned>(EjectReason::kTimeout)] = 3;
  health.set_unhealthy(1);
  ScrapedPage page = read_page(render_metrics(snapshot, workers_, process_, GetParam()));
  EXPECT_EQ(page["sluice_health_probes_total{upstream=\"http://b\",result=\"passed\"}"], 5);
  EXPECT_EQ(page["sluice_health_probes_total{upstream=\"http://b\",result=\"timeout\"}"], 3);
  EXPECT_EQ(page["sluice_upstream_unhealthy_total{upstream=\"http://b\"}"], 1);
  EXPECT_EQ(page["sluice_upstream_state{upstream=\"http://b\",state=\"unhealthy\"}"], 1);
  EXPECT_FALSE(page.samples.contains("sluice_upstream_unhealthy_total{upstream=\"http://a\"}"));
}

TEST_P(MetricsText, ShowsLeanRecords) {
  workers_[0].metrics.tls.records.connections = 2;
  workers_[1].metrics.tls.records.connections = 3;
  RecordCounters& records = workers_[1].metrics.tls.records;
  records.sealed = {7, 2, 1};
  records.opened = {4, 5, 6};
  records.key_updates_sent = 8;
  records.key_updates_received = 9;
  records.errors[static_cast<unsigned>(RecordError::kBadRecordMac)] = 10;
  ScrapedPage page = this->page();
  EXPECT_EQ(page["sluice_tls_lean_connections_total"], 5);
  EXPECT_EQ(page["sluice_tls_records_total{direction=\"sealed\",kind=\"data\"}"], 7);
  EXPECT_EQ(page["sluice_tls_records_total{direction=\"sealed\",kind=\"alert\"}"], 1);
  EXPECT_EQ(page["sluice_tls_records_total{direction=\"opened\",kind=\"handshake\"}"], 5);
  EXPECT_EQ(page["sluice_tls_key_updates_total{direction=\"sent\"}"], 8);
  EXPECT_EQ(page["sluice_tls_key_updates_total{direction=\"received\"}"], 9);
  EXPECT_EQ(page["sluice_tls_record_errors_total{alert=\"bad_record_mac\"}"], 10);
  EXPECT_EQ(page["sluice_tls_record_errors_total{alert=\"by_peer\"}"], 0);
}

}  // namespace
}  // namespace sluice

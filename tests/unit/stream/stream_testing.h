// What tests of a stream share: a stream whose client and upstream are the test itself, through
// the two interfaces that it knows them by. The gateway around it is real, and so is the loop.
#pragma once

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/filter/filters.h"
#include "net/http1/writer.h"
#include "net/stream/stream.h"
#include "tests/unit/gateway/gateway_testing.h"
#include "tests/unit/http1/http1_testing.h"
#include "tests/unit/stream/outbox_testing.h"

namespace sluice::test {

struct FakeClient final : ClientHalf {
  void response_ready() override { ++ready; }
  void request_window_opened() override { ++window_opened; }
  void response_aborted() override { ++aborted; }
  void drop() override { ++dropped; }
  std::string client_ip() override { return "192.0.2.1"; }
  bool client_secured() const override { return false; }
  bool client_trusted() override { return false; }
  const ResponseWriter& writer() const override { return http1_response_writer(http10 ? 0 : 1); }
  std::string_view protocol() const override { return http10 ? "HTTP/1.0" : "HTTP/1.1"; }

  bool http10 = false;  // what the request came in

  int ready = 0;
  int window_opened = 0;
  int aborted = 0;
  int dropped = 0;
};

struct FakeUpstream final : UpstreamHalf {
  void request_ready() override { ++ready; }
  void read_on() override { ++reads; }
  void cancel() override { ++cancels; }
  bool receiving() const override { return listening; }

  int ready = 0;
  int reads = 0;
  int cancels = 0;
  bool listening = true;
};

inline constexpr std::string_view kEventsRequest =
    "GET /events HTTP/1.1\r\nhost: test\r\naccept: text/event-stream\r\n\r\n";
inline constexpr std::string_view kEventsResponse =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";

// A complete event of so many bytes.
inline std::string event_of(size_t size) {
  return "data: " + std::string(size - 8, 'x') + "\n\n";
}

class StreamRig {
 public:
  // No time-out and no heartbeat but those that the test names.
  static StreamSettings quiet() {
    StreamSettings settings;
    settings.heartbeat_ms = 0;
    settings.connect_timeout_ms = 0;
    settings.first_byte_timeout_ms = 0;
    settings.stream_idle_timeout_ms = 0;
    return settings;
  }

  explicit StreamRig(const StreamSettings& settings = quiet(), const std::string& path = "/",
                     std::vector<FilterRule> filters = {})
      : gateway_rig_(config_of(upstreams_.port(), settings, path, std::move(filters))) {
    occupy_the_only_connection();
    begin_stream();
  }
  ~StreamRig() {
    finish();
    let_go(*occupant_, occupant_live_);
  }
  StreamRig(const StreamRig&) = delete;
  StreamRig& operator=(const StreamRig&) = delete;

  Stream& stream() { return *stream_; }
  Metrics& metrics() { return gateway().metrics(); }
  Gateway& gateway() { return gateway_rig_.gateway; }
  GatewayRig& rig() { return gateway_rig_; }
  void pass(uint64_t ms) { gateway_rig_.pass(ms); }
  uint64_t refusals(Refusal refusal) { return metrics().refusals[static_cast<unsigned>(refusal)]; }
  uint64_t endings(Ending ending) { return metrics().endings[static_cast<unsigned>(ending)]; }
  uint64_t cancels(Phase phase) { return metrics().upstream_cancels[static_cast<unsigned>(phase)]; }

  // --- the client ---

  // The stream waits for an upstream then, if it was not refused.
  void request_head(std::string_view text) {
    auto head = std::make_unique<Head>();
    sluice::test::parse_head(sluice::test::Role::kRequest, text, *head);
    client.http10 = head->version_minor() == 0;
    stream_->on_request_head(std::move(head), true);
  }
  void request(std::string_view text) {
    request_head(text);
    stream_->on_request_end();
  }
  void request_body(std::string_view bytes) {
    Lease lease = slot_with(bytes);
    stream_->on_request_body(lease, {lease.data(), bytes.size()});
  }

  // Everything that may leave does: as it is on the wire.
  std::string send() {
    std::string wire;
    for (std::string batch = batch_of(stream_->response()); !batch.empty();
         batch = batch_of(stream_->response())) {
      wire += batch;
      stream_->on_client_sent(stream_->response().sent(batch.size()));
    }
    return wire;
  }
  // The same of a chunked body: the content of each chunk.
  std::vector<std::string> send_chunks() {
    std::vector<std::string> chunks;
    std::string wire = send();
    for (std::string_view rest = wire; !rest.empty();) {
      size_t size = 0;
      auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), size, 16);
      auto begin = static_cast<size_t>(end - rest.data()) + 2;
      if (error != std::errc{} || rest.size() < begin + size + 2) {
        ADD_FAILURE() << "no chunk: " << rest;
        break;
      }
      chunks.emplace_back(rest.substr(begin, size));
      rest.remove_prefix(begin + size + 2);
    }
    return chunks;
  }
  // The client's half has sent the whole response, and lets go.
  void client_done() {
    stream_->on_client_done();
    release_client();
  }
  void client_gone(Ending ending = Ending::kClientLeft) { stream_->on_client_gone(ending); }
  void release_client() {
    client_holds_ = false;
    stream_->client_released();
  }

  // --- the upstream ---

  bool queued() const { return stream_->waits_for_connection(); }
  // The turn of the stream has come: it gets this upstream.
  void give_upstream(bool reused = false) {
    ASSERT_TRUE(queued());
    gateway().upstreams().forget(*stream_);
    upstream_holds_ = true;
    stream_->on_upstream(upstream, reused);
  }
  void connect() {
    give_upstream();
    stream_->on_upstream_connected();
  }
  // The request as the upstream receives it.
  std::string take_request() {
    std::string wire;
    while (stream_->request_has_work()) {
      std::string batch = batch_of(*stream_->request());
      wire += batch;
      stream_->on_request_sent(stream_->request()->sent(batch.size()));
    }
    return wire;
  }
  void respond(std::string_view text) {
    Head head;
    sluice::test::parse_head(sluice::test::Role::kResponse, text, head, stream_->method_is_head());
    stream_->on_response_begun();
    stream_->on_response_head(head);
  }
  void body(std::string_view bytes) {
    while (!bytes.empty()) {
      std::string_view piece = bytes.substr(0, gateway_rig_.sse_event.slot_bytes());
      Lease lease = slot_with(piece);
      stream_->on_response_body(lease, {lease.data(), piece.size()});
      bytes.remove_prefix(piece.size());
    }
  }
  void release_upstream() {
    upstream_holds_ = false;
    stream_->upstream_released();
  }

  // Up to the events: the head has left.
  void open_event_stream() {
    request(kEventsRequest);
    connect();
    respond(kEventsResponse);
    send();
  }

  // The stream is at its end, and another begins.
  void next_stream(uint64_t id = 2) {
    finish();
    upstream = {};
    client = {};
    begin_stream(id);
  }
  // It has ended and both halves have let go of it, so that the gateway deletes it.
  bool buried() const { return stream_live_.empty(); }

  FakeClient client;
  FakeUpstream upstream;

 private:
  static Config config_of(uint16_t port, const StreamSettings& settings, const std::string& path,
                          std::vector<FilterRule> filters) {
    Config config = config_to(port);
    config.routes[0].path = path;
    config.routes[0].settings = settings;
    config.routes[0].settings.upstream_max_connections = 1;
    config.filters = std::move(filters);
    std::vector<const FilterRule*> all;
    for (const FilterRule& rule : config.filters) all.push_back(&rule);
    std::string wrong;
    if (!all.empty())
      config.routes[0].filters = std::make_shared<Filters>(config.filters, all, 1, wrong);
    EXPECT_EQ(wrong, "");
    return config;
  }

  // So that streams wait for an upstream, and the test can give them its own. The response has
  // ended as far as this stream knows: it has no time-out then, and its connection stays.
  void occupy_the_only_connection() {
    occupant_ = new Stream(gateway().streams(), occupant_client_, 1);
    occupant_live_.push_front(*occupant_);
    auto head = std::make_unique<Head>();
    std::string target =
        "GET " + gateway_rig_.config.routes[0].path + " HTTP/1.1\r\nhost: a\r\n\r\n";
    sluice::test::parse_head(sluice::test::Role::kRequest, target, *head);
    occupant_->on_request_head(std::move(head), true);
    gateway_rig_.turn_until_true([this] { return occupant_->phase() == Phase::kAwaitingHead; });
    occupant_->on_response_end();
  }
  void begin_stream(uint64_t id = 2) {
    stream_ = new Stream(gateway().streams(), client, id);
    stream_live_.push_front(*stream_);
    client_holds_ = true;
  }
  // As the gateway keeps its streams, in a list of one.
  using LiveStreams = IntrusiveList<Stream, &Stream::in_live>;
  void finish() {
    if (buried()) return;
    stream_->on_client_gone(Ending::kClientLeft);
    if (upstream_holds_) release_upstream();
    if (client_holds_) release_client();
    EXPECT_TRUE(buried());
  }
  void let_go(Stream& stream, const LiveStreams& list) {
    stream.on_client_gone(Ending::kClientLeft);
    stream.client_released();
    gateway_rig_.turn_until_true([&list] { return list.empty(); });
  }
  Lease slot_with(std::string_view bytes) {
    Lease lease = gateway_rig_.sse_event.take();
    EXPECT_LE(bytes.size(), lease.size());
    std::copy(bytes.begin(), bytes.end(), lease.data());
    return lease;
  }

  Upstreams upstreams_;
  GatewayRig gateway_rig_;
  FakeClient occupant_client_;
  Stream* occupant_ = nullptr;
  LiveStreams occupant_live_;
  Stream* stream_ = nullptr;  // the gateway deletes it, once it is buried
  LiveStreams stream_live_;
  bool client_holds_ = false;
  bool upstream_holds_ = false;
};

}  // namespace sluice::test

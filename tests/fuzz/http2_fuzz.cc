// An HTTP/2 client that sends any frames in any order, and upstreams that send any bytes, through a
// whole gateway on the fake kernel. The client is sent whole frames of types that a server sends,
// and no bytes beyond its windows; upstreams are sent well-formed requests, whatever the fields
// were; and nothing is left in the end. The input is a list of operations, a byte or some each.
#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/fuzz/fuzz_input.h"
#include "tests/sim/checked_gateway.h"
#include "tests/sim/http.h"
#include "tests/unit/http2/frames_testing.h"

namespace sluice::sim {
namespace {

constexpr uint64_t kLatencyNs = 100 * kMicrosecond;
constexpr size_t kCapacity = 256 * 1024;
constexpr int64_t kWindow = 65535;

// Reads frames, and keeps the count of what it has allowed.
class Http2Peer final : public Peer {
 public:
  explicit Http2Peer(World& world)
      : connection_(std::make_shared<Connection>(world, kLatencyNs, kCapacity)) {
    connection_->peer = this;
  }

  const std::shared_ptr<Connection>& connection() const { return connection_; }
  void send(std::string_view bytes) { connection_->write(std::string(bytes)); }
  void open_window(uint32_t id, uint32_t bytes) {
    if (id == 0)
      window_ += bytes;
    else
      windows_.try_emplace(id, kWindow).first->second += bytes;
  }
  // Its own windows are no longer known: it has sent something that no client may.
  void trust_no_windows() { counts_ = false; }

  void on_change() override {
    bytes_ += connection_->read(SIZE_MAX);
    for (const test::SeenFrame& seen : test::take_frames(bytes_)) check(seen);
    if (bytes_.size() > 9 + kFrameBytesMax) violation("a client was sent a frame too large");
    if (connection_->finished_at_peer() || connection_->reset_at_peer())
      connection_->close_peer_end();
  }

 private:
  static constexpr size_t kFrameBytesMax = 16'384;

  void check(const test::SeenFrame& seen) {
    constexpr std::array<uint8_t, 7> kAllowed = {0, 1, 3, 4, 6, 7, 8};
    if (std::ranges::find(kAllowed, seen.type) == kAllowed.end() && seen.type != 9)
      violation("a client was sent a frame of type " + std::to_string(seen.type));
    if (seen.payload.size() > kFrameBytesMax) violation("a client was sent a frame too large");
    if (seen.type > 1) return;
    if (ended_[seen.id]) violation("a client was sent more of a stream that had ended");
    if (seen.type == 0 && counts_) {
      window_ -= static_cast<int64_t>(seen.payload.size());
      int64_t& left = windows_.try_emplace(seen.id, kWindow).first->second;
      left -= static_cast<int64_t>(seen.payload.size());
      if (window_ < 0 || left < 0) violation("a client was sent more than its window allows");
    }
    ended_[seen.id] = (seen.flags & 1) != 0;
  }

  std::shared_ptr<Connection> connection_;
  std::string bytes_;
  int64_t window_ = kWindow;
  std::map<uint32_t, int64_t> windows_;
  std::map<uint32_t, bool> ended_;
  bool counts_ = true;
};

// Reads requests, each well formed.
class StrictUpstream final : public Peer {
 public:
  explicit StrictUpstream(World& world)
      : connection_(std::make_shared<Connection>(world, kLatencyNs, kCapacity)), reader_(false) {
    connection_->peer = this;
    reader_.begin(false);
  }

  const std::shared_ptr<Connection>& connection() const { return connection_; }

  void on_change() override {
    std::string bytes = connection_->read(SIZE_MAX);
    for (std::string_view left = bytes; !left.empty();) {
      left.remove_prefix(reader_.feed(left, [](std::string_view) {}));
      if (reader_.state() == MessageReader::State::kBroken)
        violation("an upstream was sent " + reader_.what_is_wrong());
      if (reader_.state() == MessageReader::State::kComplete) reader_.begin(false);
    }
    if (connection_->finished_at_peer() || connection_->reset_at_peer())
      connection_->close_peer_end();
  }

 private:
  std::shared_ptr<Connection> connection_;
  MessageReader reader_;
};

Config to_one_upstream() {
  std::string error;
  Address address = *parse_address("127.0.0.1:9000", &error);
  Config config;
  config.listen.push_back(*parse_address("127.0.0.1:8080", &error));
  config.http2_max_streams = 8;
  config.pool_sse_event = {1024, 32};
  config.pool_http_message = {4096, 16};
  config.routes.push_back({.path = "/",
                           .upstreams = {{"http://" + address.text(), address.text(), address}},
                           .settings = {}});
  return config;
}

constexpr std::array<std::string_view, 10> kAnswers = {
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
    "9\r\ndata: x\n\n\r\n",
    "b\r\nid: 1\ndata: \r\n2\r\n\n\n\r\n",
    "0\r\n\r\n",
    "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\n",
    "HTTP/1.1 204 No Content\r\n\r\n",
    "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\n",
    "HTTP/1.1 200 OK\r\n\r\nuntil the end",
};

std::string number(uint32_t value) {
  std::string out;
  for (int shift : {24, 16, 8, 0}) out += static_cast<char>(value >> shift);
  return out;
}

class Run {
 public:
  explicit Run(test::FuzzInput& input) : input_(input) {}

  void run() {
    const uint8_t options = input_.byte();
    World world(options, false);
    Liberties liberties;
    if ((options & 1) != 0) liberties.short_receive = liberties.short_send = 0.5;
    Kernel kernel(world, liberties);
    Features features;
    features.multishot_recv = features.recv_budget = (options & 2) != 0;
    CheckedGateway gateway(world, kernel, to_one_upstream(), features, 100, uint64_t{1} << 20);
    std::vector<std::unique_ptr<StrictUpstream>> upstreams;
    kernel.on_connect = [&](uint16_t) {
      upstreams.push_back(std::make_unique<StrictUpstream>(world));
      return Kernel::Answer{upstreams.back()->connection(), false};
    };
    Http2Peer client(world);
    kernel.connect_client(gateway.listener(), client.connection());
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + test::frame(4, 0, 0, ""));
    for (unsigned operations = 0; operations < 200 && !input_.rest().empty(); ++operations) {
      const uint8_t operation = input_.byte();
      if (operation % 16 == 15 && !upstreams.empty())
        upstreams[input_.byte() % upstreams.size()]->connection()->close_peer_end();
      else if (operation % 16 >= 10 && !upstreams.empty())
        answer(*upstreams[input_.byte() % upstreams.size()]);
      else
        send(client, operation);
      for (unsigned i = 0; i < (operation >> 4U) % 8; ++i) {
        world.after(kLatencyNs, [] {});
        gateway.turn();
      }
    }
    if ((options & 4) != 0) gateway.drain();
    if ((options & 8) != 0) client.connection()->close_peer_end();
    gateway.run_until_idle(4);
    gateway.stop();
  }

 private:
  uint32_t some_stream() { return (input_.byte() % 16U) * 2 + 1; }

  void answer(StrictUpstream& upstream) {
    const uint8_t which = input_.byte();
    if (which < 200)
      upstream.connection()->write(std::string(kAnswers[which % kAnswers.size()]));
    else if (which < 240)
      upstream.connection()->write(std::string(size_t{which} * 64, 'x'));
    else
      upstream.connection()->write(std::string(input_.take(input_.byte())));
  }

  void send(Http2Peer& client, uint8_t operation) {
    switch (operation % 16) {
      case 0:
      case 1: {
        const uint8_t flags = input_.byte();
        test::HeadFields fields;
        if ((flags & 2) != 0)
          fields.emplace_back(std::string(input_.take(input_.byte() % 16)),
                              std::string(input_.take(input_.byte() % 64)));
        std::string path = (flags & 4) != 0 ? std::string(input_.take(input_.byte() % 64)) : "/";
        std::string head = test::request_frame(next_id_, path, fields);
        if ((flags & 1) != 0) head[4] = 4;  // a body follows
        next_id_ += 2;
        client.send(head);
        break;
      }
      case 2:
        client.send(test::frame(0, input_.byte() & 1, some_stream(), input_.take(input_.byte())));
        break;
      case 3:
        client.send(test::frame(3, 0, some_stream(), number(input_.byte() % 16U)));
        break;
      case 4:
      case 5: {
        const uint32_t id = (input_.byte() & 1) != 0 ? 0 : some_stream();
        const uint32_t bytes = input_.byte() * 64U + 1;
        client.open_window(id, bytes);
        client.send(test::frame(8, 0, id, number(bytes)));
        break;
      }
      case 6:
        client.send(test::frame(6, input_.byte() & 1, 0, "12345678"));
        break;
      case 7:
        // A smaller window may come behind bytes of the larger one.
        client.trust_no_windows();
        client.send(test::frame(4, input_.byte() & 1, 0, input_.take(input_.byte() % 4 * 6)));
        break;
      case 8:
        client.trust_no_windows();
        client.send(test::frame(input_.byte(), input_.byte(), some_stream() - (operation >> 7U),
                                input_.take(input_.byte())));
        break;
      default:
        client.trust_no_windows();
        client.send(input_.take(input_.byte()));
    }
  }

  test::FuzzInput& input_;
  uint32_t next_id_ = 1;
};

}  // namespace
}  // namespace sluice::sim

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  sluice::test::FuzzInput input(data, size);
  sluice::sim::Run(input).run();
  return 0;
}

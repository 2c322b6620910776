// Any bytes from a client and any bytes from an upstream, through a whole gateway on the fake
// kernel: whatever either sends, the other is sent well-formed messages only, and nothing of it is
// left in the end. The input is a list of pieces: who sends, how many bytes, the bytes.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/fuzz/fuzz_input.h"
#include "tests/sim/checked_gateway.h"
#include "tests/sim/http.h"

namespace sluice::sim {
namespace {

constexpr uint64_t kLatencyNs = 100 * kMicrosecond;
constexpr size_t kCapacity = 256 * 1024;

// Reads messages, each well formed; what comes after the last may be cut.
class StrictPeer final : public Peer {
 public:
  StrictPeer(World& world, bool reads_responses)
      : connection_(std::make_shared<Connection>(world, kLatencyNs, kCapacity)),
        reader_(reads_responses) {
    connection_->peer = this;
    reader_.begin(false);
  }

  const std::shared_ptr<Connection>& connection() const { return connection_; }
  // A client's requests decide whether its responses have bodies, which only the gateway knows
  // where the requests are garbage: then the responses are left unread.
  void read_nothing() { reads_ = false; }

  void on_change() override {
    std::string bytes = connection_->read(SIZE_MAX);
    std::string_view left = bytes;
    while (reads_ && !left.empty()) {
      left.remove_prefix(reader_.feed(left, [](std::string_view) {}));
      if (reader_.state() == MessageReader::State::kBroken)
        violation("somebody was sent " + reader_.what_is_wrong());
      if (reader_.state() == MessageReader::State::kComplete) reader_.begin(false);
    }
    if (connection_->finished_at_peer() || connection_->reset_at_peer())
      connection_->close_peer_end();
  }

 private:
  std::shared_ptr<Connection> connection_;
  MessageReader reader_;
  bool reads_ = true;
};

struct Piece {
  bool from_client;
  std::string bytes;
};

std::vector<Piece> pieces_of(test::FuzzInput& input) {
  std::vector<Piece> pieces;
  while (!input.rest().empty() && pieces.size() < 64) {
    const uint8_t who = input.byte();
    const size_t size = size_t{input.byte()} << (who >> 1 & 3);
    pieces.push_back({(who & 1) == 0, std::string(input.take(size))});
  }
  return pieces;
}

Config to_one_upstream() {
  std::string error;
  Address address = *parse_address("127.0.0.1:9000", &error);
  Config config;
  config.listen.push_back(*parse_address("127.0.0.1:8080", &error));
  config.http2 = false;  // http2_fuzz.cc reads that
  config.pool_sse_event = {1024, 32};
  config.pool_http_message = {4096, 16};
  config.routes.push_back({.path = "/",
                           .upstreams = {{"http://" + address.text(), address.text(), address}},
                           .settings = {}});
  return config;
}

void run(test::FuzzInput& input) {
  const uint8_t options = input.byte();
  World world(options, false);
  Liberties liberties;
  if ((options & 1) != 0) liberties.short_receive = liberties.short_send = 0.5;
  Kernel kernel(world, liberties);
  Features features;
  features.multishot_recv = features.recv_budget = (options & 2) != 0;
  CheckedGateway gateway(world, kernel, to_one_upstream(), features, 100, uint64_t{1} << 20);
  const std::vector<Piece> pieces = pieces_of(input);

  std::vector<std::unique_ptr<StrictPeer>> upstreams;
  std::string to_come;  // from upstreams that nobody has connected to yet
  kernel.on_connect = [&](uint16_t) {
    upstreams.push_back(std::make_unique<StrictPeer>(world, false));
    const std::shared_ptr<Connection>& connection = upstreams.back()->connection();
    connection->write(std::exchange(to_come, {}));
    return Kernel::Answer{connection, false};
  };
  StrictPeer client(world, true);
  std::string requests;
  for (const Piece& piece : pieces)
    if (piece.from_client) requests += piece.bytes;
  if (requests.find("HEAD") != std::string::npos) client.read_nothing();
  kernel.connect_client(gateway.listener(), client.connection());
  for (const Piece& piece : pieces) {
    if (piece.from_client)
      client.connection()->write(piece.bytes);
    else if (upstreams.empty())
      to_come += piece.bytes;
    else
      upstreams.back()->connection()->write(piece.bytes);
    for (int i = 0; i < 6; ++i) {
      world.after(kLatencyNs, [] {});
      gateway.turn();
    }
  }
  if ((options & 4) != 0 && !upstreams.empty()) upstreams.back()->connection()->close_peer_end();
  if ((options & 8) != 0) client.connection()->close_peer_end();
  gateway.run_until_idle(4);
  gateway.stop();
}

}  // namespace
}  // namespace sluice::sim

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  sluice::test::FuzzInput input(data, size);
  sluice::sim::run(input);
  return 0;
}

// What the peers of a simulated hub share: the process that serves now, and what of the
// configuration their judgements depend on.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>

#include "net/coding/decoders.h"
#include "pool/slot_pool.h"
#include "tests/sim/http.h"
#include "tests/sim/hub_judge.h"
#include "tests/sim/hub_workers.h"

namespace sluice::sim {

// So long readers remember that the disk has failed: longer than a gateway lets them wait.
inline constexpr uint64_t kTroubleNs = 10 * kSecond;

struct HubScene {
  World& world;
  HubJudge& judge;
  const HubDisk& disk;
  HubWorkers* workers = nullptr;  // null: no process serves
  uint64_t key_window_ns = 0;
  uint64_t lease_ns = 0;
  bool stored = false;
  bool durable = false;  // events are shown when they are on the disk
  bool busy = false;     // publishers may be told to come back
  bool pads = true;      // events are of different sizes
  size_t batch_max = 8;  // events of most requests
  size_t streams = 4;    // that everybody publishes to
  bool settles = false;  // nobody is cut any more, and all read what they get
  std::string accepts = {};
  MemoryLimit unlimited = {.bytes_max = UINT64_MAX};
  Decoders decoders{unlimited};
  uint64_t asked = 0;
  uint64_t answered = 0;
  uint64_t cut = 0;
  uint64_t gaps = 0;
  std::set<uint64_t> tokens = {};  // that members of groups were given
  uint64_t newest_token = 0;

  // What has left the memory is gone.
  bool may_lose() const { return !stored && (judge.evicts || judge.forgets); }
  // Readers that are behind may have waited for the disk in vain.
  bool disk_in_trouble() const { return stored && world.now_ns() < disk.trouble_ns + kTroubleNs; }

  std::string shared_stream() {
    uint64_t which = world.random.between(0, streams - 1);
    std::string name = which % 2 == 0 ? "acc-" : "ord-";
    name += std::to_string(which / 2);
    return which % 3 == 0 ? name + "+" + std::to_string(which) : name;
  }
  std::shared_ptr<Connection> connect(Peer& peer) {
    auto connection = std::make_shared<Connection>(
        world, world.random.magnitude(1, 10 * kMillisecond), world.random.magnitude(2000, 200'000));
    connection->peer = &peer;
    if (workers)
      workers->connect(static_cast<unsigned>(world.random.between(0, workers->count() - 1)),
                       connection);
    else
      connection->close_gateway_end(true);
    return connection;
  }
};

// One request with its answer, on a connection of its own. Its body may rest on the way, or stop.
class HubCaller final : public Peer {
 public:
  struct Request {
    std::string method = "GET";
    std::string target;
    std::string fields = {};
    std::string body = {};
    bool chunked = false;
    double stops = 0;  // it breaks off somewhere
  };
  struct Answer {
    int status = 0;  // 0: there was none
    std::string body = {};
    bool slow = false;     // its client wrote slowly
    bool excused = false;  // its client has stopped, or the process has ended
    size_t life = 0;
    size_t process = 0;
  };

  // `whole` is told when the last byte is written.
  HubCaller(HubScene& scene, const Request& request, std::function<void()> whole,
            std::function<void(const Answer&)> done);
  void on_change() override;

 private:
  void write();
  void read();
  void over();

  HubScene& scene_;
  std::function<void()> whole_;
  std::function<void(const Answer&)> done_;
  std::shared_ptr<Connection> connection_;
  MessageReader reader_{true};
  std::string wire_;
  size_t written_ = 0;
  size_t stops_at_ = SIZE_MAX;
  uint64_t number_;
  Answer answer_;
  bool reading_ = false;
  bool ended_ = false;
};

// The number behind "name": in a JSON text; nullopt: there is none.
std::optional<int64_t> number_member(std::string_view json, std::string_view name);

}  // namespace sluice::sim

// What the workers of a process share of its hubs. A hub has a lane to each worker beside its home:
// the home's changes of the log and its answers go down, in order, and what is asked of the home
// goes up. Lanes are single-producer rings; a worker is woken once for all that has come until it
// looks. Owned by the process, or by a gateway that has no other worker beside it; outlives all
// workers.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/spsc_ring.h"
#include "net/config/config.h"
#include "net/hub/block_memory.h"
#include "net/hub/groups.h"
#include "net/hub/home.h"

namespace sluice {

class ConfigSnapshot;
class HubStore;

namespace limits {
// Changes on their way to one worker: several batches. A worker that is further behind than that
// holds up publishers, since none may miss a change.
inline constexpr size_t kHubLaneChanges = 16'384;
// Requests of one worker to the home that have no answer yet, wherever they are.
inline constexpr size_t kHubLaneCalls = 4'096;
// Of a call that is kept for the next request.
inline constexpr size_t kHubKeptBodyBytes = 64UL * 1024;
inline constexpr size_t kHubKeptEvents = 128;
}  // namespace limits

// Of a lane; powers of two.
struct HubLaneSizes {
  size_t changes = limits::kHubLaneChanges;
  size_t calls = limits::kHubLaneCalls;
};

class HomeAsker;

// What a worker asks of a hub's home, and the answer.
struct HomeCall {
  enum class Kind : uint8_t { kPublish, kReadConsumer, kStoreConsumer, kGroup };

  Kind kind = Kind::kPublish;
  std::string body = {};  // of the request; events that are published are views of it
  PublishRequest publish = {};
  std::string consumer = {};
  std::optional<uint64_t> position = {};  // of the consumer; to be stored: nullopt, it is to go
  std::optional<uint64_t> before = {};    // where it is to be stored: what it was
  bool stored = false;
  // Whether the answer waits until it is durable, be it shown before or not; nullopt: where it is
  // not shown before.
  std::optional<HubAck> ack = {};
  PublishResult result = {};
  std::unique_ptr<GroupCall> group = {};
  // Whoever waits for the answer; null: nobody any more. Its own worker's to touch, as is what that
  // worker's memory is charged with for the body of one that has gone.
  HomeAsker* asker = nullptr;
  uint32_t charged = 0;

  // Keeps the memory, where that is not much.
  void clear();
};

// Who hears of a call's answer.
class HomeAsker {
 public:
  virtual void on_home_answer(HomeCall& call) = 0;

 protected:
  ~HomeAsker() = default;
};

struct HubChange {
  enum class Kind : uint8_t { kAppend, kEvict, kForget, kAnswer, kGroups };

  Kind kind = Kind::kAppend;
  union {
    Block* block = nullptr;
    uint64_t global;
    uint64_t count;  // of streams
    HomeCall* call;  // the receiver's to delete
    Groups::News groups;
  };
};

// How many subscribers there are of each stream and category, over all workers. Asked for and
// changed with requests, never with events, so a lock will do.
class HubPresence {
 public:
  // How many there are then.
  int64_t add(const std::string& key, int64_t change);
  uint64_t of(const std::string& key);
  uint64_t total();

 private:
  std::mutex mutex_;
  std::unordered_map<std::string, int64_t> counts_;
  int64_t total_ = 0;
};

struct HubExchange {
  struct Lane {
    explicit Lane(const HubLaneSizes& sizes) : down(sizes.changes), up(sizes.calls) {}

    SpscRing<HubChange> down;
    SpscRing<HomeCall*> up;
  };

  HubExchange(std::string its_name, unsigned workers, unsigned home, uint64_t its_seed,
              const HubLaneSizes& its_sizes = {});
  ~HubExchange();
  HubExchange(const HubExchange&) = delete;
  HubExchange& operator=(const HubExchange&) = delete;

  const std::string name;
  const uint64_t seed;
  const HubLaneSizes sizes;
  BlockMemory memory;                        // before all that has blocks
  std::atomic<uint64_t> coded_bytes{0};      // of coded forms; blocks in the lanes may have some
  std::vector<std::unique_ptr<Lane>> lanes;  // by worker; null for the home
  // The global position of the home's next event: a worker whose log is shorter has not heard all.
  std::atomic<uint64_t> next{1};
  HubPresence presence;
  // A stream with a source has a subscriber that it did not have before: the home is to look.
  std::atomic<bool> source_wanted{false};
  std::unique_ptr<HubStore> store;  // null: the hub is in memory alone
};

class HubProcess {
 public:
  // `home`: the worker that is that of all hubs. Where there is but one, its number may be any.
  HubProcess(unsigned workers, unsigned home, const HubLaneSizes& sizes = {});
  HubProcess(const HubProcess&) = delete;
  HubProcess& operator=(const HubProcess&) = delete;

  unsigned workers() const { return workers_; }
  unsigned home() const { return home_; }
  // Makes a worker look at its lanes, soon; false: it has stopped. Given once, when all workers can
  // be woken and none serves yet. Stores may have had news before: so the home is woken.
  void set_waker(std::function<bool(unsigned worker)> waker);

  // Hubs with a store, by name, that no worker knows yet.
  using Opened = std::unordered_map<std::string, std::unique_ptr<HubExchange>>;

  // Opens the stores of hubs that this configuration names and that are not there yet; on the main
  // thread. "" or what is wrong.
  std::string open_stores(const ConfigSnapshot& snapshot, Opened& into);
  // They are hubs of this process from here on; before the workers have that configuration.
  void add(Opened& opened);
  // Stores wake nobody any more: the workers are about to go.
  void silence_stores();

  // The same for all workers, made by the first that asks, and kept as long as the process lives.
  HubExchange& hub(const std::string& name, uint64_t seed);

  // The home may be asked as long as another worker serves, so it ends last.
  void join(unsigned worker);
  void leave(unsigned worker);
  bool may_end(unsigned worker) const;

  // False: it has stopped, or there is no waker yet.
  bool wake(unsigned worker);
  // The worker looks: what is pushed from here on wakes it again.
  void looks(unsigned worker) { awake_[worker].exchange(false, std::memory_order_acq_rel); }

 private:
  const unsigned workers_;
  const unsigned home_;
  const HubLaneSizes sizes_;
  std::function<bool(unsigned)> waker_;
  std::atomic<bool> has_waker_{false};
  std::unique_ptr<std::atomic<bool>[]> awake_;
  std::atomic<unsigned> askers_{0};  // workers beside the home that serve
  std::mutex mutex_;
  std::unordered_map<std::string, std::unique_ptr<HubExchange>> hubs_;
};

}  // namespace sluice

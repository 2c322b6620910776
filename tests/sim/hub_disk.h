// A disk with a hub's store on it, which outlives the simulated processes, and the store of one
// process there. It takes a while to commit what has gathered, fails or is full at times, and when
// its process is killed it has what was durable and maybe the commit that was under way. Its epoch
// stays as long as all that was shown is there (net/hub/store.h). Owned by the simulation.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "net/hub/store.h"
#include "tests/sim/world.h"

namespace sluice::sim {

struct HubDisk {
  struct Event {
    StoredEvent stored() const;

    std::string stream;
    std::string type;
    std::string data;
    std::string metadata;
    std::string message_id;
    uint64_t position;
    uint64_t global;
    int64_t time_us;
    bool json;
  };
  struct Key {
    std::string key;
    StoredKey stored;
  };
  struct Consumer {
    uint64_t position;
    uint64_t fence;
  };

  HubEpoch epoch = {};
  bool in_order = true;  // the process before has ended so, or shows durable events alone
  std::vector<Event> events = {};
  std::vector<Key> keys = {};
  std::map<std::string, Consumer> consumers = {};
  uint64_t trouble_ns = 0;   // when a commit or a read has failed, the last time
  bool can_be_read = false;  // at all times, from here on
};

class HubDiskStore final : public Store {
 public:
  struct Traits {
    double fails = 0;  // a commit, so that the store does for a while
    uint64_t commit_ns_max = 5 * kMillisecond;
    uint64_t fails_ns_max = 2 * kSecond;
    double unread = 0;  // a page, and those that follow for a while
    uint64_t unread_ns_max = 1;
    uint64_t page_ns_max = 20 * kMillisecond;
  };

  HubDiskStore(World& world, HubDisk& disk, StoreAck ack, const Traits& traits, StoreUser& user);
  ~HubDiskStore() override;

  std::optional<StoreHead> load(StoreLoad& into, std::string& error) override;
  bool append(std::unique_ptr<StoreBatch>& batch) override;
  bool read(StoreRead wanted) override;
  StoreState state() const override { return state_; }

  // The process is gone, at this moment.
  void kill();

 private:
  using Batches = std::deque<std::unique_ptr<StoreBatch>>;

  template <typename Happens>
  void after(uint64_t delay_ns, Happens happens);
  void begin_commit();
  void end_commit();
  void write(const StoreBatch& batch);
  StorePage page_of(const StoreRead& wanted) const;
  bool reads();
  void refuse();
  void become(StoreState state);
  uint64_t last_global() const { return disk_.events.empty() ? 0 : disk_.events.back().global; }

  World& world_;
  HubDisk& disk_;
  const StoreAck ack_;
  const Traits traits_;
  StoreUser& user_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  Batches waiting_;
  Batches committing_;
  StoreState state_ = StoreState::kReady;
  uint64_t unread_until_ns_ = 0;
  bool killed_ = false;
};

}  // namespace sluice::sim

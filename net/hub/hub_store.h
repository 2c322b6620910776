// The store of one hub, between the hub's home and the store's own threads. It is made and loaded
// on the main thread, before any worker has the hub; what it has loaded then waits until each
// worker has put it into its log. The home fills batches and takes back what has become of them;
// the store's threads put that into an inbox and wake the home's worker. Each worker has pages of
// history read for its readers, and an inbox for these, too. Owned by the hub's
// exchange, so it outlives all workers, and writes what is left when the process ends.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/config/config.h"
#include "net/hub/block.h"
#include "net/hub/groups.h"
#include "net/hub/key_window.h"
#include "net/hub/sqlite_store.h"
#include "net/hub/store.h"

namespace sluice {

// Events and consumers on their way to the store. It keeps the texts that they are made of.
class HubBatch final : public StoreBatch {
 public:
  // `held`: so many holds on the block go with the batch.
  void add(Block& block, const EventDraft& draft, uint32_t held);
  void add_key(std::string key, const KeyWindow::Outcome& outcome, uint64_t wall_ms);
  void add_consumer(GroupRow row);
  // The views are made; nothing is added from here on.
  void close();
  ~HubBatch() override;

  uint64_t number = 0;  // of batches, in their order
  uint64_t bytes = 0;
  std::vector<Block*> blocks;
  uint32_t held = 0;

 private:
  struct Parts {
    size_t data_bytes;
    size_t metadata_bytes;
    bool json;
  };

  std::string texts_;  // data and metadata of each event
  std::vector<Parts> parts_;
  std::vector<std::pair<std::string, StoredKey>> keys_;
  std::vector<GroupRow> consumers_;
};

// What was there at the start.
struct HubHistory {
  struct At {
    std::string stream;
    uint64_t next;  // position
  };
  struct Key {
    std::string key;
    KeyWindow::Outcome outcome;
    uint64_t time_ms;
  };

  uint64_t seed = 0;   // of the epoch
  uint64_t first = 1;  // the global position of the first block
  uint64_t next = 1;
  uint64_t last_time_ms = 0;
  std::vector<At> streams;
  std::vector<Block*> blocks;  // each has a hold for each worker
  std::vector<Key> keys;
  std::vector<GroupRow> consumers;             // and what there is of groups
  std::map<std::string, std::string> origins;  // the last ids of sources, by stream
};

// A stored event in the forms in which it leaves. `seed`: of the hub's epoch.
Block* make_block(const StoredEvent& event, uint64_t seed, uint32_t holders, std::string& scratch);

class HubStore final : public StoreUser {
 public:
  using Pages = std::vector<std::pair<uint64_t, StorePage>>;  // by ticket

  struct News {
    std::vector<std::pair<std::unique_ptr<StoreBatch>, StoreOutcome>> answers;
    std::vector<std::pair<StoreState, std::string>> states;
  };

  // `wake`: a worker; without a number the home's.
  using Wake = std::function<void(std::optional<unsigned> worker)>;

  HubStore(const StreamSettings& settings, std::string file, uint32_t workers, Wake wake);
  // Another store than SQLite's, which hears from `make` whom it is to tell.
  HubStore(HubAck ack, const std::function<std::unique_ptr<Store>(StoreUser&)>& make,
           uint32_t workers, Wake wake);
  ~HubStore();

  // "" or what is wrong, a line.
  // `fed`: its streams that have a source.
  std::string load(const StreamSettings& settings, uint64_t wall_ms,
                   std::vector<std::string> fed = {});
  const std::string& file() const { return file_; }
  // Events are shown when they are durable.
  bool shows_durable() const { return ack_ == StoreAck::kDisk; }
  Store& store() { return *store_; }
  void silence();

  // Each worker calls taken() once, when it has what it needs of it.
  const HubHistory& history() const { return history_; }
  void taken();

  // The home's worker.
  News take_news();

  // Any worker: a page is to be read, and will be among its take_pages(). False: too many are.
  bool read(unsigned worker, uint64_t ticket, StoreRead read);
  Pages take_pages(unsigned worker);

 private:
  class Loading;

  // StoreUser
  void on_appended(std::unique_ptr<StoreBatch> batch, StoreOutcome outcome) override;
  void on_page(uint64_t id, StorePage page) override;
  void on_state(StoreState state, const std::string& reason) override;

  const std::string file_;
  const StoreAck ack_;
  const uint32_t workers_;
  HubHistory history_;
  std::atomic<uint32_t> taken_{0};
  std::mutex lock_;
  Wake wake_;  // null: there is nobody to be woken any more
  News news_;
  std::vector<Pages> pages_;  // by worker
  std::unique_ptr<Store> store_;
};

}  // namespace sluice

// The store on this machine's disk: an SQLite file in WAL mode, and two threads. One writes: it
// takes what has gathered while the last commit went on and commits it as a whole, so a slow disk
// gets larger commits and needs no timer. The other one reads pages. What fails is told apart:
// a full disk, where nothing was done, and a failing one, where the outcome is not known until the
// file has been opened anew. Made, loaded and ended by the hub; docs/hub-store.md tells operators
// what it promises.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "net/hub/disk_room.h"
#include "net/hub/sqlite_writer.h"
#include "net/hub/store.h"

namespace sluice {

struct SqliteStoreOptions {
  std::string file;
  StoreAck ack = StoreAck::kDisk;
  HistoryLimits history;
  // Batches that wait for the disk, all together.
  uint64_t queue_bytes_max = uint64_t{64} << 20;
  DiskRoom::Sizes room;
  const char* vfs = nullptr;  // SQLite's way to files; nullptr: the system's
};

class SqliteStore final : public Store {
 public:
  SqliteStore(SqliteStoreOptions options, StoreUser& user);
  ~SqliteStore() override;

  std::optional<StoreHead> load(StoreLoad& into, std::string& error) override;
  bool append(std::unique_ptr<StoreBatch>& batch) override;
  bool read(StoreRead read) override;
  StoreState state() const override;

 private:
  class Writing;
  class Reading;

  const SqliteStoreOptions options_;
  StoreUser& user_;
  std::unique_ptr<Reading> reading_;
  std::unique_ptr<Writing> writing_;
};

}  // namespace sluice

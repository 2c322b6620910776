// The work of the writing thread: commits, what comes of them, and how it goes on when one fails.
// It answers batches in the order in which they came, from `pending_`'s front. A batch in doubt (a
// commit whose sync failed) is answered once the file has been opened anew and looked at, and all
// behind it wait. Owned by the store; open() runs on the hub's thread before the writing thread
// begins, state() anywhere.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "net/hub/batch_queue.h"
#include "net/hub/disk_room.h"
#include "net/hub/file_lock.h"
#include "net/hub/sqlite_reader.h"
#include "net/hub/sqlite_store.h"
#include "net/hub/sqlite_writer.h"

namespace sluice {

class SqliteCommits {
 public:
  SqliteCommits(const SqliteStoreOptions& options, StoreUser& user, SqliteReader& reader);

  std::optional<StoreHead> open(StoreLoad& into, std::string& error);
  // Returns when the queue has ended, and what was in it is written or refused.
  void run();
  BatchQueue& queue() { return queue_; }
  StoreState state() const { return state_.load(std::memory_order_acquire); }

 private:
  bool ready() const { return state() == StoreState::kReady; }
  uint64_t wait_ms() const;
  void write_some();
  size_t next_run(uint64_t& bytes) const;
  void rest();
  void failed(SqliteResult result, const std::string& reason, size_t batches);
  void become(StoreState state, const std::string& reason);
  void try_again();
  bool try_full();
  bool try_anew();
  void settle_doubt();
  void refuse_pending();
  void answer(size_t batches, StoreOutcome outcome);
  void finish();

  const SqliteStoreOptions& options_;
  StoreUser& user_;
  SqliteReader& reader_;
  BatchQueue queue_;
  FileLock lock_;
  DiskRoom room_;
  std::unique_ptr<SqliteWriter> writer_;
  std::deque<std::unique_ptr<StoreBatch>> pending_;
  size_t in_doubt_ = 0;   // so many of them
  uint64_t durable_ = 0;  // the last global position that is
  std::atomic<StoreState> state_{StoreState::kReady};
  bool anew_ = false;  // the file has to be opened anew
  bool rested_ = true;
  uint64_t retry_at_ms_ = 0;
  uint64_t retry_ms_ = 0;
  uint64_t ready_since_ms_ = 0;
};

}  // namespace sluice

// Writes events into the file of a store: one transaction for all that is given to it. It is the
// one that writes and checkpoints; SQLite may lose pages where two connections do (the WAL-reset
// race, up to 3.51.2). It keeps the numbers of streams and categories, and trims what the limits of
// history leave no room for. Owned by the store, used on its thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "net/hub/sqlite_db.h"
#include "net/hub/store.h"

namespace sluice {

// What is kept; 0: no limit. The newest event is kept always.
struct HistoryLimits {
  uint64_t events_max = 0;
  uint64_t bytes_max = 0;  // of the file
  int64_t age_us_max = 0;
  int64_t key_age_us_max = int64_t{24} * 3600 * 1'000'000;  // of keys
};

class SqliteWriter {
 public:
  SqliteWriter(std::unique_ptr<SqliteDb> db, HistoryLimits limits);
  ~SqliteWriter();

  // The first `count` of them: all, or none. kIo: one or the other. Trims what is due, also with 0.
  SqliteResult write(const std::deque<std::unique_ptr<StoreBatch>>& batches, size_t count);
  // If the log is long enough to be worth it.
  SqliteResult checkpoint_if_due();
  // If there is anything in it.
  SqliteResult checkpoint_rest();
  uint64_t first_global_position() const { return first_; }
  uint64_t last_global_position() const { return last_; }
  // What the file said when it was opened: kDone, or why it could not be read.
  SqliteResult opened() const { return opened_; }

  // Of what failed last.
  const std::string& error() const { return error_; }
  SqliteDb& db() { return *db_; }

 private:
  struct TextHash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const;
  };
  struct StreamNumbers {
    int64_t stream;
    int64_t category;
  };
  template <typename Value>
  using ByName = std::unordered_map<std::string, Value, TextHash, std::equal_to<>>;

  struct Statements;

  SqliteResult read_numbers();
  SqliteResult write_batch(const StoreBatch& batch);
  SqliteResult write_event(const StoredEvent& event);
  SqliteResult write_key(const StoredKey& key);
  SqliteResult write_consumer(const StoredConsumer& consumer);
  SqliteResult find_stream(std::string_view name, StreamNumbers& numbers);
  SqliteResult find_category(std::string_view name, int64_t& number);
  SqliteResult trim(uint64_t events_to_come, uint64_t bytes_to_come);
  SqliteResult find_trim(uint64_t events_to_come, uint64_t bytes_to_come, uint64_t& to);
  SqliteResult find_oldest(uint64_t bytes, uint64_t most, uint64_t& to);
  SqliteResult checkpoint();

  std::unique_ptr<SqliteDb> db_;
  const HistoryLimits limits_;
  std::unique_ptr<Statements> statements_;
  ByName<StreamNumbers> streams_;
  ByName<int64_t> categories_;
  // Those of the transaction under way, which may yet come to nothing.
  std::vector<std::string> new_streams_;
  std::vector<std::string> new_categories_;
  uint64_t first_ = 0;
  uint64_t last_ = 0;
  uint64_t checkpoint_at_pages_;
  std::string error_;
  const SqliteResult opened_;
};

}  // namespace sluice

// SQLite as the store needs it: a connection, its statements, and what can go wrong in the six ways
// that differ for us. It has no opinion about tables. Each connection belongs to one thread at a
// time (SQLite's "multi-thread" mode, without mutexes of its own). Results are to be looked at:
// nothing throws, and nothing is tried again here.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace sluice {

enum class SqliteResult : uint8_t {
  kDone,
  kRow,   // of a statement: here is one
  kFull,  // no room on the disk, in the quota, or below the limit of file sizes; nothing was done
  kBusy,  // another connection holds the lock; nothing was done
  kIo,    // the disk failed. A commit that says so may have been done or not
  kDamaged,  // this is no database, or a damaged one
  kOther,    // a rule of the schema, a limit of SQLite's, or a bug of ours
};

class SqliteDb {
 public:
  enum class Mode : uint8_t {
    kCreate,  // writes, and makes the file if there is none
    kWrite,
    kRead,  // never writes
  };

  // nullptr, with `error` set: it cannot be opened. Whether it is a database shows when it is read.
  // `vfs`: nullptr is the system's.
  static std::unique_ptr<SqliteDb> open(const std::string& file, Mode mode, const char* vfs,
                                        std::string& error);
  ~SqliteDb();
  SqliteDb(const SqliteDb&) = delete;
  SqliteDb& operator=(const SqliteDb&) = delete;

  SqliteResult exec(const char* sql);
  // Of a statement or pragma that gives one number.
  std::optional<int64_t> number(const char* sql);
  // Copies what is in the log into the file, as far as no reader stands in the way, and syncs it.
  // `whole`: all of it, and empties the log; kBusy where a reader keeps it from that.
  SqliteResult checkpoint(bool whole);

  // The log stays as it is when a connection closes, unless its writer says otherwise.
  void drop_log_at_close();
  bool in_transaction() const;
  // Pages in the log after the last commit.
  uint64_t log_pages() const { return log_pages_; }
  int64_t last_id() const;
  // Of the last call, in SQLite's words and with its number.
  std::string error() const;

 private:
  friend class SqliteStatement;

  explicit SqliteDb(void* handle) : handle_(handle) {}
  SqliteResult classify(int code) const;

  void* handle_;
  uint64_t log_pages_ = 0;
};

// Prepared once, used many times. Texts that are bound have to live until reset() or the next bind
// of their place. One that could not be prepared says so at each step.
class SqliteStatement {
 public:
  SqliteStatement(SqliteDb& db, const char* sql);
  ~SqliteStatement();
  SqliteStatement(const SqliteStatement&) = delete;
  SqliteStatement& operator=(const SqliteStatement&) = delete;

  // Places count from 1.
  SqliteStatement& bind(int place, int64_t value);
  SqliteStatement& bind(int place, uint64_t value) {
    return bind(place, static_cast<int64_t>(value));
  }
  SqliteStatement& bind(int place, std::string_view text);
  SqliteStatement& bind_blob(int place, std::string_view bytes);
  SqliteStatement& bind_null(int place);

  SqliteResult step();
  // Ready for the next round. Ends its part in a read transaction.
  void reset();
  // A step that gives no rows, and a reset.
  SqliteResult run();

  // Of the row. Columns count from 0; texts live until the next step or reset.
  int64_t integer(int column) const;
  std::string_view text(int column) const;
  bool is_blob(int column) const;

 private:
  SqliteDb& db_;
  void* handle_ = nullptr;
  int prepared_;
};

}  // namespace sluice

// Reads pages of history from the file of a store, on a connection of its own that never writes. A
// page is one short read: a read that lasts would keep the log from being emptied. Owned by the
// store and used on its reading thread; release() may be called by another one in between, since
// behind a failure of the disk all connections have to let go of the file.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "net/hub/sqlite_db.h"
#include "net/hub/store.h"

namespace sluice {

class SqliteReader {
 public:
  SqliteReader(std::string file, const char* vfs);
  ~SqliteReader();

  // So that the process has its files from the start. Where that fails, read() tries again.
  void open();
  StorePage read(const StoreRead& wanted);
  void release();

 private:
  struct Connection;

  bool connect();

  const std::string file_;
  const char* const vfs_;
  std::mutex lock_;
  std::unique_ptr<Connection> connection_;
};

// All that a hub begins with.
SqliteResult load_sqlite(SqliteDb& db, StoreLoad& into, StoreHead& head);

}  // namespace sluice

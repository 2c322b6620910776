// The file of a hub's store: that it is one, its tables, its epoch. It is opened once for writing,
// by the store; readers open it as often as they like. DESIGN.md has the rules of the epoch: the
// file says what its writer promised, and whether that writer ended in order, so the next one knows
// whether something can be missing that a subscriber has seen. Used on one thread at a time.
#pragma once

#include <memory>
#include <string>

#include "net/hub/sqlite_db.h"
#include "net/hub/store.h"

namespace sluice {

struct SqliteFile {
  std::unique_ptr<SqliteDb> db;
  HubEpoch epoch;
};

// Its name where no link leads any further, be the file there or not: its log, its lock and its
// ballast lie beside that one.
std::string behind_links(std::string file);

// Makes the file where there is none, and keeps its epoch unless something may be lost. Syncs what
// it writes. An error is one line, with the file's name in it; the file is then as it was.
// `result` says what kind of error it was.
SqliteFile open_sqlite_file(const std::string& file, StoreAck ack, const char* vfs,
                            SqliteResult& result, std::string& error);

// The same file once more, behind a failure of the disk: what the disk has, and nothing that only
// memory has. All that it then shows is synced. nullptr, with `error` set: not now.
std::unique_ptr<SqliteDb> reopen_sqlite_file(const std::string& file, const char* vfs,
                                             SqliteResult& result, std::string& error);

// Writes next to nothing, and syncs it: whether that works.
SqliteResult probe_sqlite_file(SqliteDb& db);

// Says that all that subscribers have seen is in it, and lets the log go with the connection.
SqliteResult close_sqlite_file(SqliteDb& db);

// Says that something is missing, so that the next to open it makes a new epoch.
SqliteResult mark_sqlite_file_lossy(SqliteDb& db);

}  // namespace sluice

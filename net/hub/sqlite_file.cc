#include "net/hub/sqlite_file.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/random.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

#include "core/text.h"

namespace sluice {

namespace {

// "slui": what this file is, for `file` and for us.
#define SLUICE_STORE_ID "1936487785"
constexpr int64_t kStoreId = 1'936'487'785;
constexpr int64_t kSchema = 1;
constexpr uint64_t kLogHeaderBytes = 32;

// What the writer of a file is doing, or was when it ended without another word.
enum WriterState : int64_t {
  kClosed = 0,        // nothing: it has ended in order
  kShowsDurable = 1,  // what it shows is in the file
  kShowsAtOnce = 2,   // what it shows may not be in the file yet
};

// `messages` is for people: Message DB's columns. Streams and categories are numbers in `events`,
// which halves the file's growth. Message ids have no index: a unique index on random ids would
// cost more than all the rest (docs/hub-store.md).
constexpr const char* kTables =
    "CREATE TABLE hub (one INTEGER PRIMARY KEY CHECK (one = 1), epoch BLOB NOT NULL,"
    " state INTEGER NOT NULL, writes INTEGER NOT NULL) STRICT;"
    "CREATE TABLE categories (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;"
    // `version` is kept for streams whose events have been trimmed; else the events have it.
    "CREATE TABLE streams (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
    " category_id INTEGER NOT NULL, version INTEGER NOT NULL) STRICT;"
    "CREATE TABLE events (global_position INTEGER PRIMARY KEY, stream_id INTEGER NOT NULL,"
    " category_id INTEGER NOT NULL, position INTEGER NOT NULL, time INTEGER NOT NULL,"
    " type TEXT NOT NULL, data TEXT NOT NULL, metadata TEXT NOT NULL, id ANY NOT NULL,"
    " origin_id TEXT NOT NULL, json INTEGER NOT NULL) STRICT;"
    "CREATE UNIQUE INDEX events_of_stream ON events (stream_id, position);"
    "CREATE INDEX events_of_category ON events (category_id);"
    "CREATE TABLE keys (global_position INTEGER PRIMARY KEY, key TEXT NOT NULL,"
    " position INTEGER NOT NULL, count INTEGER NOT NULL, fingerprint INTEGER NOT NULL,"
    " time INTEGER NOT NULL) STRICT;"
    "CREATE TABLE consumers (id TEXT PRIMARY KEY, position INTEGER NOT NULL,"
    " fence INTEGER NOT NULL) STRICT;"
    "CREATE VIEW messages AS SELECT global_position, position,"
    " strftime('%Y-%m-%dT%H:%M:%S', e.time / 1000000, 'unixepoch')"
    " || printf('.%06dZ', e.time % 1000000) AS time,"
    " s.name AS stream_name, type, data, nullif(metadata, '') AS metadata,"
    " CASE WHEN typeof(e.id) = 'blob' THEN lower(substr(hex(e.id), 1, 8) || '-' ||"
    " substr(hex(e.id), 9, 4) || '-' || substr(hex(e.id), 13, 4) || '-' ||"
    " substr(hex(e.id), 17, 4) || '-' || substr(hex(e.id), 21)) ELSE nullif(e.id, '') END AS id,"
    " nullif(origin_id, '') AS origin_id"
    " FROM events e JOIN streams s ON s.id = e.stream_id;"
    "PRAGMA application_id = " SLUICE_STORE_ID
    ";"
    "PRAGMA user_version = 1;";

// FULL: a commit is one sync of the log. Without a limit a log that has grown stays that large.
constexpr const char* kWriterPragmas =
    "PRAGMA synchronous = FULL; PRAGMA journal_size_limit = "
    "16777216;"
    "PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY; PRAGMA foreign_keys = OFF;"
    "PRAGMA trusted_schema = OFF;";

HubEpoch make_epoch() {
  HubEpoch epoch;
  [[maybe_unused]] ssize_t got = getrandom(&epoch, sizeof(epoch), 0);
  return epoch;
}

std::string_view bytes_of(const HubEpoch& epoch) {
  return {reinterpret_cast<const char*>(&epoch), sizeof(epoch)};
}

// Before SQLite has it: closing a descriptor of ours later would drop SQLite's locks on the file.
const char* fault_of(const std::string& file) {
  constexpr std::string_view kMagic("SQLite format 3\0", 16);
  std::array<char, kMagic.size()> head{};
  // Not opened even: another hub may have it by its other name.
  struct stat found {};
  if (stat(file.c_str(), &found) == 0 && S_ISREG(found.st_mode) && found.st_nlink > 1)
    return "it has several names (hard links), and a log beside each of them";
  int fd = open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno == ENOENT ? nullptr : error_name(errno);
  ssize_t got = read(fd, head.data(), head.size());
  close(fd);
  if (got == 0) return nullptr;  // SQLite takes it for a new one, and so do we
  if (got < 0) return error_name(errno);
  return std::string_view(head.data(), static_cast<size_t>(got)) == kMagic
             ? nullptr
             : "it is no SQLite database";
}

bool log_has_frames(const std::string& file) {
  struct stat found {};
  return stat((file + "-wal").c_str(), &found) == 0 &&
         static_cast<uint64_t>(found.st_size) > kLogHeaderBytes;
}

SqliteResult commit(SqliteDb& db, SqliteStatement& change) {
  SqliteResult result = db.exec("BEGIN IMMEDIATE");
  if (result == SqliteResult::kDone) result = change.run();
  if (result == SqliteResult::kDone) result = db.exec("COMMIT");
  if (db.in_transaction()) db.exec("ROLLBACK");
  return result;
}

SqliteResult make_tables(SqliteDb& db) {
  SqliteResult result = db.exec("BEGIN IMMEDIATE");
  if (result == SqliteResult::kDone) result = db.exec(kTables);
  if (result == SqliteResult::kDone) {
    result = db.exec("INSERT INTO hub VALUES (1, zeroblob(16), 0, 0)");
  }
  if (result == SqliteResult::kDone) result = db.exec("COMMIT");
  if (db.in_transaction()) db.exec("ROLLBACK");
  return result;
}

// What the file is good for; `reason` is set where it is none of ours.
SqliteResult look_at(SqliteDb& db, bool& is_new, std::string& reason) {
  std::optional<int64_t> id = db.number("PRAGMA application_id");
  std::optional<int64_t> schema = db.number("PRAGMA user_version");
  std::optional<int64_t> tables = db.number("SELECT count(*) FROM sqlite_schema");
  if (!id || !schema || !tables) return db.exec("SELECT count(*) FROM sqlite_schema");
  is_new = id == 0 && schema == 0 && tables == 0;
  if (is_new) return SqliteResult::kDone;
  if (id != kStoreId) reason = "it is another program's database";
  if (id == kStoreId && schema != kSchema) {
    reason = "its schema has number " + std::to_string(*schema) + ", and this version knows " +
             std::to_string(kSchema) + " alone";
  }
  return reason.empty() ? SqliteResult::kDone : SqliteResult::kOther;
}

SqliteResult use_log(SqliteDb& db) {
  SqliteStatement ask(db, "PRAGMA journal_mode = WAL");
  SqliteResult result = ask.step();
  if (result != SqliteResult::kRow) return result;
  return ask.text(0) == "wal" ? SqliteResult::kDone : SqliteResult::kOther;
}

SqliteResult mark(SqliteDb& db, WriterState state, const HubEpoch& epoch) {
  SqliteStatement update(db, "UPDATE hub SET state = ?, epoch = ?, writes = writes + 1");
  update.bind(1, int64_t{state}).bind_blob(2, bytes_of(epoch));
  return commit(db, update);
}

// The epoch that the file has, and whether it may still be used.
SqliteResult read_epoch(SqliteDb& db, bool log_had_frames, HubEpoch& epoch, bool& keep) {
  SqliteStatement ask(db, "SELECT epoch, state FROM hub");
  SqliteResult result = ask.step();
  if (result != SqliteResult::kRow) {
    return result == SqliteResult::kDone ? SqliteResult::kDamaged : result;
  }
  std::string_view bytes = ask.text(0);
  int64_t state = ask.integer(1);
  if (bytes.size() != sizeof(epoch)) return SqliteResult::kDamaged;
  std::memcpy(&epoch, bytes.data(), sizeof(epoch));
  // A writer that has not ended in order leaves its log behind, and never an empty one: where it is
  // gone somebody has removed it, with whatever was in it.
  keep = state == kClosed || (state == kShowsDurable && log_had_frames);
  return SqliteResult::kDone;
}

}  // namespace

std::string behind_links(std::string file) {
  constexpr int kLinksMax = 40;  // as the kernel has it
  std::error_code error;
  for (int i = 0; i < kLinksMax; ++i) {
    std::filesystem::path target = std::filesystem::read_symlink(file, error);
    if (error) break;
    file = std::filesystem::path(file).replace_filename(target);
  }
  return file;
}

SqliteFile open_sqlite_file(const std::string& file, StoreAck ack, const char* vfs,
                            SqliteResult& result, std::string& error) {
  SqliteFile opened;
  result = SqliteResult::kOther;
  if (const char* fault = fault_of(file)) {
    error = file + " cannot be used: " + fault;
    return {};
  }
  bool log_had_frames = log_has_frames(file);
  opened.db = SqliteDb::open(file, SqliteDb::Mode::kCreate, vfs, error);
  if (!opened.db) {
    error = file + " cannot be opened: " + error;
    return {};
  }
  SqliteDb& db = *opened.db;
  bool is_new = false;
  bool keep = false;
  std::string reason;
  result = look_at(db, is_new, reason);
  if (result == SqliteResult::kDone) result = db.exec(kWriterPragmas);
  if (result == SqliteResult::kDone) result = use_log(db);
  if (result == SqliteResult::kDone && is_new) result = make_tables(db);
  if (result == SqliteResult::kDone && !is_new) {
    result = read_epoch(db, log_had_frames, opened.epoch, keep);
  }
  if (!keep) opened.epoch = make_epoch();
  if (result == SqliteResult::kDone) {
    result = mark(db, ack == StoreAck::kDisk ? kShowsDurable : kShowsAtOnce, opened.epoch);
  }
  // The file itself says so now, whatever becomes of its log.
  if (result == SqliteResult::kDone) result = db.checkpoint(false);
  if (result == SqliteResult::kDone) return opened;
  bool damaged = result == SqliteResult::kDamaged;
  error = file + (damaged ? " is damaged, and is left as it is: " : " cannot be used: ") +
          (reason.empty() ? db.error() : reason);
  return {};
}

std::unique_ptr<SqliteDb> reopen_sqlite_file(const std::string& file, const char* vfs,
                                             SqliteResult& result, std::string& error) {
  // The kernel takes pages that it could not write for written, and may show them until they are
  // dropped.
  int log = open((file + "-wal").c_str(), O_RDONLY | O_CLOEXEC);
  if (log >= 0) {
    posix_fadvise(log, 0, 0, POSIX_FADV_DONTNEED);
    close(log);
  }
  result = SqliteResult::kIo;
  std::unique_ptr<SqliteDb> db = SqliteDb::open(file, SqliteDb::Mode::kWrite, vfs, error);
  if (!db) return nullptr;
  result = db->exec(kWriterPragmas);
  // From the log into the file, whose sync is one that has not failed yet.
  if (result == SqliteResult::kDone) result = db->checkpoint(true);
  if (result == SqliteResult::kDone) result = probe_sqlite_file(*db);
  if (result == SqliteResult::kDone) return db;
  error = db->error();
  return nullptr;
}

SqliteResult probe_sqlite_file(SqliteDb& db) {
  SqliteStatement update(db, "UPDATE hub SET writes = writes + 1");
  return commit(db, update);
}

SqliteResult close_sqlite_file(SqliteDb& db) {
  SqliteStatement update(db, "UPDATE hub SET state = 0");
  SqliteResult result = commit(db, update);
  if (result == SqliteResult::kDone) db.drop_log_at_close();
  return result;
}

SqliteResult mark_sqlite_file_lossy(SqliteDb& db) {
  SqliteStatement update(db, "UPDATE hub SET state = 2");
  return commit(db, update);
}

}  // namespace sluice

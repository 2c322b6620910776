#include "net/hub/sqlite_db.h"

#include <cerrno>
#include <sqlite3.h>

#include "core/text.h"

namespace sluice {

namespace {

// A writer waits this long for a lock that another program holds; readers, for a recovery.
constexpr int kStoreBusyMs = 1000;

sqlite3* of(void* handle) {
  return static_cast<sqlite3*>(handle);
}

sqlite3_stmt* statement(void* handle) {
  return static_cast<sqlite3_stmt*>(handle);
}

int on_commit(void* log_pages, sqlite3* /*db*/, const char* /*name*/, int pages) {
  *static_cast<uint64_t*>(log_pages) = static_cast<uint64_t>(pages);
  return SQLITE_OK;
}

}  // namespace

std::unique_ptr<SqliteDb> SqliteDb::open(const std::string& file, Mode mode, const char* vfs,
                                         std::string& error) {
  int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
  flags |= mode == Mode::kRead ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
  if (mode == Mode::kCreate) flags |= SQLITE_OPEN_CREATE;
  sqlite3* handle = nullptr;
  int code = sqlite3_open_v2(file.c_str(), &handle, flags, vfs);
  std::unique_ptr<SqliteDb> db(new SqliteDb(handle));
  if (code != SQLITE_OK) {
    error = db->error();
    return nullptr;
  }
  sqlite3_extended_result_codes(handle, 1);
  sqlite3_busy_timeout(handle, kStoreBusyMs);
  // Else the last one to close would write the log into the file, and swallow the errors.
  sqlite3_db_config(handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  // A hook takes the place of automatic checkpoints, whose errors a commit would not tell. (PRAGMA
  // wal_autocheckpoint would take the place of the hook.)
  sqlite3_wal_hook(handle, on_commit, &db->log_pages_);
  return db;
}

SqliteDb::~SqliteDb() {
  sqlite3_close_v2(of(handle_));
}

SqliteResult SqliteDb::classify(int code) const {
  switch (code & 0xFF) {
    case SQLITE_OK:
    case SQLITE_DONE:
      return SqliteResult::kDone;
    case SQLITE_ROW:
      return SqliteResult::kRow;
    case SQLITE_FULL:
      return SqliteResult::kFull;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return SqliteResult::kBusy;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return SqliteResult::kDamaged;
    // SQLite knows ENOSPC alone as a want of room. It keeps errno for some calls and not for
    // commits, where errno itself is still that of the write.
    case SQLITE_IOERR: {
      int cause = errno;
      bool writes = code == SQLITE_IOERR_WRITE || code == SQLITE_IOERR_SHMSIZE;
      bool full = cause == ENOSPC || cause == EFBIG || cause == EDQUOT;
      return writes && full ? SqliteResult::kFull : SqliteResult::kIo;
    }
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
      return SqliteResult::kIo;
    default:
      return SqliteResult::kOther;
  }
}

SqliteResult SqliteDb::exec(const char* sql) {
  return classify(sqlite3_exec(of(handle_), sql, nullptr, nullptr, nullptr));
}

std::optional<int64_t> SqliteDb::number(const char* sql) {
  SqliteStatement asked(*this, sql);
  if (asked.step() != SqliteResult::kRow) return std::nullopt;
  return asked.integer(0);
}

SqliteResult SqliteDb::checkpoint(bool whole) {
  int mode = whole ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE;
  SqliteResult result =
      classify(sqlite3_wal_checkpoint_v2(of(handle_), nullptr, mode, nullptr, nullptr));
  if (result == SqliteResult::kDone) log_pages_ = 0;
  return result;
}

void SqliteDb::drop_log_at_close() {
  sqlite3_db_config(of(handle_), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, nullptr);
}

bool SqliteDb::in_transaction() const {
  return sqlite3_get_autocommit(of(handle_)) == 0;
}

int64_t SqliteDb::last_id() const {
  return sqlite3_last_insert_rowid(of(handle_));
}

std::string SqliteDb::error() const {
  std::string text = sqlite3_errmsg(of(handle_));
  text += " (SQLite ";
  append_number(text, static_cast<uint64_t>(sqlite3_extended_errcode(of(handle_))));
  int cause = sqlite3_system_errno(of(handle_));
  if (cause != 0) text += std::string(", ") + error_name(cause);
  return text + ")";
}

SqliteStatement::SqliteStatement(SqliteDb& db, const char* sql) : db_(db) {
  sqlite3_stmt* prepared = nullptr;
  prepared_ =
      sqlite3_prepare_v3(of(db.handle_), sql, -1, SQLITE_PREPARE_PERSISTENT, &prepared, nullptr);
  handle_ = prepared;
}

SqliteStatement::~SqliteStatement() {
  sqlite3_finalize(statement(handle_));
}

SqliteStatement& SqliteStatement::bind(int place, int64_t value) {
  sqlite3_bind_int64(statement(handle_), place, value);
  return *this;
}

SqliteStatement& SqliteStatement::bind(int place, std::string_view text) {
  // A null pointer would be NULL.
  sqlite3_bind_text64(statement(handle_), place, text.empty() ? "" : text.data(), text.size(),
                      SQLITE_STATIC, SQLITE_UTF8);
  return *this;
}

SqliteStatement& SqliteStatement::bind_blob(int place, std::string_view bytes) {
  sqlite3_bind_blob64(statement(handle_), place, bytes.data(), bytes.size(), SQLITE_STATIC);
  return *this;
}

SqliteStatement& SqliteStatement::bind_null(int place) {
  sqlite3_bind_null(statement(handle_), place);
  return *this;
}

SqliteResult SqliteStatement::step() {
  if (prepared_ != SQLITE_OK) return db_.classify(prepared_);
  return db_.classify(sqlite3_step(statement(handle_)));
}

void SqliteStatement::reset() {
  sqlite3_reset(statement(handle_));
}

SqliteResult SqliteStatement::run() {
  SqliteResult result = step();
  reset();
  return result;
}

int64_t SqliteStatement::integer(int column) const {
  return sqlite3_column_int64(statement(handle_), column);
}

std::string_view SqliteStatement::text(int column) const {
  const void* bytes = sqlite3_column_blob(statement(handle_), column);
  auto size = static_cast<size_t>(sqlite3_column_bytes(statement(handle_), column));
  return {static_cast<const char*>(bytes), size};
}

bool SqliteStatement::is_blob(int column) const {
  return sqlite3_column_type(statement(handle_), column) == SQLITE_BLOB;
}

}  // namespace sluice

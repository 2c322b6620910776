#include "net/hub/sqlite_reader.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory_resource>

#include "net/hub/sqlite_rows.h"

namespace sluice {

namespace {

constexpr const char* kReaderPragmas =
    "PRAGMA query_only = ON; PRAGMA cache_size = -2048; PRAGMA trusted_schema = OFF;";

// One for each StoreRead::Of: the name, the first position, how many.
constexpr std::array<const char*, 3> kPages = {
    SLUICE_SELECT_EVENTS
    "WHERE e.stream_id = (SELECT id FROM streams WHERE name = ?1) AND e.position >= ?2"
    " ORDER BY e.position LIMIT ?3",
    SLUICE_SELECT_EVENTS
    "WHERE e.category_id = (SELECT id FROM categories WHERE name = ?1)"
    " AND e.global_position >= ?2 ORDER BY e.global_position LIMIT ?3",
    SLUICE_SELECT_EVENTS "WHERE e.global_position >= ?2 ORDER BY e.global_position LIMIT ?3",
};

size_t bytes_of(const StoredEvent& event) {
  return event.stream.size() + event.type.size() + event.data.size() + event.metadata.size() +
         event.message_id.size() + event.origin_id.size();
}

// Texts of a page, which go all at once.
class Texts {
 public:
  StoredEvent keep(StoredEvent event) {
    for (std::string_view* text : {&event.stream, &event.type, &event.data, &event.metadata,
                                   &event.message_id, &event.origin_id}) {
      if (text->empty()) {
        *text = {};
        continue;
      }
      auto* copy = static_cast<char*>(memory_->allocate(text->size(), 1));
      std::memcpy(copy, text->data(), text->size());
      *text = {copy, text->size()};
    }
    return event;
  }
  std::shared_ptr<const void> take() { return std::move(memory_); }

 private:
  std::shared_ptr<std::pmr::monotonic_buffer_resource> memory_ =
      std::make_shared<std::pmr::monotonic_buffer_resource>();
};

}  // namespace

struct SqliteReader::Connection {
  explicit Connection(std::unique_ptr<SqliteDb> opened)
      : db(std::move(opened)),
        pages{SqliteStatement(*db, kPages[0]), SqliteStatement(*db, kPages[1]),
              SqliteStatement(*db, kPages[2])} {}

  SqliteStatement& page(const StoreRead& wanted, uint64_t from, size_t events_max) {
    return pages[static_cast<size_t>(wanted.of)]
        .bind(1, wanted.name)
        .bind(2, std::min(from, uint64_t{INT64_MAX}))
        .bind(3, uint64_t{events_max});
  }

  // Times never go back, so the first position at that time or later can be searched for.
  SqliteResult first_since(const StoreRead& wanted, int64_t since_us, uint64_t& from) {
    uint64_t end = INT64_MAX;
    while (from < end) {
      uint64_t middle = from + (end - from) / 2;
      SqliteStatement& next = page(wanted, middle, 1);
      SqliteResult result = next.step();
      bool late = result == SqliteResult::kDone || next.integer(2) >= since_us;
      next.reset();
      if (result != SqliteResult::kDone && result != SqliteResult::kRow) return result;
      if (late) {
        end = middle;
      } else {
        from = middle + 1;
      }
    }
    return SqliteResult::kDone;
  }

  std::unique_ptr<SqliteDb> db;
  std::array<SqliteStatement, 3> pages;
};

SqliteReader::SqliteReader(std::string file, const char* vfs) : file_(std::move(file)), vfs_(vfs) {}

SqliteReader::~SqliteReader() = default;

void SqliteReader::release() {
  std::lock_guard guard(lock_);
  connection_.reset();
}

bool SqliteReader::connect() {
  if (connection_) return true;
  std::string error;
  std::unique_ptr<SqliteDb> db = SqliteDb::open(file_, SqliteDb::Mode::kRead, vfs_, error);
  if (!db || db->exec(kReaderPragmas) != SqliteResult::kDone) return false;
  connection_ = std::make_unique<Connection>(std::move(db));
  return true;
}

StorePage SqliteReader::read(const StoreRead& wanted) {
  std::lock_guard guard(lock_);
  StorePage page;
  if (connect() && read_page(wanted, page) == SqliteResult::kDone) return page;
  // The next read may have better luck on a new one.
  connection_.reset();
  page = {};
  page.outcome = StoreOutcome::kFailed;
  return page;
}

SqliteResult SqliteReader::read_page(const StoreRead& wanted, StorePage& page) {
  uint64_t from = wanted.from;
  if (wanted.since_us) {
    SqliteResult result = connection_->first_since(wanted, *wanted.since_us, from);
    if (result != SqliteResult::kDone) return result;
  }
  Texts texts;
  SqliteRow row;
  size_t bytes = 0;
  SqliteStatement& rows = connection_->page(wanted, from, wanted.events_max);
  SqliteResult result;
  while ((result = rows.step()) == SqliteResult::kRow) {
    const StoredEvent& event = row.read(rows);
    bytes += bytes_of(event);
    if (bytes > wanted.bytes_max && !page.events.empty()) break;
    page.events.push_back(texts.keep(event));
  }
  rows.reset();
  if (result != SqliteResult::kRow && result != SqliteResult::kDone) return result;
  page.end = result == SqliteResult::kDone && page.events.size() < wanted.events_max;
  page.texts = texts.take();
  return SqliteResult::kDone;
}

SqliteResult load_sqlite(SqliteDb& db, StoreLoad& into, StoreHead& head) {
  SqliteResult result;
  SqliteStatement streams(db,
                          "SELECT name, max(version, coalesce((SELECT max(position) FROM events"
                          " WHERE stream_id = streams.id), -1)) FROM streams");
  while ((result = streams.step()) == SqliteResult::kRow) {
    into.on_stream(streams.text(0), static_cast<uint64_t>(streams.integer(1)));
  }
  if (result != SqliteResult::kDone) return result;

  SqliteStatement keys(db,
                       "SELECT key, global_position, position, count, fingerprint, time"
                       " FROM keys WHERE time >= ? ORDER BY global_position");
  keys.bind(1, into.ids_since_us);
  while ((result = keys.step()) == SqliteResult::kRow) {
    into.on_key({.key = keys.text(0),
                 .global_position = static_cast<uint64_t>(keys.integer(1)),
                 .position = static_cast<uint64_t>(keys.integer(2)),
                 .count = static_cast<uint64_t>(keys.integer(3)),
                 .fingerprint = static_cast<uint64_t>(keys.integer(4)),
                 .time_us = keys.integer(5)});
  }
  if (result != SqliteResult::kDone) return result;

  // From the newest back, as far as is wanted.
  SqliteRow row;
  SqliteStatement back(db, SLUICE_SELECT_EVENTS "ORDER BY e.global_position DESC");
  uint64_t first_event = UINT64_MAX;
  uint64_t first_id = UINT64_MAX;
  size_t count = 0;
  size_t bytes = 0;
  while ((result = back.step()) == SqliteResult::kRow) {
    const StoredEvent& event = row.read(back);
    if (count == 0) {
      head.last_global_position = event.global_position;
      head.last_time_us = event.time_us;
    }
    ++count;
    bytes += bytes_of(event);
    bool wants_event = count <= into.events_max && bytes <= into.bytes_max;
    bool wants_id = count <= into.ids_max && event.time_us >= into.ids_since_us;
    if (!wants_event && !wants_id) break;
    if (wants_event) first_event = event.global_position;
    if (wants_id) first_id = event.global_position;
  }
  back.reset();
  if (result != SqliteResult::kRow && result != SqliteResult::kDone) return result;
  head.first_global_position =
      static_cast<uint64_t>(db.number("SELECT min(global_position) FROM events").value_or(0));

  SqliteStatement forth(
      db, SLUICE_SELECT_EVENTS "WHERE e.global_position >= ? ORDER BY e.global_position");
  forth.bind(1, static_cast<int64_t>(std::min({first_event, first_id, uint64_t{INT64_MAX}})));
  while ((result = forth.step()) == SqliteResult::kRow) {
    const StoredEvent& event = row.read(forth);
    if (event.global_position >= first_id && !event.message_id.empty()) into.on_message_id(event);
    if (event.global_position >= first_event) into.on_event(event);
  }
  if (result != SqliteResult::kDone) return result;

  SqliteStatement consumers(db, "SELECT id, position, fence FROM consumers");
  while ((result = consumers.step()) == SqliteResult::kRow) {
    into.on_consumer({consumers.text(0), static_cast<uint64_t>(consumers.integer(1)),
                      static_cast<uint64_t>(consumers.integer(2))});
  }
  return result;
}

}  // namespace sluice

#include "net/hub/sqlite_reader.h"

#include <algorithm>
#include <cstring>
#include <memory_resource>
#include <vector>

#include "net/hub/sqlite_rows.h"

namespace sluice {

namespace {

constexpr const char* kReaderPragmas =
    "PRAGMA query_only = ON; PRAGMA cache_size = -2048; PRAGMA trusted_schema = OFF;";

// Statements that give places, from an index alone: whose (?1), from where (?2), and how many (?3).
constexpr const char* kInStream =
    "SELECT global_position, position FROM events WHERE stream_id = ?1 AND position >= ?2"
    " ORDER BY position LIMIT ?3";
constexpr const char* kBackInStream =
    "SELECT global_position, position FROM events WHERE stream_id = ?1 AND position < ?2"
    " ORDER BY position DESC LIMIT ?3";
constexpr const char* kInCategory =
    "SELECT global_position FROM events WHERE category_id = ?1 AND global_position >= ?2"
    " ORDER BY global_position LIMIT ?3";
constexpr const char* kInHub =
    "SELECT global_position, time FROM events WHERE global_position >= ?2"
    " ORDER BY global_position LIMIT ?3";

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
        begin(*db, "BEGIN"),
        commit(*db, "COMMIT"),
        range(*db,
              "SELECT (SELECT min(global_position) FROM events),"
              " (SELECT max(global_position) FROM events)"),
        stream(*db, "SELECT id FROM streams WHERE name = ?1"),
        category(*db, "SELECT id FROM categories WHERE name = ?1"),
        in_stream(*db, kInStream),
        back_in_stream(*db, kBackInStream),
        in_category(*db, kInCategory),
        in_hub(*db, kInHub),
        event(*db, SLUICE_SELECT_EVENTS "WHERE e.global_position = ?1") {}

  SqliteResult read(const StoreRead& wanted, StorePage& page);

 private:
  // Where the events of a page lie, by global position.
  using Places = std::vector<uint64_t>;

  SqliteResult find_range(StorePage& page);
  SqliteResult find_since(int64_t since_us, StorePage& page);
  SqliteResult find_places(const StoreRead& wanted, uint64_t from, Places& places);
  SqliteResult find_in_source(const StoreRead::Source& source, const StoreRead& wanted,
                              uint64_t from, Places& places);
  SqliteResult find_position(int64_t stream_id, uint64_t global, uint64_t& position);
  SqliteResult take(SqliteStatement& statement, int64_t whose, uint64_t from, size_t count,
                    Places& places);
  SqliteResult read_events(const StoreRead& wanted, const Places& places, StorePage& page);

  std::unique_ptr<SqliteDb> db;
  SqliteStatement begin;
  SqliteStatement commit;
  SqliteStatement range;
  SqliteStatement stream;
  SqliteStatement category;
  SqliteStatement in_stream;
  SqliteStatement back_in_stream;
  SqliteStatement in_category;
  SqliteStatement in_hub;
  SqliteStatement event;
};

// One transaction, so that what the page says of the file is true of its events. It is over before
// the page is passed on.
SqliteResult SqliteReader::Connection::read(const StoreRead& wanted, StorePage& page) {
  SqliteResult result = begin.run();
  if (result == SqliteResult::kDone) result = find_range(page);
  page.from = wanted.from;
  if (result == SqliteResult::kDone && wanted.since_us) result = find_since(*wanted.since_us, page);
  Places places;
  if (result == SqliteResult::kDone) result = find_places(wanted, page.from, places);
  if (result == SqliteResult::kDone) result = read_events(wanted, places, page);
  if (result == SqliteResult::kDone) result = commit.run();
  return result;
}

SqliteResult SqliteReader::Connection::find_range(StorePage& page) {
  SqliteResult result = range.step();
  if (result == SqliteResult::kRow) {
    page.first = static_cast<uint64_t>(range.integer(0));
    page.last = static_cast<uint64_t>(range.integer(1));
  }
  range.reset();
  return result == SqliteResult::kRow ? SqliteResult::kDone : result;
}

// Times never go back, so the first position at that time or later can be searched for.
SqliteResult SqliteReader::Connection::find_since(int64_t since_us, StorePage& page) {
  page.from = page.first;
  uint64_t end = page.last + 1;
  while (page.from < end) {
    uint64_t middle = page.from + (end - page.from) / 2;
    SqliteResult result = in_hub.bind(2, middle).bind(3, int64_t{1}).step();
    bool late = result == SqliteResult::kDone || in_hub.integer(1) >= since_us;
    in_hub.reset();
    if (result != SqliteResult::kDone && result != SqliteResult::kRow) return result;
    if (late)
      end = middle;
    else
      page.from = middle + 1;
  }
  return SqliteResult::kDone;
}

// One more than a page has, so that its end shows.
SqliteResult SqliteReader::Connection::find_places(const StoreRead& wanted, uint64_t from,
                                                   Places& places) {
  size_t count = wanted.events_max + 1;
  if (wanted.of.empty()) return take(in_hub, 0, from, count, places);
  for (const StoreRead::Source& source : wanted.of) {
    SqliteResult result = find_in_source(source, wanted, from, places);
    if (result != SqliteResult::kDone) return result;
  }
  if (wanted.of.size() == 1) return SqliteResult::kDone;
  std::ranges::sort(places);
  places.erase(std::unique(places.begin(), places.end()), places.end());
  places.resize(std::min(places.size(), count));
  return SqliteResult::kDone;
}

SqliteResult SqliteReader::Connection::find_in_source(const StoreRead::Source& source,
                                                      const StoreRead& wanted, uint64_t from,
                                                      Places& places) {
  SqliteStatement& number = source.is_category ? category : stream;
  SqliteResult result = number.bind(1, source.name).step();
  int64_t id = result == SqliteResult::kRow ? number.integer(0) : 0;
  number.reset();
  if (result != SqliteResult::kRow) return result;  // kDone: it has no event yet
  size_t count = wanted.events_max + 1;
  if (source.is_category) return take(in_category, id, from, count, places);
  uint64_t position = 0;
  if (wanted.from_position) {
    position = *wanted.from_position;
    if (wanted.backwards) return take(back_in_stream, id, position, count, places);
  } else {
    result = find_position(id, from, position);
    if (result != SqliteResult::kDone) return result;
  }
  return take(in_stream, id, position, count, places);
}

// A stream's positions are in the order of the global ones, but no index has both.
SqliteResult SqliteReader::Connection::find_position(int64_t stream_id, uint64_t global,
                                                     uint64_t& position) {
  SqliteResult result =
      back_in_stream.bind(1, stream_id).bind(2, INT64_MAX).bind(3, int64_t{1}).step();
  uint64_t end =
      result == SqliteResult::kRow ? static_cast<uint64_t>(back_in_stream.integer(1)) + 1 : 0;
  back_in_stream.reset();
  if (result != SqliteResult::kDone && result != SqliteResult::kRow) return result;
  position = 0;
  while (position < end) {
    uint64_t middle = position + (end - position) / 2;
    result = in_stream.bind(1, stream_id).bind(2, middle).bind(3, int64_t{1}).step();
    bool late =
        result == SqliteResult::kDone || static_cast<uint64_t>(in_stream.integer(0)) >= global;
    in_stream.reset();
    if (result != SqliteResult::kDone && result != SqliteResult::kRow) return result;
    if (late)
      end = middle;
    else
      position = middle + 1;
  }
  return SqliteResult::kDone;
}

SqliteResult SqliteReader::Connection::take(SqliteStatement& statement, int64_t whose,
                                            uint64_t from, size_t count, Places& places) {
  // The last one that there can be.
  from = std::min(from, uint64_t{INT64_MAX});
  if (&statement != &in_hub) statement.bind(1, whose);
  statement.bind(2, from).bind(3, uint64_t{count});
  SqliteResult result;
  while ((result = statement.step()) == SqliteResult::kRow)
    places.push_back(static_cast<uint64_t>(statement.integer(0)));
  statement.reset();
  return result;
}

SqliteResult SqliteReader::Connection::read_events(const StoreRead& wanted, const Places& places,
                                                   StorePage& page) {
  Texts texts;
  SqliteRow row;
  size_t bytes = 0;
  for (uint64_t place : places) {
    if (page.events.size() == wanted.events_max) break;
    if (event.bind(1, place).step() != SqliteResult::kRow) return SqliteResult::kDamaged;
    const StoredEvent& found = row.read(event);
    bytes += bytes_of(found);
    bool fits = bytes <= wanted.bytes_max || page.events.empty();
    if (fits) page.events.push_back(texts.keep(found));
    event.reset();
    if (!fits) break;
  }
  page.end = page.events.size() == places.size();
  page.through = page.end ? page.last : page.events.back().global_position;
  page.texts = texts.take();
  return SqliteResult::kDone;
}

SqliteReader::SqliteReader(std::string file, const char* vfs) : file_(std::move(file)), vfs_(vfs) {}

SqliteReader::~SqliteReader() = default;

void SqliteReader::release() {
  std::lock_guard guard(lock_);
  connection_.reset();
}

void SqliteReader::open() {
  std::lock_guard guard(lock_);
  (void)connect();
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
  if (connect() && connection_->read(wanted, page) == SqliteResult::kDone) return page;
  // The next read may have better luck on a new one.
  connection_.reset();
  page = {};
  page.outcome = StoreOutcome::kFailed;
  return page;
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
  if (result != SqliteResult::kDone) return result;

  SqliteStatement origin(db,
                         "SELECT origin_id FROM (SELECT e.origin_id, e.position FROM events e"
                         " JOIN streams s ON s.id = e.stream_id WHERE s.name = ?1"
                         " ORDER BY e.position DESC LIMIT 10000)"
                         " WHERE origin_id <> '' ORDER BY position DESC LIMIT 1");
  for (const std::string& stream : into.fed) {
    result = origin.bind(1, stream).step();
    if (result == SqliteResult::kRow) into.on_origin(stream, origin.text(0));
    origin.reset();
    if (result != SqliteResult::kRow && result != SqliteResult::kDone) return result;
  }
  return SqliteResult::kDone;
}

}  // namespace sluice

#include "net/hub/sqlite_writer.h"

#include <algorithm>

#include "core/clock.h"
#include "core/text.h"
#include "net/hub/batch_queue.h"
#include "net/hub/names.h"
#include "net/hub/uuid.h"

namespace sluice {

namespace {

// About 4 MiB: with more the log outgrows the caches, with less there are more syncs of the file.
constexpr uint64_t kCheckpointPages = 1000;
// Events that one transaction trims at least, if so many are to go, and at most if it writes fewer.
constexpr uint64_t kTrimEvents = 1000;

}  // namespace

struct SqliteWriter::Statements {
  explicit Statements(SqliteDb& db)
      : begin(db, "BEGIN IMMEDIATE"),
        commit(db, "COMMIT"),
        event(db, "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"),
        stream(db, "INSERT INTO streams (name, category_id, version) VALUES (?, ?, -1)"),
        category(db, "INSERT INTO categories (name) VALUES (?)"),
        key(db, "INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?)"),
        old_keys(db,
                 "DELETE FROM keys WHERE time < ? AND global_position IN"
                 " (SELECT global_position FROM keys ORDER BY global_position LIMIT 4)"),
        consumer(db,
                 "INSERT INTO consumers VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE"
                 " SET position = excluded.position, fence = excluded.fence"),
        gone(db, "DELETE FROM consumers WHERE id = ?"),
        expired(db,
                "SELECT max(global_position) FROM events"
                " WHERE global_position <= ? AND time < ?"),
        bytes(db,
              "SELECT (page_count - freelist_count) * page_size"
              " FROM pragma_page_count, pragma_freelist_count, pragma_page_size"),
        sizes(db,
              "SELECT global_position, ? + length(CAST(data AS BLOB)) +"
              " length(CAST(metadata AS BLOB)) FROM events WHERE global_position <= ?"
              " ORDER BY global_position"),
        keep_versions(db,
                      "UPDATE streams SET version = trimmed.last FROM (SELECT stream_id,"
                      " max(position) AS last FROM events WHERE global_position <= ?"
                      " GROUP BY stream_id) AS trimmed WHERE trimmed.stream_id = streams.id"),
        trim(db, "DELETE FROM events WHERE global_position <= ?") {}

  SqliteStatement begin;
  SqliteStatement commit;
  SqliteStatement event;
  SqliteStatement stream;
  SqliteStatement category;
  SqliteStatement key;
  SqliteStatement old_keys;
  SqliteStatement consumer;
  SqliteStatement gone;
  SqliteStatement expired;
  SqliteStatement bytes;
  SqliteStatement sizes;
  SqliteStatement keep_versions;
  SqliteStatement trim;
};

size_t SqliteWriter::TextHash::operator()(std::string_view text) const {
  return hash_text(text);
}

SqliteWriter::SqliteWriter(std::unique_ptr<SqliteDb> db, HistoryLimits limits)
    : db_(std::move(db)),
      limits_(limits),
      statements_(std::make_unique<Statements>(*db_)),
      checkpoint_at_pages_(kCheckpointPages),
      opened_(read_numbers()) {}

SqliteWriter::~SqliteWriter() = default;

SqliteResult SqliteWriter::read_numbers() {
  SqliteResult result;
  SqliteStatement categories(*db_, "SELECT id, name FROM categories");
  while ((result = categories.step()) == SqliteResult::kRow) {
    categories_.emplace(categories.text(1), categories.integer(0));
  }
  if (result != SqliteResult::kDone) return result;
  SqliteStatement streams(*db_, "SELECT id, category_id, name FROM streams");
  while ((result = streams.step()) == SqliteResult::kRow) {
    streams_.emplace(streams.text(2), StreamNumbers{streams.integer(0), streams.integer(1)});
  }
  if (result != SqliteResult::kDone) return result;
  SqliteStatement range(*db_,
                        "SELECT (SELECT min(global_position) FROM events),"
                        " (SELECT max(global_position) FROM events)");
  if ((result = range.step()) != SqliteResult::kRow) return result;
  first_ = static_cast<uint64_t>(range.integer(0));
  last_ = static_cast<uint64_t>(range.integer(1));
  return SqliteResult::kDone;
}

SqliteResult SqliteWriter::write(const std::deque<std::unique_ptr<StoreBatch>>& batches,
                                 size_t count) {
  const uint64_t first = first_;
  const uint64_t last = last_;
  uint64_t events = 0;
  uint64_t bytes = 0;
  for (size_t i = 0; i < count; ++i) {
    events += batches[i]->events.size();
    bytes += bytes_of(*batches[i]);
  }

  SqliteResult result = statements_->begin.run();
  if (result == SqliteResult::kDone) result = trim(events, bytes);
  for (size_t i = 0; i < count && result == SqliteResult::kDone; ++i) {
    result = write_batch(*batches[i]);
  }
  if (result == SqliteResult::kDone) result = statements_->commit.run();
  if (result != SqliteResult::kDone) {
    error_ = db_->error();
    if (db_->in_transaction()) db_->exec("ROLLBACK");
    for (const std::string& name : new_streams_) streams_.erase(name);
    for (const std::string& name : new_categories_) categories_.erase(name);
    first_ = first;
    last_ = last;
  }
  new_streams_.clear();
  new_categories_.clear();
  return result;
}

SqliteResult SqliteWriter::write_batch(const StoreBatch& batch) {
  SqliteResult result = SqliteResult::kDone;
  for (const StoredEvent& event : batch.events) {
    result = write_event(event);
    if (result != SqliteResult::kDone) return result;
  }
  for (const StoredKey& key : batch.keys) {
    result = write_key(key);
    if (result != SqliteResult::kDone) return result;
  }
  for (const StoredConsumer& consumer : batch.consumers) {
    result = write_consumer(consumer);
    if (result != SqliteResult::kDone) return result;
  }
  return result;
}

SqliteResult SqliteWriter::write_event(const StoredEvent& event) {
  StreamNumbers numbers{};
  SqliteResult result = find_stream(event.stream, numbers);
  if (result != SqliteResult::kDone) return result;
  SqliteStatement& row = statements_->event;
  row.bind(1, event.global_position)
      .bind(2, numbers.stream)
      .bind(3, numbers.category)
      .bind(4, event.position)
      .bind(5, event.time_us)
      .bind(6, event.type)
      .bind(7, event.data)
      .bind(8, event.metadata);
  std::optional<std::array<char, kUuidBytes>> uuid = uuid_of(event.message_id);
  if (uuid) {
    row.bind_blob(9, {uuid->data(), uuid->size()});
  } else {
    row.bind(9, event.message_id);
  }
  result = row.bind(10, event.origin_id).bind(11, int64_t{event.json}).run();
  if (result != SqliteResult::kDone) return result;
  last_ = event.global_position;
  if (first_ == 0) first_ = last_;
  return result;
}

// Some of those whose time is over go: more than come.
SqliteResult SqliteWriter::write_key(const StoredKey& key) {
  SqliteResult result = statements_->key.bind(1, key.global_position)
                            .bind(2, key.key)
                            .bind(3, key.position)
                            .bind(4, key.count)
                            .bind(5, key.fingerprint)
                            .bind(6, key.time_us)
                            .run();
  if (result != SqliteResult::kDone) return result;
  return statements_->old_keys.bind(1, key.time_us - limits_.key_age_us_max).run();
}

SqliteResult SqliteWriter::write_consumer(const StoredConsumer& consumer) {
  if (consumer.gone) return statements_->gone.bind(1, consumer.id).run();
  return statements_->consumer.bind(1, consumer.id)
      .bind(2, consumer.position)
      .bind(3, consumer.fence)
      .run();
}

SqliteResult SqliteWriter::find_stream(std::string_view name, StreamNumbers& numbers) {
  auto found = streams_.find(name);
  if (found != streams_.end()) {
    numbers = found->second;
    return SqliteResult::kDone;
  }
  SqliteResult result = find_category(category_of(name), numbers.category);
  if (result != SqliteResult::kDone) return result;
  result = statements_->stream.bind(1, name).bind(2, numbers.category).run();
  if (result != SqliteResult::kDone) return result;
  numbers.stream = db_->last_id();
  new_streams_.emplace_back(name);
  streams_.emplace(name, numbers);
  return result;
}

SqliteResult SqliteWriter::find_category(std::string_view name, int64_t& number) {
  auto found = categories_.find(name);
  if (found != categories_.end()) {
    number = found->second;
    return SqliteResult::kDone;
  }
  SqliteResult result = statements_->category.bind(1, name).run();
  if (result != SqliteResult::kDone) return result;
  number = db_->last_id();
  new_categories_.emplace_back(name);
  categories_.emplace(name, number);
  return result;
}

SqliteResult SqliteWriter::trim(uint64_t events_to_come, uint64_t bytes_to_come) {
  uint64_t to = 0;
  SqliteResult result = find_trim(events_to_come, bytes_to_come, to);
  if (result != SqliteResult::kDone || to == 0) return result;
  result = statements_->keep_versions.bind(1, to).run();
  if (result == SqliteResult::kDone) result = statements_->trim.bind(1, to).run();
  if (result == SqliteResult::kDone) first_ = to + 1;
  return result;
}

// Up to which event; 0: none. Not many at a time, so that no commit takes long; with each commit
// more go than come.
SqliteResult SqliteWriter::find_trim(uint64_t events_to_come, uint64_t bytes_to_come,
                                     uint64_t& to) {
  to = 0;
  if (first_ == last_) return SqliteResult::kDone;
  const uint64_t most = std::min(last_ - 1, first_ - 1 + std::max(kTrimEvents, 2 * events_to_come));
  uint64_t events = last_ + events_to_come - (first_ - 1);
  if (limits_.events_max > 0 && events > limits_.events_max) {
    to = std::min(most, first_ - 1 + events - limits_.events_max);
  }
  if (limits_.bytes_max > 0) {
    SqliteStatement& bytes = statements_->bytes;
    SqliteResult result = bytes.step();
    uint64_t used = result == SqliteResult::kRow ? static_cast<uint64_t>(bytes.integer(0)) : 0;
    bytes.reset();
    if (result != SqliteResult::kRow) return result;
    if (used + bytes_to_come > limits_.bytes_max) {
      result = find_oldest(used + bytes_to_come - limits_.bytes_max, most, to);
      if (result != SqliteResult::kDone) return result;
    }
  }
  if (limits_.age_us_max > 0) {
    int64_t since_us = static_cast<int64_t>(wall_clock_ms() * 1000) - limits_.age_us_max;
    SqliteStatement& expired = statements_->expired;
    SqliteResult result = expired.bind(1, most).bind(2, since_us).step();
    if (result == SqliteResult::kRow) to = std::max(to, static_cast<uint64_t>(expired.integer(0)));
    expired.reset();
    if (result != SqliteResult::kRow) return result;
  }
  return SqliteResult::kDone;
}

// Of the oldest that have so many bytes together the last one, or `most`.
SqliteResult SqliteWriter::find_oldest(uint64_t bytes, uint64_t most, uint64_t& to) {
  SqliteStatement& sizes = statements_->sizes;
  SqliteResult result = sizes.bind(1, kRowBytes).bind(2, most).step();
  for (uint64_t found = 0; result == SqliteResult::kRow; result = sizes.step()) {
    to = std::max(to, static_cast<uint64_t>(sizes.integer(0)));
    found += static_cast<uint64_t>(sizes.integer(1));
    if (found >= bytes) break;
  }
  sizes.reset();
  return result == SqliteResult::kRow ? SqliteResult::kDone : result;
}

SqliteResult SqliteWriter::checkpoint_if_due() {
  uint64_t pages = db_->log_pages();
  if (pages < kCheckpointPages) checkpoint_at_pages_ = kCheckpointPages;
  if (pages < checkpoint_at_pages_) return SqliteResult::kDone;
  // A reader may have kept it from being written whole: then not again after each commit.
  checkpoint_at_pages_ = pages + kCheckpointPages;
  return checkpoint();
}

SqliteResult SqliteWriter::checkpoint_rest() {
  return db_->log_pages() > 0 ? checkpoint() : SqliteResult::kDone;
}

SqliteResult SqliteWriter::checkpoint() {
  SqliteResult result = db_->checkpoint(false);
  if (result != SqliteResult::kDone) error_ = db_->error();
  return result;
}

}  // namespace sluice

// What the tests of a store share: batches with texts of their own, a user that can be waited for,
// what load() told, and a folder that goes with the test.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "net/hub/sqlite_store.h"

namespace sluice::test {

class Folder {
 public:
  explicit Folder(const std::string& in = testing::TempDir()) : path_(in + "/sluice_store_XXXXXX") {
    EXPECT_NE(mkdtemp(path_.data()), nullptr);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// An event that owns its texts.
struct Event {
  std::string stream;
  uint64_t position = 0;
  uint64_t global_position = 0;
  std::string type = "Happened";
  std::string data = "{}";
  std::string metadata = {};
  std::string message_id = {};
  std::string origin_id = {};
  int64_t time_us = 0;
  bool json = true;

  bool operator==(const Event&) const = default;

  static Event of(const StoredEvent& from) {
    return {std::string(from.stream),
            from.position,
            from.global_position,
            std::string(from.type),
            std::string(from.data),
            std::string(from.metadata),
            std::string(from.message_id),
            std::string(from.origin_id),
            from.time_us,
            from.json};
  }
};

inline void PrintTo(const Event& event, std::ostream* out) {
  *out << event.global_position << ": " << event.stream << "/" << event.position << " "
       << event.data;
}

struct Batch final : StoreBatch {
  explicit Batch(std::vector<Event> its_events, std::vector<StoredConsumer> its_consumers = {})
      : owned(std::move(its_events)) {
    for (const Event& event : owned) {
      events.push_back({event.stream, event.type, event.data, event.metadata, event.message_id,
                        event.origin_id, event.position, event.global_position, event.time_us,
                        event.json});
    }
    consumers = std::move(its_consumers);
  }

  const std::vector<Event> owned;
};

// Gives positions as a hub does, and takes them back when it is told to.
class Positions {
 public:
  Event next(const std::string& stream, std::string data = "{}") {
    Event event;
    event.stream = stream;
    event.position = next_[stream]++;
    event.global_position = ++last_;
    event.data = std::move(data);
    event.time_us = static_cast<int64_t>(1'000'000 * last_);
    return event;
  }
  std::unique_ptr<StoreBatch> batch(const std::string& stream, size_t events = 1) {
    std::vector<Event> all;
    for (; events > 0; --events) all.push_back(next(stream));
    return std::make_unique<Batch>(std::move(all));
  }
  uint64_t last() const { return last_; }
  void take_back(const Event& event) {
    next_[event.stream] = event.position;
    last_ = event.global_position - 1;
  }

 private:
  std::map<std::string, uint64_t> next_;
  uint64_t last_ = 0;
};

class User final : public StoreUser {
 public:
  using Answers = std::vector<std::pair<uint64_t, StoreOutcome>>;  // by first global position

  void on_appended(std::unique_ptr<StoreBatch> batch, StoreOutcome outcome) override {
    std::lock_guard guard(lock_);
    answers_.emplace_back(batch->events.empty() ? 0 : batch->events.front().global_position,
                          outcome);
    wake_.notify_all();
  }
  void on_page(uint64_t id, StorePage page) override {
    std::lock_guard guard(lock_);
    pages_[id] = std::move(page);
    wake_.notify_all();
  }
  void on_state(StoreState state, const std::string& reason) override {
    std::lock_guard guard(lock_);
    states_.emplace_back(state, reason);
    wake_.notify_all();
  }

  Answers wait_for_answers(size_t count) {
    return wait([this, count] { return answers_.size() >= count; }, answers_);
  }
  StoreOutcome last_answer(size_t count) { return wait_for_answers(count).back().second; }
  StorePage wait_for_page(uint64_t id) {
    std::unique_lock guard(lock_);
    EXPECT_TRUE(wake_.wait_for(guard, kPatience, [this, id] { return pages_.contains(id); }));
    return std::move(pages_[id]);
  }
  std::vector<std::pair<StoreState, std::string>> wait_for_states(size_t count) {
    return wait([this, count] { return states_.size() >= count; }, states_);
  }

 private:
  static constexpr std::chrono::seconds kPatience{60};

  template <typename Told>
  Told wait(const std::function<bool()>& condition, const Told& told) {
    std::unique_lock guard(lock_);
    EXPECT_TRUE(wake_.wait_for(guard, kPatience, condition));
    return told;
  }

  std::mutex lock_;
  std::condition_variable wake_;
  Answers answers_;
  std::map<uint64_t, StorePage> pages_;
  std::vector<std::pair<StoreState, std::string>> states_;
};

struct Loaded final : StoreLoad {
  Loaded() { events_max = bytes_max = ids_max = SIZE_MAX; }

  void on_stream(std::string_view name, uint64_t version) override {
    versions[std::string(name)] = version;
  }
  void on_message_id(const StoredEvent& event) override { ids.emplace_back(event.message_id); }
  void on_key(const StoredKey& key) override {
    keys[std::string(key.key)] = {key.global_position, key.position, key.count, key.fingerprint};
  }
  void on_event(const StoredEvent& event) override { events.push_back(Event::of(event)); }
  void on_consumer(const StoredConsumer& consumer) override {
    consumers[std::string(consumer.id)] = {consumer.position, consumer.fence};
  }
  void on_origin(std::string_view stream, std::string_view origin_id) override {
    origins[std::string(stream)] = origin_id;
  }

  std::map<std::string, uint64_t> versions;
  std::map<std::string, std::string> origins;
  std::vector<std::string> ids;
  std::map<std::string, std::vector<uint64_t>> keys;
  std::vector<Event> events;
  std::map<std::string, std::pair<uint64_t, uint64_t>> consumers;
};

// A store and all that belongs to it; made anew it is the next process.
struct Opened {
  explicit Opened(SqliteStoreOptions options, Loaded wanted = {})
      : loaded(std::move(wanted)), store(std::make_unique<SqliteStore>(std::move(options), user)) {
    head = store->load(loaded, error);
  }

  bool append(std::unique_ptr<StoreBatch> batch) { return store->append(batch); }
  std::vector<Event> page(StoreRead wanted, bool* end = nullptr) {
    wanted.id = ++reads;
    EXPECT_TRUE(store->read(wanted));
    StorePage page = user.wait_for_page(wanted.id);
    EXPECT_EQ(page.outcome, StoreOutcome::kDurable);
    if (end) *end = page.end;
    std::vector<Event> events;
    for (const StoredEvent& event : page.events) events.push_back(Event::of(event));
    return events;
  }

  User user;
  Loaded loaded;
  std::unique_ptr<SqliteStore> store;
  std::optional<StoreHead> head;
  std::string error;
  uint64_t reads = 0;
};

inline SqliteStoreOptions options_for(const std::string& file, StoreAck ack = StoreAck::kDisk) {
  SqliteStoreOptions options;
  options.file = file;
  options.ack = ack;
  options.room = {0, 0};
  return options;
}

}  // namespace sluice::test

// Where a hub's log is decided: one worker of the process, the hub's home. It checks what
// publishers ask for, gives positions and the time, makes blocks, and says what is evicted and
// forgotten. Each decision is a change, told in order to whoever carries it to all workers' logs.
// Its own worker's log has it as soon as it is told. Owned by that worker's hub, used on its
// thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "net/hub/block.h"
#include "net/hub/block_memory.h"
#include "net/hub/key_window.h"
#include "net/hub/log.h"

namespace sluice {

namespace limits {
// Of the names that publishers give to requests and messages, each up to 255 bytes: 40 MB at worst.
inline constexpr size_t kHubKeysMax = 100'000;
inline constexpr size_t kHubKeyBytesMax = 255;
inline constexpr size_t kHubConsumersMax = 10'000;
// Places in the log of events that their streams have let go, behind older ones that are held.
inline constexpr size_t kHubHolesMax = 1'000'000;
// Events of one request. A ring between workers has room for several such batches.
inline constexpr size_t kHubBatchMax = 1'000;
}  // namespace limits

// What a hub may keep and take; 0: no limit, unless said otherwise.
struct HubLimits {
  uint64_t history_bytes = 64ULL * 1024 * 1024;
  uint64_t history_events = 100'000;
  uint64_t history_age_ms = 0;
  uint64_t stream_events = 0;
  uint64_t stream_bytes = 0;  // but the newest event is kept
  uint64_t streams = 100'000;
  uint64_t rate = 0;                // events a second
  uint64_t window_ms = 5 * 60'000;  // of keys
  uint64_t holes = limits::kHubHolesMax;
};

// A change of the log.
class ChangeSink {
 public:
  // The draft is what the block was made of.
  virtual void append(Block& block, const EventDraft& draft) = 0;
  virtual void evict_through(uint64_t global) = 0;
  // The stream of which nothing has been held for longest.
  virtual void forget() = 0;

 protected:
  ~ChangeSink() = default;
};

struct PublishRequest {
  std::string stream = {};
  std::vector<EventDraft> events = {};
  std::optional<int64_t> expected_version = {};  // -1: the stream has no event
  std::string key = {};                          // names the request; empty: none does
  uint64_t fingerprint = 0;                      // with a key: of all that it asks for
};

struct PublishResult {
  enum class Status : uint8_t {
    kAppended,
    kDuplicate,  // of a request, or of messages, within the window
    kWrongVersion,
    kKeyReused,  // for another request
    kTooManyStreams,
    kTooFast,
    kBusy,       // a worker does not keep up, or the home has gone
    kStoreFull,  // the hub's disk is
    kStoreFailed,
  };

  Status status = Status::kBusy;
  uint64_t position = 0;  // of the last event
  uint64_t global = 0;
  uint64_t count = 0;    // of events that were appended now
  int64_t version = -1;  // of the stream, before
  uint64_t retry_ms = 0;

  bool is_of_store() const {
    return status == Status::kStoreFull || status == Status::kStoreFailed;
  }
};

class Home {
 public:
  // `seed` makes the epoch.
  Home(Log& log, ChangeSink& changes, BlockMemory& memory, uint64_t seed, uint32_t holders);

  void set_limits(const HubLimits& limits) { limits_ = limits; }
  // Bytes that the events take beyond their blocks, counted by all workers. It outlives the home.
  void count_also(const std::atomic<uint64_t>& bytes) { more_bytes_ = &bytes; }
  // All of its events, or none.
  PublishResult publish(const PublishRequest& request, uint64_t now_ms, uint64_t wall_ms);
  // Evicts what is over the limits, age too.
  void trim(uint64_t now_ms, uint64_t wall_ms);

  // Of the hub.
  // Its events are kept in a store, so names are not forgotten, and epochs stay over restarts.
  // `shows_durable`: what is appended is in the log only when the store has it (stored()), or never
  // (take_back()).
  void use_store(bool shows_durable);
  void restore_key(const std::string& key, const KeyWindow::Outcome& outcome, uint64_t at_ms) {
    keys_.add(key, outcome, at_ms);
  }
  void restore_time(uint64_t last_wall_ms) { last_wall_ms_ = last_wall_ms; }
  // Why it takes no new event; nullopt: it does.
  void set_refusal(std::optional<PublishResult::Status> why) { refusal_ = why; }
  // It is about to be in the log.
  void stored(Block& block);
  // All that has been appended and is not in the log has come to nothing.
  void take_back();

  static std::string request_key(std::string_view stream, std::string_view key);
  static std::string message_key(std::string_view stream, std::string_view id);
  static uint32_t stored_epoch(uint64_t seed, std::string_view stream);

  uint32_t epoch() const { return epoch_; }
  static uint32_t epoch_of(uint64_t seed);

  // nullopt: that consumer has stored none.
  std::optional<uint64_t> consumer(const std::string& id) const;
  // False: there are too many.
  bool set_consumer(const std::string& id, uint64_t position);
  // False: there was none.
  bool drop_consumer(const std::string& id) { return consumers_.erase(id) > 0; }
  // The store has refused either of them.
  void take_back_consumer(const std::string& id, std::optional<uint64_t> before);

 private:
  using Status = PublishResult::Status;

  bool takes(uint64_t events, uint64_t now_ms, PublishResult& result);
  bool has_room_for_stream(PublishResult& result);
  void bound_stream(Block& block) const;
  std::vector<bool> known_messages(const PublishRequest& request, PublishResult& result) const;
  // A stream's events that are appended and not yet in the log.
  struct Ahead {
    uint64_t next = 0;
    uint64_t events = 0;
    uint32_t epoch = 0;
  };

  uint64_t next_global() const { return log_.next() + ahead_events_; }
  uint32_t new_epoch(std::string_view stream) const;
  bool over_bytes() const;
  bool over_limits(uint64_t wall_ms) const;
  bool may_forget() const;

  Log& log_;
  ChangeSink& changes_;
  BlockMemory& memory_;
  HubLimits limits_;
  const uint64_t seed_;
  const uint32_t epoch_;
  const uint32_t holders_;
  const std::atomic<uint64_t>* more_bytes_ = nullptr;
  KeyWindow keys_{limits::kHubKeysMax};
  std::unordered_map<std::string, uint64_t> consumers_;
  uint64_t last_wall_ms_ = 0;
  // Of the rate: what may be taken now, in thousandths of an event, and since when that holds.
  int64_t allowance_ = 0;
  uint64_t allowance_ms_ = 0;
  std::string scratch_;
  bool stored_ = false;
  bool shows_durable_ = false;
  std::optional<PublishResult::Status> refusal_;
  std::unordered_map<std::string, Ahead> ahead_;
  uint64_t ahead_events_ = 0;
};

}  // namespace sluice

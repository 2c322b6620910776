// Where a hub's events outlive the process. A hub without a store has a null pointer here: memory
// alone. net/hub/sqlite_store.h is the store on this machine's disk, and docs/hub-store.md says
// what a distributed log in its place has to do. A store belongs to one hub. One thread at a time
// (the one that gives events their positions) calls what is declared here, and no call waits for
// the disk, except load() and close(). A StoreUser hears the outcomes on threads of the store; it
// only passes them on (a mailbox, a ring), since the store waits meanwhile.
//
// Events are appended in the order of their global positions, which have no gap. So one number says
// what is safe, and a batch that does not follow the last one is recognised: it was on its way when
// an earlier one was refused.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

// A store's times are in microseconds, the hub's in milliseconds.
inline constexpr int64_t kUsPerMs = 1000;

// Which life of the hub a position belongs to: positions of one epoch never name two events. 128
// random bits.
struct HubEpoch {
  uint64_t high = 0;
  uint64_t low = 0;

  bool operator==(const HubEpoch&) const = default;
};

struct StoredEvent {
  std::string_view stream;
  std::string_view type;
  std::string_view data;
  std::string_view metadata;     // JSON; empty: none
  std::string_view message_id;   // as its publisher wrote it, a UUID or any other text; empty: none
  std::string_view origin_id;    // which the upstream gave to it; empty: none
  uint64_t position = 0;         // within its stream, from 0, no gap
  uint64_t global_position = 0;  // within the hub, from 1, no gap
  int64_t time_us = 0;           // since 1970; never less than that of the event before
  bool json = true;              // the data is; else it is text
};

// How far a consumer has come. `fence` grows whenever a group's lease changes hands; the store only
// keeps it, so that it does not go back with a restart.
struct StoredConsumer {
  std::string_view id;
  uint64_t position = 0;
  uint64_t fence = 0;
  bool gone = false;  // it is to be kept no longer
};

// A publisher's name for a request (Idempotency-Key), and what became of that request. It is kept
// for a while, so that a request that is sent again is not appended again.
struct StoredKey {
  std::string_view key;
  uint64_t global_position = 0;  // of the request's last event
  uint64_t position = 0;
  uint64_t count = 0;
  uint64_t fingerprint = 0;
  int64_t time_us = 0;
};

// What is to be made durable together. Its texts are views: their bytes stay as they are until the
// batch has come back. Who appends it may derive from it what holds those bytes.
struct StoreBatch {
  virtual ~StoreBatch() = default;

  std::vector<StoredEvent> events;        // in order
  std::vector<StoredKey> keys;            // of requests whose events these are
  std::vector<StoredConsumer> consumers;  // of one id the last counts
};

enum class StoreOutcome : uint8_t {
  kDurable,
  kFull,    // there is no room (507)
  kFailed,  // the store does not work, for now or for good (503)
  // It did not follow the last event that stands: one before it was refused.
  kOutOfOrder,
};

enum class StoreState : uint8_t {
  kReady,
  kFull,    // goes on by itself when there is room
  kFailed,  // tries again by itself
  kBroken,  // for good: the file is damaged
};

// What an answer to a publisher means, and so what subscribers may see, and what a failure does.
enum class StoreAck : uint8_t {
  // An event is shown when it is durable. What fails is refused, and its positions are free again.
  // So whatever was shown survives, and the epoch with it.
  kDisk,
  // An event is shown at once. Nothing is refused: what cannot be written waits in the queue, and
  // the hub stops taking more as long as the state is not kReady. The process may end before all is
  // written, and its successor has a new epoch then.
  kMemory,
};

// A page of history, as it was at one moment. Its texts live as long as `texts` does.
struct StorePage {
  std::vector<StoredEvent> events;
  uint64_t from = 0;     // the first global position that was looked at
  uint64_t through = 0;  // and the last one: what is wanted of those is all here
  uint64_t first = 0;    // of all that the store keeps, the first global position; 0: it is empty
  uint64_t last = 0;
  bool end = false;                               // there was nothing more when it was read
  StoreOutcome outcome = StoreOutcome::kDurable;  // kFailed: nothing could be read
  std::shared_ptr<const void> texts;
};

struct StoreRead {
  struct Source {
    std::string name;
    bool is_category = false;
  };

  uint64_t id = 0;              // the reader's own, to know the page by
  std::vector<Source> of = {};  // what is of any of these; empty: of the whole hub
  uint64_t from = 0;            // the first global position that is wanted
  // Instead: the first event at this time or later.
  std::optional<int64_t> since_us = {};
  // Instead: the first position in the stream that is read alone.
  std::optional<uint64_t> from_position = {};
  // With `from_position`: what lies before that, the last one first.
  bool backwards = false;
  size_t events_max = 100;
  size_t bytes_max = size_t{256} * 1024;  // one event is read, however large it is
};

// Hears of outcomes, on the store's threads. It outlives the store.
class StoreUser {
 public:
  // A batch is done with, in the order of append(). kDurable: it is, and so are all before it.
  virtual void on_appended(std::unique_ptr<StoreBatch> batch, StoreOutcome outcome) = 0;
  virtual void on_page(uint64_t id, StorePage page) = 0;
  // `reason` is for a log line; empty when it is ready again.
  virtual void on_state(StoreState state, const std::string& reason) = 0;

 protected:
  ~StoreUser() = default;
};

// What a hub begins with. It is told on the thread that calls load(), within that call: streams
// first, then keys, then events, each behind its id, then consumers and origins. Texts last for the
// call.
class StoreLoad {
 public:
  // How much of history and how many ids are wanted.
  size_t events_max = 0;
  size_t bytes_max = 0;
  size_t ids_max = 0;
  int64_t ids_since_us = 0;
  std::vector<std::string> fed;  // streams that have a source

  // `version`: the position of its last event.
  virtual void on_stream(std::string_view name, uint64_t version) = 0;
  // Of an event that has an id and lies in the window of de-duplication, oldest first.
  virtual void on_message_id(const StoredEvent& event) = 0;
  // One of the window of de-duplication, oldest first.
  virtual void on_key(const StoredKey& key) = 0;
  // One of the newest events, oldest first.
  virtual void on_event(const StoredEvent& event) = 0;
  virtual void on_consumer(const StoredConsumer& consumer) = 0;
  // Of a stream that has a source: the newest id of that one's, among the last events.
  virtual void on_origin(std::string_view stream, std::string_view origin_id) = 0;

 protected:
  ~StoreLoad() = default;
};

struct StoreHead {
  HubEpoch epoch;
  uint64_t first_global_position = 0;  // the oldest that is kept; 0: there is none
  uint64_t last_global_position = 0;   // 0: no event has been stored yet
  int64_t last_time_us = 0;
};

class Store {
 public:
  // Writes what is queued, as far as it can be written now, and ends the store's threads.
  virtual ~Store() = default;

  // First, once. The error is a line for whoever started the process.
  virtual std::optional<StoreHead> load(StoreLoad& into, std::string& error) = 0;

  // False: the queue is full (503, try again), and the batch is still the caller's. Else
  // on_appended() follows, never within the call.
  virtual bool append(std::unique_ptr<StoreBatch>& batch) = 0;
  // False: too many reads are waiting. Else on_page() follows, never within the call.
  virtual bool read(StoreRead read) = 0;
  // Any thread. What a publisher is refused with before an event gets a position.
  virtual StoreState state() const = 0;
};

}  // namespace sluice

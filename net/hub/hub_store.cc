#include "net/hub/hub_store.h"

#include <algorithm>
#include <unordered_map>

#include "core/text.h"
#include "net/hub/home.h"
#include "net/hub/publish_body.h"

namespace sluice {

namespace {

// A block holds an event in four forms, so that much less of the file fills the memory of a hub.
constexpr uint64_t kBytesInMemory = 2;

SqliteStoreOptions options_of(const StreamSettings& settings, const std::string& file,
                              StoreAck ack) {
  SqliteStoreOptions options;
  options.file = file;
  options.ack = ack;
  options.history.events_max = settings.hub_store_events;
  options.history.bytes_max = settings.hub_store_bytes;
  options.history.age_us_max = static_cast<int64_t>(settings.hub_store_age_ms) * kUsPerMs;
  options.history.key_age_us_max = static_cast<int64_t>(settings.hub_dedup_window_ms) * kUsPerMs;
  options.queue_bytes_max = UINT64_MAX;  // the home has a limit of its own
  return options;
}

}  // namespace

Block* make_block(const StoredEvent& event, uint64_t seed, uint32_t holders, std::string& scratch) {
  EventDraft draft{.type = event.type,
                   .data = event.data,
                   .metadata = event.metadata,
                   .message_id = event.message_id,
                   .origin_id = event.origin_id,
                   .correlation = correlation_of(event.metadata),
                   .json = event.json};
  EventPlace place{.stream = event.stream,
                   .position = event.position,
                   .global = event.global_position,
                   .time_ms = static_cast<uint64_t>(event.time_us / kUsPerMs),
                   .stream_epoch = Home::stored_epoch(seed, event.stream),
                   .hub_epoch = Home::epoch_of(seed)};
  return Block::make(draft, place, holders, scratch);
}

// --- batches ---

void HubBatch::add(Block& block, const EventDraft& draft, uint32_t holds) {
  held = holds;
  blocks.push_back(&block);
  parts_.push_back({draft.data.size(), draft.metadata.size(), draft.json});
  texts_.append(draft.data).append(draft.metadata);
  bytes += block.bytes() + draft.data.size() + draft.metadata.size();
}

void HubBatch::add_key(std::string key, const KeyWindow::Outcome& outcome, uint64_t wall_ms) {
  StoredKey stored{.key = {},
                   .global_position = outcome.global,
                   .position = outcome.position,
                   .count = outcome.count,
                   .fingerprint = outcome.fingerprint,
                   .time_us = static_cast<int64_t>(wall_ms) * kUsPerMs};
  keys_.emplace_back(std::move(key), stored);
}

void HubBatch::add_consumer(GroupRow row) {
  consumers_.push_back(std::move(row));
}

void HubBatch::close() {
  size_t at = 0;
  for (size_t i = 0; i < blocks.size(); ++i) {
    const Block& block = *blocks[i];
    std::string_view text(texts_);
    events.push_back({.stream = block.stream(),
                      .type = block.type(),
                      .data = text.substr(at, parts_[i].data_bytes),
                      .metadata = text.substr(at + parts_[i].data_bytes, parts_[i].metadata_bytes),
                      .message_id = block.message_id(),
                      .origin_id = block.origin_id(),
                      .position = block.position(),
                      .global_position = block.global(),
                      .time_us = static_cast<int64_t>(block.time_ms()) * kUsPerMs,
                      .json = parts_[i].json});
    at += parts_[i].data_bytes + parts_[i].metadata_bytes;
  }
  for (auto& [key, stored] : keys_) {
    stored.key = key;
    keys.push_back(stored);
  }
  for (const GroupRow& row : consumers_)
    consumers.push_back(
        {.id = row.id, .position = row.position, .fence = row.fence, .gone = row.gone});
}

HubBatch::~HubBatch() {
  for (Block* block : blocks)
    for (uint32_t i = 0; i < held; ++i) block->let_go();
}

// --- the start ---

class HubStore::Loading final : public StoreLoad {
 public:
  Loading(HubHistory& history, uint32_t workers) : history_(history), workers_(workers) {}

  // The epoch is known once all has been read, and blocks have it in them: so they are made then.
  void make_blocks() {
    std::string scratch;
    for (const Kept& kept : kept_) {
      StoredEvent event{.stream = kept.stream,
                        .type = kept.type,
                        .data = kept.data,
                        .metadata = kept.metadata,
                        .message_id = kept.message_id,
                        .origin_id = kept.origin_id,
                        .position = kept.position,
                        .global_position = kept.global,
                        .time_us = kept.time_us,
                        .json = kept.json};
      history_.blocks.push_back(make_block(event, history_.seed, workers_, scratch));
    }
    if (!kept_.empty()) history_.first = kept_.front().global;
  }

  // To what each stream may keep now, by the last event that it has.
  void bound_streams(uint64_t most_events, uint64_t most_bytes) {
    struct Held {
      Block* last;
      uint64_t events = 0;
      uint64_t bytes = 0;
      bool is_full = false;
    };
    std::unordered_map<std::string_view, Held> streams;
    for (auto at = history_.blocks.rbegin(); at != history_.blocks.rend(); ++at) {
      Block& block = **at;
      Held& held = streams.try_emplace(block.stream(), Held{.last = &block}).first->second;
      if (held.is_full) continue;
      ++held.events;
      held.bytes += block.bytes();
      held.is_full = held.last != &block && ((most_events != 0 && held.events > most_events) ||
                                             (most_bytes != 0 && held.bytes > most_bytes));
      if (held.is_full) held.last->set_stream_first(block.position() + 1);
    }
  }

 private:
  struct Kept {
    std::string stream;
    std::string type;
    std::string data;
    std::string metadata;
    std::string message_id;
    std::string origin_id;
    uint64_t position;
    uint64_t global;
    int64_t time_us;
    bool json;
  };

  static uint64_t ms(int64_t us) { return static_cast<uint64_t>(us / kUsPerMs); }

  void on_stream(std::string_view name, uint64_t version) override {
    history_.streams.push_back({std::string(name), version + 1});
  }
  void on_key(const StoredKey& key) override {
    history_.keys.push_back({std::string(key.key),
                             {key.position, key.global_position, key.count, key.fingerprint},
                             ms(key.time_us)});
  }
  void on_message_id(const StoredEvent& event) override {
    history_.keys.push_back({Home::message_key(event.stream, event.message_id),
                             {event.position, event.global_position, 1, 0},
                             ms(event.time_us)});
  }
  void on_event(const StoredEvent& event) override {
    kept_.push_back({std::string(event.stream), std::string(event.type), std::string(event.data),
                     std::string(event.metadata), std::string(event.message_id),
                     std::string(event.origin_id), event.position, event.global_position,
                     event.time_us, event.json});
  }
  void on_consumer(const StoredConsumer& consumer) override {
    history_.consumers.push_back({std::string(consumer.id), consumer.position, consumer.fence});
  }
  void on_origin(std::string_view stream, std::string_view origin_id) override {
    history_.origins.emplace(stream, origin_id);
  }

  HubHistory& history_;
  const uint32_t workers_;
  std::vector<Kept> kept_;
};

HubStore::HubStore(const StreamSettings& settings, std::string file, uint32_t workers, Wake wake)
    : file_(std::move(file)),
      ack_(settings.hub_ack == HubAck::kDisk ? StoreAck::kDisk : StoreAck::kMemory),
      workers_(workers),
      wake_(std::move(wake)),
      pages_(workers),
      store_(std::make_unique<SqliteStore>(options_of(settings, file_, ack_), *this)) {}

HubStore::HubStore(HubAck ack, const std::function<std::unique_ptr<Store>(StoreUser&)>& make,
                   uint32_t workers, Wake wake)
    : ack_(ack == HubAck::kDisk ? StoreAck::kDisk : StoreAck::kMemory),
      workers_(workers),
      wake_(std::move(wake)),
      pages_(workers),
      store_(make(*this)) {}

HubStore::~HubStore() {
  silence();
  store_.reset();
  for (uint32_t left = taken_.load(); left < workers_; ++left)
    for (Block* block : history_.blocks) block->let_go();
}

std::string HubStore::load(const StreamSettings& settings, uint64_t wall_ms,
                           std::vector<std::string> fed) {
  Loading loading(history_, workers_);
  loading.fed = std::move(fed);
  loading.events_max = settings.hub_history_events == 0 ? SIZE_MAX : settings.hub_history_events;
  loading.bytes_max =
      settings.hub_history_bytes == 0 ? SIZE_MAX : settings.hub_history_bytes / kBytesInMemory;
  loading.ids_max = limits::kHubKeysMax;
  loading.ids_since_us =
      static_cast<int64_t>(wall_ms - std::min(wall_ms, settings.hub_dedup_window_ms)) * kUsPerMs;
  std::string error;
  std::optional<StoreHead> head = store_->load(loading, error);
  if (!head) return error;
  history_.seed = mix(head->epoch.high) ^ head->epoch.low;
  history_.next = history_.first = head->last_global_position + 1;
  history_.last_time_ms = static_cast<uint64_t>(head->last_time_us / kUsPerMs);
  loading.make_blocks();
  loading.bound_streams(settings.hub_stream_events, settings.hub_stream_bytes);
  // Those of requests and those of messages, in the order in which they were used.
  std::ranges::stable_sort(history_.keys, {},
                           [](const HubHistory::Key& key) { return key.outcome.global; });
  return "";
}

void HubStore::taken() {
  if (taken_.fetch_add(1, std::memory_order_acq_rel) + 1 < workers_) return;
  history_ = {};
}

// --- the inbox ---

void HubStore::silence() {
  std::lock_guard guard(lock_);
  wake_ = nullptr;
}

HubStore::News HubStore::take_news() {
  std::lock_guard guard(lock_);
  return std::exchange(news_, {});
}

void HubStore::on_appended(std::unique_ptr<StoreBatch> batch, StoreOutcome outcome) {
  std::lock_guard guard(lock_);
  news_.answers.emplace_back(std::move(batch), outcome);
  if (wake_) wake_(std::nullopt);
}

// --- pages ---

// The id of a read names the worker, too.
bool HubStore::read(unsigned worker, uint64_t ticket, StoreRead read) {
  read.id = ticket * workers_ + worker;
  return store_->read(std::move(read));
}

HubStore::Pages HubStore::take_pages(unsigned worker) {
  std::lock_guard guard(lock_);
  return std::exchange(pages_[worker], {});
}

void HubStore::on_page(uint64_t id, StorePage page) {
  auto worker = static_cast<unsigned>(id % workers_);
  std::lock_guard guard(lock_);
  pages_[worker].emplace_back(id / workers_, std::move(page));
  if (wake_) wake_(worker);
}

void HubStore::on_state(StoreState state, const std::string& reason) {
  std::lock_guard guard(lock_);
  news_.states.emplace_back(state, reason);
  if (wake_) wake_(std::nullopt);
}

}  // namespace sluice

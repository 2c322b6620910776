#include "tests/sim/hub_disk.h"

#include <algorithm>
#include <iterator>
#include <memory>
#include <utility>

#include "net/hub/names.h"

namespace sluice::sim {

namespace {

bool follows(const StoreBatch& batch, uint64_t last_global) {
  return batch.events.empty() || batch.events.front().global_position == last_global + 1;
}

}  // namespace

StoredEvent HubDisk::Event::stored() const {
  return {.stream = stream,
          .type = type,
          .data = data,
          .metadata = metadata,
          .message_id = message_id,
          .origin_id = {},
          .position = position,
          .global_position = global,
          .time_us = time_us,
          .json = json};
}

HubDiskStore::HubDiskStore(World& world, HubDisk& disk, StoreAck ack, const Traits& traits,
                           StoreUser& user)
    : world_(world), disk_(disk), ack_(ack), traits_(traits), user_(user) {}

// In order: all that waits is written, whatever had failed before.
HubDiskStore::~HubDiskStore() {
  *alive_ = false;
  if (killed_) return;
  for (Batches* batches : {&committing_, &waiting_})
    for (const std::unique_ptr<StoreBatch>& batch : *batches)
      if (follows(*batch, last_global())) write(*batch);
  disk_.in_order = true;
}

template <typename Happens>
void HubDiskStore::after(uint64_t delay_ns, Happens happens) {
  world_.after(delay_ns, [alive = alive_, happens] {
    if (*alive) happens();
  });
}

std::optional<StoreHead> HubDiskStore::load(StoreLoad& into, std::string& /*error*/) {
  if (disk_.epoch == HubEpoch{} || !disk_.in_order)
    disk_.epoch = {world_.random.next(), world_.random.next()};
  disk_.in_order = ack_ == StoreAck::kDisk;
  std::map<std::string, uint64_t> versions;
  for (const HubDisk::Event& event : disk_.events) versions[event.stream] = event.position;
  for (const auto& [name, version] : versions) into.on_stream(name, version);
  for (const HubDisk::Key& key : disk_.keys) {
    StoredKey stored = key.stored;
    stored.key = key.key;
    into.on_key(stored);
  }
  size_t first = disk_.events.size();
  for (size_t bytes = 0; first > 0 && disk_.events.size() - first < into.events_max; --first) {
    const HubDisk::Event& event = disk_.events[first - 1];
    bytes += event.data.size() + event.metadata.size();
    if (bytes > into.bytes_max) break;
  }
  for (size_t i = 0; i < disk_.events.size(); ++i) {
    const HubDisk::Event& event = disk_.events[i];
    StoredEvent stored = event.stored();
    if (!event.message_id.empty()) into.on_message_id(stored);
    if (i >= first) into.on_event(stored);
  }
  for (const auto& [id, consumer] : disk_.consumers)
    into.on_consumer({.id = id, .position = consumer.position, .fence = consumer.fence});
  return StoreHead{.epoch = disk_.epoch,
                   .first_global_position = disk_.events.empty() ? uint64_t{0} : 1,
                   .last_global_position = last_global(),
                   .last_time_us = disk_.events.empty() ? 0 : disk_.events.back().time_us};
}

bool HubDiskStore::append(std::unique_ptr<StoreBatch>& batch) {
  waiting_.push_back(std::move(batch));
  if (committing_.empty() && !killed_) after(0, [this] { begin_commit(); });
  return true;
}

// The page is what the disk holds at the end of the delay.
bool HubDiskStore::read(StoreRead wanted) {
  after(world_.random.magnitude(1, traits_.page_ns_max), [this, wanted = std::move(wanted)] {
    StorePage page;
    if (reads())
      page = page_of(wanted);
    else
      page.outcome = StoreOutcome::kFailed;
    user_.on_page(wanted.id, std::move(page));
  });
  return true;
}

bool HubDiskStore::reads() {
  if (disk_.can_be_read) return true;
  if (world_.random.chance(traits_.unread))
    unread_until_ns_ = world_.now_ns() + world_.random.magnitude(1, traits_.unread_ns_max);
  if (world_.now_ns() >= unread_until_ns_) return true;
  disk_.trouble_ns = world_.now_ns();
  return false;
}

// Global positions are dense from 1, so an event's is its place here.
StorePage HubDiskStore::page_of(const StoreRead& wanted) const {
  auto is_wanted = [&](const HubDisk::Event& event) {
    auto has = [&event](const StoreRead::Source& source) {
      return source.is_category ? category_of(event.stream) == source.name
                                : event.stream == source.name;
    };
    return wanted.of.empty() || std::ranges::any_of(wanted.of, has);
  };
  StorePage page;
  page.from = wanted.from;
  page.first = disk_.events.empty() ? 0 : 1;
  page.last = last_global();
  if (wanted.since_us) {
    auto late = [&](const HubDisk::Event& event) { return event.time_us >= *wanted.since_us; };
    page.from =
        1 + static_cast<uint64_t>(std::ranges::find_if(disk_.events, late) - disk_.events.begin());
  }
  auto texts = std::make_shared<std::deque<HubDisk::Event>>();
  size_t bytes = 0;
  page.end = true;
  for (size_t i = 0; i < disk_.events.size() && page.end; ++i) {
    const HubDisk::Event& event = disk_.events[wanted.backwards ? disk_.events.size() - 1 - i : i];
    uint64_t position = wanted.from_position.value_or(0);
    bool there = wanted.backwards       ? event.position <= position
                 : wanted.from_position ? event.position >= position
                                        : event.global >= page.from;
    if (!there || !is_wanted(event)) continue;
    bytes += event.data.size() + event.metadata.size();
    page.end = page.events.size() < wanted.events_max &&
               (bytes <= wanted.bytes_max || page.events.empty());
    if (page.end) page.events.push_back(texts->emplace_back(event).stored());
  }
  page.through = page.end ? page.last : page.events.back().global_position;
  page.texts = std::move(texts);
  return page;
}

void HubDiskStore::begin_commit() {
  if (!committing_.empty() || waiting_.empty()) return;
  if (state_ != StoreState::kReady) {
    if (ack_ == StoreAck::kDisk) refuse();
    return;
  }
  // Behind one that was refused none follows what is durable.
  while (!waiting_.empty()) {
    const StoreBatch& next = *waiting_.front();
    uint64_t last = last_global();
    for (const auto& batch : committing_)
      if (!batch->events.empty()) last = batch->events.back().global_position;
    if (!follows(next, last)) break;
    committing_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  if (committing_.empty()) {
    auto batch = std::move(waiting_.front());
    waiting_.pop_front();
    user_.on_appended(std::move(batch), StoreOutcome::kOutOfOrder);
    after(0, [this] { begin_commit(); });
    return;
  }
  after(world_.random.magnitude(1, traits_.commit_ns_max), [this] { end_commit(); });
}

void HubDiskStore::end_commit() {
  if (world_.random.chance(traits_.fails)) {
    disk_.trouble_ns = world_.now_ns();
    become(world_.random.chance(0.5) ? StoreState::kFull : StoreState::kFailed);
    waiting_.insert(waiting_.begin(), std::move_iterator(committing_.begin()),
                    std::move_iterator(committing_.end()));
    committing_.clear();
    if (ack_ == StoreAck::kDisk) refuse();
    after(world_.random.magnitude(1, traits_.fails_ns_max), [this] {
      become(StoreState::kReady);
      begin_commit();
    });
    return;
  }
  for (std::unique_ptr<StoreBatch>& batch : std::exchange(committing_, {})) {
    write(*batch);
    user_.on_appended(std::move(batch), StoreOutcome::kDurable);
  }
  begin_commit();
}

void HubDiskStore::refuse() {
  StoreOutcome outcome = state_ == StoreState::kFull ? StoreOutcome::kFull : StoreOutcome::kFailed;
  for (std::unique_ptr<StoreBatch>& batch : std::exchange(waiting_, {}))
    user_.on_appended(std::move(batch), outcome);
}

void HubDiskStore::become(StoreState state) {
  state_ = state;
  world_.trace("the store is %s", state == StoreState::kReady ? "ready" : "not ready");
  user_.on_state(state, state == StoreState::kReady ? "" : "as the seed says");
}

void HubDiskStore::write(const StoreBatch& batch) {
  for (const StoredEvent& event : batch.events) {
    if (event.global_position != last_global() + 1)
      violation("an event is written that does not follow the one before");
    disk_.events.push_back({std::string(event.stream), std::string(event.type),
                            std::string(event.data), std::string(event.metadata),
                            std::string(event.message_id), event.position, event.global_position,
                            event.time_us, event.json});
  }
  for (const StoredKey& key : batch.keys) disk_.keys.push_back({std::string(key.key), key});
  for (const StoredConsumer& consumer : batch.consumers) {
    std::string id(consumer.id);
    if (consumer.gone)
      disk_.consumers.erase(id);
    else
      disk_.consumers[id] = {consumer.position, consumer.fence};
  }
}

void HubDiskStore::kill() {
  killed_ = true;
  *alive_ = false;
  bool done = world_.random.chance(0.5);
  if (done)
    for (const std::unique_ptr<StoreBatch>& batch : committing_) write(*batch);
}

}  // namespace sluice::sim

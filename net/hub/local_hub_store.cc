// A hub's home and its store: what was there at the start, what goes to the store, and what has
// become of it.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "core/clock.h"
#include "net/hub/hub_store.h"
#include "net/hub/local_hub.h"

namespace sluice {

namespace {

// Of events that the store has not taken yet; more of them are refused.
constexpr uint64_t kUnstoredBytesMax = uint64_t{32} << 20;
constexpr size_t kUnstoredEventsMax = 8192;

using PublishStatus = PublishResult::Status;

PublishStatus refused_with(StoreOutcome outcome) {
  return outcome == StoreOutcome::kFull ? PublishStatus::kStoreFull : PublishStatus::kStoreFailed;
}

// Its answer may rest on what the store has refused, and is another one then.
bool only_reads(const HomeCall& call) {
  return call.kind == HomeCall::Kind::kReadConsumer ||
         (call.group && call.group->kind == GroupCall::Kind::kRead);
}

}  // namespace

void LocalHub::restore(HubStore& store) {
  const HubHistory& history = store.history();
  log_.restore(history.first);
  for (Block* block : history.blocks) {
    bool created = false;
    log_.append(*block, &created);
  }
  for (const HubHistory::At& at : history.streams)
    log_.restore_stream(at.stream, Home::stored_epoch(exchange_.seed, at.stream), at.next);
  if (home_) {
    home_->use_store(store.shows_durable());
    home_->restore_time(history.last_time_ms);
    uint64_t now_ms = context_.loop.now_ms();
    uint64_t wall_ms = wall_clock_ms();
    for (const HubHistory::Key& key : history.keys) {
      uint64_t age_ms = wall_ms - std::min(wall_ms, key.time_ms);
      home_->restore_key(key.key, key.outcome, now_ms - std::min(now_ms, age_ms));
    }
    restore_consumers(history);
    origins_ = history.origins;
    unstored_ = std::make_unique<Unstored>(store);
  }
  pages_ = std::make_unique<PageReads>(context_, store);
  store.taken();
}

std::optional<PublishStatus> LocalHub::refusal() const {
  if (!unstored_) return std::nullopt;
  StoreState state = unstored_->store().store().state();
  if (state == StoreState::kFull) return PublishStatus::kStoreFull;
  if (state != StoreState::kReady) return PublishStatus::kStoreFailed;
  bool behind = unstored_->bytes() > kUnstoredBytesMax ||
                unstored_->events() > kUnstoredEventsMax ||
                unstored_->calls() >= limits::kHubLaneCalls;
  if (behind) return PublishStatus::kStoreFailed;
  return std::nullopt;
}

// An event that is known already may still be on its way to the disk, and so may what an answer
// about a consumer or a group rests on.
bool LocalHub::waits_for_store(const HomeCall& call) const {
  if (!unstored_ || unstored_->empty()) return false;
  bool wants = call.ack ? call.ack == HubAck::kDisk : unstored_->store().shows_durable();
  if (!wants || call.result.is_of_store()) return false;
  if (call.group) return call.group->rests_on_store();
  if (call.kind != HomeCall::Kind::kPublish) return true;
  return call.result.status == PublishStatus::kAppended ||
         call.result.status == PublishStatus::kDuplicate;
}

void LocalHub::wait_for_store(std::unique_ptr<HomeCall> call, unsigned worker) {
  unstored_->wait(std::move(call), worker);
  if (store_fails()) refuse_reads();
}

// What waits may be in doubt for as long as it fails. As it has told us, behind what it took
// before.
bool LocalHub::store_fails() const {
  return store_state_ == StoreState::kFailed || store_state_ == StoreState::kBroken;
}

void LocalHub::refuse_reads() {
  unsigned worker = 0;
  while (std::unique_ptr<HomeCall> call = unstored_->next_that(only_reads, worker)) {
    call->result.status = PublishStatus::kStoreFailed;
    answer_from_home(std::move(call), worker);
  }
}

void LocalHub::store_event(Block& block, const EventDraft& draft) {
  bool shown = !unstored_->store().shows_durable();
  unstored_->open().add(block, draft, shown ? 1 : process_.workers() + 1);
  context_.loop.flush_later(*this);
}

// What goes with the events, or instead.
void LocalHub::store_rest(const HomeCall& call) {
  if (call.kind == HomeCall::Kind::kStoreConsumer && call.stored) {
    unstored_->open().add_consumer(
        {.id = call.consumer, .position = call.position.value_or(0), .gone = !call.position});
    context_.loop.flush_later(*this);
  }
  if (call.group && !call.group->rows.empty()) {
    for (const GroupRow& row : call.group->rows) unstored_->open().add_consumer(row);
    context_.loop.flush_later(*this);
  }
  bool named = call.kind == HomeCall::Kind::kPublish && !call.publish.key.empty() &&
               call.result.status == PublishStatus::kAppended;
  if (!named) return;
  unstored_->open().add_key(
      Home::request_key(call.publish.stream, call.publish.key),
      {call.result.position, call.result.global, call.result.count, call.publish.fingerprint},
      wall_clock_ms());
}

void LocalHub::on_store_news() {
  HubStore::News news = unstored_->store().take_news();
  for (const auto& [state, reason] : news.states) {
    store_state_ = state;
    log_state(state, reason);
  }
  for (auto& [batch, outcome] : news.answers) {
    auto& ours = static_cast<HubBatch&>(*batch);
    if (!unstored_->returned(ours)) continue;
    if (outcome == StoreOutcome::kDurable)
      on_stored(ours);
    else
      on_not_stored(outcome);
  }
  // Once, behind all that has been shown: so the lanes have room for it.
  if (!news.answers.empty()) home_->trim(context_.loop.now_ms(), wall_clock_ms());
  tell_evicted();
  if (store_fails()) refuse_reads();
}

void LocalHub::on_stored(HubBatch& batch) {
  if (unstored_->store().shows_durable()) {
    for (Block* block : batch.blocks) {
      home_->stored(*block);
      show(*block);
    }
    batch.held = 1;
    exchange_.next.store(log_.next(), std::memory_order_release);
  }
  unsigned worker = 0;
  while (std::unique_ptr<HomeCall> call = unstored_->next_answered(batch.number, worker))
    answer_from_home(std::move(call), worker);
}

// What follows it comes to nothing, too.
void LocalHub::on_not_stored(StoreOutcome outcome) {
  unstored_->give_up();
  bool takes_back = unstored_->store().shows_durable();
  if (takes_back) home_->take_back();
  std::vector<std::pair<std::unique_ptr<HomeCall>, unsigned>> refused;
  unsigned worker = 0;
  while (std::unique_ptr<HomeCall> call = unstored_->next_answered(UINT64_MAX, worker))
    refused.emplace_back(std::move(call), worker);
  // The last one first, so that a consumer is left with what it had before all of them.
  for (auto last = refused.rbegin(); takes_back && last != refused.rend(); ++last) {
    const std::unique_ptr<HomeCall>& call = last->first;
    if (call->kind == HomeCall::Kind::kStoreConsumer)
      home_->take_back_consumer(call->consumer, call->before);
    if (!call->group) continue;
    groups_->take_back(*call->group, context_.loop.now_ms());
    if (call->stored && call->group->kind == GroupCall::Kind::kLease) --counts_.leases_granted;
  }
  for (auto& [call, its_worker] : refused) {
    if (only_reads(*call)) {
      serve(*call);
    } else {
      call->result.status = refused_with(outcome);
      call->stored = false;
    }
    answer_from_home(std::move(call), its_worker);
  }
}

void LocalHub::log_state(StoreState state, const std::string& reason) {
  uint64_t failing = state == StoreState::kReady ? 0 : 1;
  if (failing > counts_.store_failing) ++counts_.store_failures;
  counts_.store_failing = failing;
  std::string text = "hub " + exchange_.name + ": its store ";
  switch (state) {
    case StoreState::kReady:
      text += "takes events again";
      break;
    case StoreState::kFull:
      text += "is full, and takes none until there is room: " + reason;
      break;
    case StoreState::kFailed:
      text += "fails, and is tried again: " + reason;
      break;
    case StoreState::kBroken:
      text += "takes no more before a restart: " + reason;
      break;
  }
  context_.messages.write(state == StoreState::kReady ? LogLevel::kInfo : LogLevel::kError,
                          context_.loop.now_ms(), text);
}

}  // namespace sluice

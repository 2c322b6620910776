#include "net/hub/local_hub.h"

#include <algorithm>
#include <utility>

#include "core/check.h"
#include "core/clock.h"
#include "net/hub/names.h"

namespace sluice {

namespace {

// Readers that read on in one turn.
constexpr unsigned kReadersATurn = 1024;
constexpr size_t kHomeCallsKept = 16;
// Tokens begin with the clock. No process gives more in that time, so they grow over restarts
// without a store, too; and they are exact in JavaScript.
constexpr uint64_t kTokensPerMs = 1000;

}  // namespace

LocalHub::LocalHub(WorkerContext& context, HubProcess& process, HubExchange& exchange,
                   BlockSlots& slots, TextCoder& coder)
    : context_(context),
      process_(process),
      exchange_(exchange),
      epoch_(Home::epoch_of(exchange.seed)),
      log_(slots),
      coder_(log_, slots, coder, exchange.coded_bytes),
      calls_(kHomeCallsKept) {
  counts_.name = exchange.name;
  if (is_home()) {
    ChangeSink& changes = *this;
    home_ =
        std::make_unique<Home>(log_, changes, exchange.memory, exchange.seed, process.workers());
    home_->count_also(exchange.coded_bytes);
    groups_ = std::make_unique<Groups>(wall_clock_ms() * kTokensPerMs);
  }
  if (exchange.store) restore(*exchange.store);
}

LocalHub::~LocalHub() {
  if (unstored_) unstored_->send();
}

void LocalHub::set_limits(const StreamSettings& settings) {
  if (!home_) return;
  lease_ms_ = settings.hub_lease_ms;
  home_->set_limits({.history_bytes = settings.hub_history_bytes,
                     .history_events = settings.hub_history_events,
                     .history_age_ms = settings.hub_history_age_ms,
                     .stream_events = settings.hub_stream_events,
                     .stream_bytes = settings.hub_stream_bytes,
                     .streams = settings.hub_streams,
                     .rate = settings.hub_rate,
                     .window_ms = settings.hub_dedup_window_ms});
}

HubCounts LocalHub::snapshot() const {
  HubCounts counts = counts_;
  counts.streams = log_.streams();
  counts.events = log_.events();
  counts.bytes = bytes();
  counts.coded = coder_.made();
  counts.global_position = log_.next() - 1;
  if (groups_) {
    counts.groups = groups_->size();
    counts.leases = groups_->leases();
    counts.leases_expired = groups_->expired();
  }
  if (unstored_) counts.store_waiting = unstored_->events();
  return counts;
}

// --- readers ---

void LocalHub::join(Subscription& subscription, const HubCall::Source& source, bool stays) {
  auto made = std::make_unique<Topic>(source.name, source.is_category);
  auto [entry, is_new] = topics_.try_emplace(key_of(*made), nullptr);
  if (is_new) {
    entry->second = std::move(made);
    Topic& its_topic = *entry->second;
    bind(its_topic, &its_topic);
    // Somebody may know it from before.
    if (!its_topic.series)
      its_topic.lost = {.hole_through = log_.forgotten_through(),
                        .last_hole = log_.forgotten_hole()};
  }
  Topic& topic = *entry->second;
  subscription.topic = &topic;
  topic.readers.push_front(subscription);
  ++topic.count;
  if (!stays || exchange_.presence.add(entry->first, 1) > 1 || !wants_source(source)) return;
  exchange_.source_wanted.store(true, std::memory_order_release);
  if (is_home())
    look_at_sources();
  else
    (void)process_.wake(process_.home());
}

bool LocalHub::wants_source(const HubCall::Source& source) const {
  if (!source.is_category) return is_fed(source.name);
  return std::ranges::any_of(
      fed_, [&](const std::string& stream) { return category_of(stream) == source.name; });
}

void LocalHub::look_at_sources() {
  if (!exchange_.source_wanted.load(std::memory_order_relaxed)) return;
  if (exchange_.source_wanted.exchange(false, std::memory_order_acquire) && source_watcher_)
    context_.loop.flush_later(*source_watcher_);
}

void LocalHub::leave(Subscription& subscription, bool stays) {
  Topic& topic = *subscription.topic;
  std::string key = key_of(topic);
  IntrusiveList<Subscription, &Subscription::in_topic>::remove(subscription);
  if (stays) (void)exchange_.presence.add(key, -1);
  if (--topic.count > 0) return;
  bind(topic, nullptr);
  topics_.erase(key);
}

// What the log has of that name tells the topic, or nobody any more.
void LocalHub::bind(Topic& topic, Topic* told) {
  if (LogStream* stream = topic.is_category ? nullptr : log_.stream(topic.name)) {
    stream->topic = told;
    topic.series = &stream->events;
  }
  if (LogCategory* category = topic.is_category ? log_.category(topic.name) : nullptr) {
    category->topic = told;
    topic.series = &category->events;
  }
}

void LocalHub::wake(HubRequest& reader) {
  if (reader.in_ready.linked()) return;
  ready_.push_back(reader);
  context_.loop.flush_later(*this);
}

void LocalHub::forget(HubRequest& request) {
  if (pages_) pages_->forget(request);
  if (!request.in_ready.linked()) return;
  (request.waiting ? waiting_ : ready_).remove(request);
  request.waiting = false;
}

bool LocalHub::behind() const {
  return log_.next() < exchange_.next.load(std::memory_order_acquire);
}

void LocalHub::wait(HubRequest& request) {
  request.waiting = true;
  waiting_.push_back(request);
}

// Those who came first wait for the least.
void LocalHub::wake_waiting() {
  while (HubRequest* first = waiting_.front()) {
    if (first->waits_for() > log_.next()) return;
    forget(*first);
    first->on_caught_up();
  }
}

void LocalHub::on_flush() {
  const uint64_t delivered = counts_.delivered;
  for (unsigned i = 0; i < kReadersATurn; ++i) {
    HubRequest* reader = ready_.front();
    if (!reader) break;
    ready_.remove(*reader);
    reader->pump();
  }
  // Of those who have no room, or want none of it, nothing is sent.
  if (counts_.delivered != delivered) serving_.begin(context_.loop.now_ns());
  // One may lead to the next.
  for (size_t i = 0; i < answers_.size(); ++i) give_answer(std::move(answers_[i]));
  answers_.clear();
  if (groups_) tell_of_groups();  // whoever waits may get a member, and the store hears of it
  if (unstored_) unstored_->send();
  if (std::exchange(changed_, false)) wake_workers();
}

// Readers that are left over are served in the next one.
void LocalHub::on_turn_end() {
  serving_.see(context_.loop.now_ns());
  if (ready_.empty()) return;
  context_.loop.flush_later(*this);
  context_.loop.turn_again();
}

void LocalHub::wake_readers(Topic* topic) {
  if (!topic) return;
  for (Subscription* one = topic->readers.front(); one;
       one = IntrusiveList<Subscription, &Subscription::in_topic>::next(*one))
    wake(*one->reader);
}

// --- the log ---

void LocalHub::index(Block& block) {
  bool created = false;
  LogStream& stream = log_.append(block, &created);
  if (created && !topics_.empty()) bind_new(stream);
  wake_readers(stream.topic);
  wake_readers(stream.category.topic);
}

// Somebody may have waited for it to exist.
void LocalHub::bind_new(const LogStream& stream) {
  for (const std::string& key : {'s' + stream.name, 'c' + stream.category.name})
    if (auto found = topics_.find(key); found != topics_.end() && !found->second->series) {
      Topic& topic = *found->second;
      bind(topic, &topic);
      topic.series->set_loss(topic.lost);
    }
}

void LocalHub::drop_longest_empty() {
  LogStream* stream = log_.longest_empty();
  SLUICE_CHECK(stream);
  unbind(stream->topic);
  LogCategory& category = stream->category;
  if (category.streams == 1) unbind(category.topic);
  log_.forget(*stream);
}

// What it has read of is forgotten.
void LocalHub::unbind(Topic* topic) {
  if (!topic) return;
  topic->lost = topic->loss();
  topic->series = nullptr;
}

// --- the home ---

bool LocalHub::ask(std::unique_ptr<HomeCall> call) {
  if (asked_ == exchange_.sizes.calls) return false;
  ++asked_;
  if (home_) {
    serve(*call);
    settle(std::move(call), process_.home());
    return true;
  }
  HomeCall* sent = call.release();
  SLUICE_CHECK(exchange_.lanes[context_.number]->up.push(sent));
  if (process_.wake(process_.home())) return true;
  // The home has stopped. The call stays in the lane for good.
  sent->asker = nullptr;
  return false;
}

// It has its answer, unless that has to wait for the store.
void LocalHub::settle(std::unique_ptr<HomeCall> call, unsigned worker) {
  if (unstored_) store_rest(*call);
  if (waits_for_store(*call))
    wait_for_store(std::move(call), worker);
  else
    answer_from_home(std::move(call), worker);
}

void LocalHub::answer_from_home(std::unique_ptr<HomeCall> call, unsigned worker) {
  if (worker == process_.home()) {
    answer(std::move(call));
    return;
  }
  // There is room for as many answers as a worker can have calls: lanes_have_room().
  HubChange change{.kind = HubChange::Kind::kAnswer, .call = call.release()};
  SLUICE_CHECK(exchange_.lanes[worker]->down.push(change));
  if (!changed_) context_.loop.flush_later(*this);
  changed_ = true;
}

void LocalHub::serve(HomeCall& call) {
  uint64_t now_ms = context_.loop.now_ms();
  switch (call.kind) {
    case HomeCall::Kind::kPublish:
      if (!lanes_have_room()) break;
      home_->set_refusal(refusal());
      call.result = home_->publish(call.publish, now_ms, wall_clock_ms());
      tell_evicted();
      exchange_.next.store(log_.next(), std::memory_order_release);
      if (call.result.status == PublishResult::Status::kDuplicate) ++counts_.duplicates;
      break;
    case HomeCall::Kind::kReadConsumer:
      call.position = home_->consumer(call.consumer);
      break;
    case HomeCall::Kind::kStoreConsumer:
      if (std::optional<PublishResult::Status> why = refusal()) {
        call.result.status = *why;
        break;
      }
      call.before = home_->consumer(call.consumer);
      call.stored = call.position ? home_->set_consumer(call.consumer, *call.position)
                                  : home_->drop_consumer(call.consumer);
      break;
    case HomeCall::Kind::kGroup:
      serve_group(call);
      break;
  }
}

// For all that one request can change.
bool LocalHub::lanes_have_room() {
  size_t room = 2 * limits::kHubBatchMax + exchange_.sizes.calls;
  // What waits for the store comes through them, too.
  if (unstored_) room += unstored_->events() + unstored_->calls();
  return std::ranges::all_of(exchange_.lanes,
                             [room](const std::unique_ptr<HubExchange::Lane>& lane) {
                               return !lane || lane->down.room() > room;
                             });
}

void LocalHub::tell_all(const HubChange& change) {
  for (unsigned worker = 0; worker < process_.workers(); ++worker)
    if (HubExchange::Lane* lane = exchange_.lanes[worker].get()) (void)lane->down.push(change);
  if (!changed_) context_.loop.flush_later(*this);
  changed_ = true;
}

void LocalHub::append(Block& block, const EventDraft& draft) {
  if (unstored_) store_event(block, draft);
  if (!unstored_ || !unstored_->store().shows_durable()) show(block);
}

void LocalHub::show(Block& block) {
  tell_evicted();  // it comes behind
  ++counts_.appended;
  tell_all({.kind = HubChange::Kind::kAppend, .block = &block});
  index(block);
}

void LocalHub::evict_through(uint64_t global) {
  log_.evict_through(global);
  evicted_ = global;
}

void LocalHub::forget() {
  drop_longest_empty();
  ++forgotten_;
}

// Once for all that one request or one tick has evicted and forgotten: so a lane has room for it.
// Streams are forgotten in the order in which they became empty, so a worker may hear of all
// evictions first.
void LocalHub::tell_evicted() {
  if (evicted_ != 0) tell_all({.kind = HubChange::Kind::kEvict, .global = evicted_});
  if (forgotten_ != 0) tell_all({.kind = HubChange::Kind::kForget, .count = forgotten_});
  evicted_ = forgotten_ = 0;
}

void LocalHub::tick() {
  holders_.tick();
  if (pages_) pages_->tick();
  if (!home_ || !lanes_have_room()) return;
  groups_->expire(context_.loop.now_ms(), lease_ms_);
  tell_of_groups();
  home_->trim(context_.loop.now_ms(), wall_clock_ms());
  tell_evicted();
  exchange_.memory.sort_returned();
}

void LocalHub::wake_workers() {
  for (unsigned worker = 0; worker < process_.workers(); ++worker)
    if (exchange_.lanes[worker]) (void)process_.wake(worker);
}

void LocalHub::on_news() {
  if (pages_) pages_->on_news();
  if (!home_) {
    for (HubChange change; exchange_.lanes[context_.number]->down.pop(change);) {
      switch (change.kind) {
        case HubChange::Kind::kAppend:
          index(*change.block);
          break;
        case HubChange::Kind::kEvict:
          log_.evict_through(change.global);
          break;
        case HubChange::Kind::kForget:
          for (; change.count > 0; --change.count) drop_longest_empty();
          break;
        case HubChange::Kind::kAnswer:
          answer(std::unique_ptr<HomeCall>(change.call));
          break;
        case HubChange::Kind::kGroups:
          holders_.on_news(change.groups);
          break;
      }
    }
    wake_waiting();
    return;
  }
  look_at_sources();
  if (unstored_) on_store_news();
  for (unsigned worker = 0; worker < process_.workers(); ++worker) {
    HubExchange::Lane* lane = exchange_.lanes[worker].get();
    if (!lane) continue;
    for (HomeCall* call; lane->up.pop(call);) {
      serve(*call);
      settle(std::unique_ptr<HomeCall>(call), worker);
    }
  }
}

// Answers about groups keep their order with the news of them.
void LocalHub::answer(std::unique_ptr<HomeCall> call) {
  if (call->kind == HomeCall::Kind::kPublish && !ready_.empty() &&
      serving_.is_most(context_.loop.now_ns())) {
    answers_.push_back(std::move(call));
    context_.loop.flush_later(*this);
  } else {
    give_answer(std::move(call));
  }
}

void LocalHub::give_answer(std::unique_ptr<HomeCall> call) {
  --asked_;
  context_.memory_limit.charge(&call->charged, 0);
  if (call->asker)
    call->asker->on_home_answer(*call);
  else if (call->group)
    holders_.on_unwanted(*call);
  calls_.release(std::move(call));
}

}  // namespace sluice

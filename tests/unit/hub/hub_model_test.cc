// A hub against a model of it, by chance: publishers, limits, two logs that hear of changes at
// different times, and readers that read now and then, of several streams and categories, and are
// cut off and come back. What a reader gets has to be all that it asked for, in order, unless it
// was told of a loss. In some worlds there is a store, too, which keeps more than the logs, or
// less, may lag behind them or be ahead of them, and gives pages of what is wanted.
#include <algorithm>
#include <deque>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/random.h"
#include "net/hub/cursor.h"
#include "net/hub/home.h"

namespace sluice {
namespace {

// What the home says, on its way to a log.
struct Told {
  Block* block = nullptr;
  uint64_t evicted = 0;
  bool forgets = false;
};

class Replica {
 public:
  explicit Replica(BlockSlots& slots) : log(slots) {}

  void apply(const Told& told) {
    bool created = false;
    if (told.block) log.append(*told.block, &created);
    if (told.evicted != 0) log.evict_through(told.evicted);
    if (told.forgets) log.forget(*log.longest_empty());
  }

  Log log;
};

struct Published {
  std::string stream;
  uint64_t position;
  uint32_t epoch;
  uint64_t time_ms;
};

class World final : public ChangeSink {
 public:
  explicit World(uint64_t seed)
      : random(seed), home(first.log, *this, memory, seed, /*holders=*/2) {
    has_store = random.between(0, 1) == 1;
    pace = random.between(0, 1) == 0 ? 3 : 60;
    if (has_store) home.use_store(/*shows_durable=*/false);
    home.set_limits({.history_bytes = random.between(0, 1) * random.between(2000, 20'000),
                     .history_events = random.between(0, 3) * random.between(1, 60),
                     .history_age_ms = random.between(0, 1) * 5000,
                     .stream_events = random.between(0, 1) * random.between(1, 20),
                     .stream_bytes = random.between(0, 2) == 0 ? random.between(500, 5000) : 0,
                     .streams = random.between(2, 12),
                     .holes = random.between(10, 200)});
  }

  void append(Block& block, const EventDraft& /*draft*/) override {
    all.push_back(
        {std::string(block.stream()), block.position(), block.stream_epoch(), block.time_ms()});
    if (has_store) block.let_go();
    tell({.block = &block});
  }
  void evict_through(uint64_t global) override { tell({.evicted = global}); }
  void forget() override { tell({.forgets = true}); }

  void tell(const Told& told) {
    first.apply(told);
    on_the_way.push_back(told);
  }
  void deliver(size_t count) {
    for (; count > 0 && !on_the_way.empty(); --count) {
      second.apply(on_the_way.front());
      on_the_way.pop_front();
    }
  }
  std::string any_stream() {
    return (random.between(0, 1) == 0 ? "a-" : "b-") + std::to_string(random.between(0, 9));
  }
  void publish() {
    PublishRequest request{.stream = any_stream()};
    uint64_t events = random.between(0, 9) == 0 ? 40 : random.between(1, 4);
    for (; events > 0; --events) request.events.push_back({.data = "1"});
    now_ms += random.between(0, 300);
    home.publish(request, now_ms, 1'000'000 + now_ms);
  }

  // The store takes some of what has been published, and lets go of its oldest events.
  void store_some() {
    stored = std::min<uint64_t>(all.size(), stored + random.between(0, pace));
    if (random.between(0, 9) == 0) trimmed += random.between(0, 1 + (stored - trimmed) / 2);
    trimmed = std::min(trimmed, stored - std::min<uint64_t>(stored, 1));
  }
  // As it would be read from there.
  StorePage page(const StoreRead& wanted) const {
    StorePage page;
    page.from = wanted.from;
    page.last = stored;
    page.first = stored == 0 ? 0 : trimmed + 1;
    page.end = true;
    page.through = page.last;
    if (wanted.since_us) {
      auto early = [&wanted](const Published& event) {
        return static_cast<int64_t>(event.time_ms) * kUsPerMs < *wanted.since_us;
      };
      page.from = page.first;
      while (page.from != 0 && page.from <= page.last && early(all[page.from - 1])) ++page.from;
    }
    for (uint64_t global = trimmed + 1; global <= stored; ++global) {
      const Published& event = all[global - 1];
      bool is_of = std::ranges::any_of(wanted.of, [&event](const StoreRead::Source& source) {
        return source.is_category ? event.stream.starts_with(source.name + "-")
                                  : event.stream == source.name;
      });
      bool before =
          wanted.from_position ? event.position < *wanted.from_position : global < page.from;
      if (!is_of || before) continue;
      if (page.events.size() == wanted.events_max) {
        page.end = false;
        page.through = page.events.back().global_position;
        break;
      }
      page.events.push_back({.stream = event.stream,
                             .type = {},
                             .data = "1",
                             .metadata = {},
                             .message_id = {},
                             .origin_id = {},
                             .position = event.position,
                             .global_position = global});
    }
    return page;
  }

  Random random;
  bool has_store = false;
  uint64_t pace = 0;     // of the store
  uint64_t stored = 0;   // the last one that it has
  uint64_t trimmed = 0;  // the last one that it has no more
  BlockMemory memory;
  BlockSlots slots;
  Replica first{slots};
  Replica second{slots};
  Home home;
  uint64_t now_ms = 1;
  std::vector<Published> all;  // by global position, from 1
  std::deque<Told> on_the_way;
};

class Reader {
 public:
  Reader(World& world, Replica& replica) : world_(world), replica_(&replica) {
    for (uint64_t i = world.random.between(1, 4); i > 0; --i) {
      bool is_category = world.random.between(0, 2) == 0;
      std::string name = is_category ? world.any_stream().substr(0, 1) : world.any_stream();
      topics_.push_back(std::make_unique<Topic>(name, is_category));
    }
    single_ = topics_.size() == 1 && !topics_.front()->is_category;
    // It hears first of all that the home had when it came.
    bool since = !world.all.empty() && world.random.between(0, 1) == 0;
    if (since) world.deliver(SIZE_MAX);
    bind();
    LogStream* stream = only_stream();
    Start start{.at = Start::At::kPosition};
    uint64_t most = !single_ ? replica.log.next() : stream ? stream->next : 0;
    start.number = world.random.between(0, most);
    if (since)
      start = {.at = Start::At::kSince,
               .number = world.all[world.random.next() % world.all.size()].time_ms};
    expected_ = 1;
    // The first of all events that is wanted, in the life of the stream that it has begun in.
    while (expected_ < replica.log.next() && !is_wanted(start, stream)) ++expected_;
    begin(start);
  }

  void read(size_t count) {
    bind();
    for (; count > 0; --count) {
      const Log::Entry* event = nullptr;
      Cursor::Step step = cursor_.next(log(), subscriptions_, &event);
      if (step == Cursor::Step::kMore) continue;
      if (step == Cursor::Step::kEnd) {
        // Nothing that it wants has been left out silently.
        expect_through(log().next());
        return;
      }
      if (step == Cursor::Step::kLost && world_.has_store) {
        if (!read_page(Start{})) return;
        continue;
      }
      if (step == Cursor::Step::kLost) {
        if (last_id_.empty() || world_.random.between(0, 1) == 0) {
          excuse(UINT64_MAX);
          cursor_.skip_lost(subscriptions_);
        } else {
          come_back();
        }
        continue;
      }
      ASSERT_EQ(step, Cursor::Step::kEvent);
      uint64_t global = event->block->global();
      const Published& published = world_.all[global - 1];
      EXPECT_EQ(event->block->stream(), published.stream);
      EXPECT_EQ(event->block->position(), published.position);
      get(global);
      if (testing::Test::HasFailure()) return;
      cursor_.advance();
      if (world_.random.between(0, 99) == 0) come_back();
    }
  }

 private:
  void begin(const Start& start) {
    bool whole = cursor_.begin(start, log(), subscriptions_, world_.home.epoch(), only_stream(),
                               world_.has_store);
    if (cursor_.awaits_page()) {
      // What has been evicted will be in the store.
      while (!read_page(start)) world_.store_some();
    } else if (!whole) {
      excuse(UINT64_MAX);
    } else {
      const Log::Entry* event = nullptr;
      EXPECT_NE(cursor_.next(log(), subscriptions_, &event), Cursor::Step::kLost)
          << "all was there, and is lost at once";
    }
  }
  // One page. False: it has been of no use yet.
  bool read_page(const Start& start) {
    uint64_t before = cursor_.at();
    bool begins = cursor_.awaits_page();
    StoreRead wanted = cursor_.page_wanted(start, subscriptions_);
    wanted.events_max = world_.random.between(1, 5);
    StorePage page = world_.page(wanted);
    switch (cursor_.enter(page, start, log(), subscriptions_)) {
      case Cursor::Entered::kTooEarly:
        return false;
      case Cursor::Entered::kInLog:
        excuse(UINT64_MAX);
        if (begins)
          cursor_.begin(start, log(), subscriptions_, world_.home.epoch(), only_stream());
        else
          cursor_.skip_lost(subscriptions_);
        return true;
      case Cursor::Entered::kLost:
        // The store knows where a stream's positions are; of several it says only what has gone.
        EXPECT_GE(world_.trimmed, wanted.from_position ? next_wanted() : 1)
            << "all is there, or will be";
        excuse(world_.trimmed);
        break;
      case Cursor::Entered::kWhole:
        break;
    }
    uint64_t end = cursor_.end_of(page, log());
    for (const StoredEvent& event : page.events) {
      if (event.global_position < cursor_.at() || event.global_position >= end) continue;
      get(event.global_position);
      cursor_.go_to(event.global_position + 1);
      if (world_.random.between(0, 9) == 0) return true;  // its client has no room for more
    }
    cursor_.go_to(end);
    return begins || cursor_.at() != before;
  }
  void get(uint64_t global) {
    const Published& published = world_.all[global - 1];
    EXPECT_TRUE(matches(published));
    EXPECT_LT(global, log().next()) << "it is shown before this worker has it";
    EXPECT_GE(global, expected_) << "it comes again, or out of order";
    expect_through(global);
    expected_ = global + 1;
    last_id_.clear();
    append_hub_id(last_id_, single_ ? HubId{published.epoch, published.position}
                                    : HubId{world_.home.epoch(), global});
  }
  Log& log() const { return replica_->log; }
  LogStream* only_stream() { return single_ ? log().stream(topics_.front()->name) : nullptr; }
  void bind() {
    subscriptions_.resize(topics_.size());
    for (size_t i = 0; i < topics_.size(); ++i) {
      Topic& topic = *topics_[i];
      LogStream* stream = topic.is_category ? nullptr : log().stream(topic.name);
      LogCategory* category = topic.is_category ? log().category(topic.name) : nullptr;
      topic.series = stream ? &stream->events : category ? &category->events : nullptr;
      topic.lost = {.hole_through = log().forgotten_through(), .last_hole = log().forgotten_hole()};
      subscriptions_[i].topic = &topic;
    }
  }
  // It has been cut off, and goes on from its last event at either worker, which hears first of all
  // that the home had when it came.
  void come_back() {
    replica_ = world_.random.between(0, 1) == 0 ? &world_.first : &world_.second;
    world_.deliver(SIZE_MAX);
    bind();
    cursor_ = Cursor();
    Start start{.at = Start::At::kId, .id = last_id_};
    begin(start);
  }
  bool matches(const Published& event) const {
    return std::ranges::any_of(topics_, [&event](const std::unique_ptr<Topic>& topic) {
      return topic->is_category ? event.stream.starts_with(topic->name + "-")
                                : event.stream == topic->name;
    });
  }
  uint64_t next_wanted() const {
    uint64_t global = expected_;
    while (global <= world_.all.size() && !matches(world_.all[global - 1])) ++global;
    return global;
  }
  bool is_wanted(const Start& start, const LogStream* stream) const {
    const Published& event = world_.all[expected_ - 1];
    if (start.at == Start::At::kSince) return event.time_ms >= start.number;
    if (!single_) return expected_ >= start.number;
    return stream && event.stream == topics_.front()->name && event.epoch == stream->epoch &&
           event.position >= start.number;
  }
  void expect_through(uint64_t global) {
    for (; expected_ < global; ++expected_)
      EXPECT_TRUE(excused_.contains(expected_) || !matches(world_.all[expected_ - 1]))
          << "missed " << expected_;
  }
  // It has been told, so what is not held now may be missing, up to there.
  void excuse(uint64_t through) {
    for (uint64_t global = 1; global < log().next() && global <= through; ++global)
      if (!log().at(global)) excused_.insert(global);
  }

  World& world_;
  Replica* replica_;
  std::vector<std::unique_ptr<Topic>> topics_;
  std::vector<Subscription> subscriptions_;
  Cursor cursor_;
  std::string last_id_;
  uint64_t expected_ = 1;
  std::set<uint64_t> excused_;
  bool single_ = false;
};

TEST(HubModel, ReadersGetAllOrAreTold) {
  for (uint64_t seed = 1; seed <= 400; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    World world(seed);
    std::vector<std::unique_ptr<Reader>> readers;
    for (int step = 0; step < 300; ++step) {
      switch (world.random.between(0, 5)) {
        case 0:
        case 1:
          world.publish();
          break;
        case 2:
          world.deliver(world.random.between(1, 10));
          break;
        case 3:
          if (readers.size() < 12)
            readers.push_back(std::make_unique<Reader>(
                world, world.random.between(0, 1) == 0 ? world.first : world.second));
          break;
        default:
          if (!readers.empty())
            readers[world.random.next() % readers.size()]->read(world.random.between(1, 30));
      }
      if (world.has_store) world.store_some();
      if (HasFailure()) return;
    }
    world.deliver(SIZE_MAX);
    world.stored = world.all.size();
    for (auto& reader : readers) reader->read(SIZE_MAX);
    // Whoever hears of the same changes has the same log.
    EXPECT_EQ(world.first.log.bytes(), world.second.log.bytes());
    EXPECT_EQ(world.first.log.first(), world.second.log.first());
    EXPECT_EQ(world.first.log.streams(), world.second.log.streams());
    EXPECT_EQ(world.first.log.events() * 2, world.slots.lent());
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace sluice

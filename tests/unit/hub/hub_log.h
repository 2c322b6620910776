// A hub's home and its log, without a worker around them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "net/hub/cursor.h"
#include "net/hub/home.h"

namespace sluice {

class HubLog final : public ChangeSink {
 public:
  explicit HubLog(uint32_t workers = 1)
      : log(slots), home(log, *this, memory, /*seed=*/1, workers), others(workers - 1) {}

  // It has all and shows it at once.
  void use_store() {
    home.use_store(/*shows_durable=*/false);
    ++others;
  }

  void append(Block& block, const EventDraft& /*draft*/) override {
    for (uint32_t i = 0; i < others; ++i) block.let_go();
    bool created = false;
    log.append(block, &created);
  }
  void evict_through(uint64_t global) override { log.evict_through(global); }
  void forget() override {
    LogStream& stream = *log.longest_empty();
    forgotten.push_back(stream.name);
    log.forget(stream);
  }

  static EventDraft draft(std::string_view data, std::string_view id = "") {
    return {.data = data, .message_id = id};
  }
  PublishResult publish(PublishRequest request) { return home.publish(request, now_ms, wall_ms); }
  PublishResult publish(std::string stream, std::string_view data = "1") {
    return publish({.stream = std::move(stream), .events = {draft(data)}});
  }

  BlockMemory memory;
  BlockSlots slots;
  Log log;
  Home home;
  uint32_t others;  // who have a hold on each block, and give it back at once
  uint64_t now_ms = 1'000'000;
  uint64_t wall_ms = 1'790'000'000'000;
  std::vector<std::string> forgotten;
};

// A reader of one topic or of several.
class HubReader {
 public:
  explicit HubReader(HubLog& hub) : hub_(hub) {}

  HubReader& of(std::string name, bool category) {
    topics_.push_back(std::make_unique<Topic>(std::move(name), category));
    return *this;
  }
  bool begin(const Start& start, bool has_store = false) {
    bind();
    return cursor.begin(start, hub_.log, from(), hub_.home.epoch(),
                        hub_.log.stream(topics_.front()->name), has_store);
  }
  Cursor::Entered enter(const StorePage& page, const Start& start) {
    bind();
    return cursor.enter(page, start, hub_.log, from());
  }
  // What is there, as "stream/position", up to the end or to a loss.
  std::vector<std::string> read() {
    bind();
    std::vector<std::string> all;
    const Log::Entry* event = nullptr;
    while ((last = cursor.next(hub_.log, from(), &event)) == Cursor::Step::kEvent ||
           last == Cursor::Step::kMore) {
      if (last == Cursor::Step::kMore) continue;
      all.push_back(std::string(event->block->stream()) + "/" +
                    std::to_string(event->block->position()));
      cursor.advance();
    }
    return all;
  }
  Cursor::Step step(const Log::Entry** event) {
    bind();
    return cursor.next(hub_.log, from(), event);
  }
  void skip_lost() { cursor.skip_lost(from()); }

  Cursor cursor;
  Cursor::Step last = Cursor::Step::kEnd;

 private:
  void bind() {
    subscriptions_.resize(topics_.size());
    for (size_t i = 0; i < topics_.size(); ++i) {
      Topic& topic = *topics_[i];
      subscriptions_[i].topic = &topic;
      LogStream* stream = topic.is_category ? nullptr : hub_.log.stream(topic.name);
      LogCategory* category = topic.is_category ? hub_.log.category(topic.name) : nullptr;
      topic.series = stream ? &stream->events : category ? &category->events : nullptr;
      topic.lost = {.hole_through = hub_.log.forgotten_through(),
                    .last_hole = hub_.log.forgotten_hole()};
    }
  }
  Subscriptions from() const { return subscriptions_; }

  HubLog& hub_;
  std::vector<std::unique_ptr<Topic>> topics_;
  std::vector<Subscription> subscriptions_;
};

}  // namespace sluice

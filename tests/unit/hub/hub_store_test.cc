// What a hub begins with when its store has been loaded, under the limits that hold then.
#include "net/hub/hub_store.h"

#include <memory>
#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "net/hub/log.h"

namespace sluice {
namespace {

// Three events of one stream, between and behind them two of another.
class LoadedStore final : public Store {
 public:
  std::optional<StoreHead> load(StoreLoad& into, std::string&) override {
    const char* streams[] = {"a-1", "b-1", "a-1", "a-1", "b-1"};
    uint64_t a = 0;
    uint64_t b = 0;
    for (uint64_t global = 1; global <= 5; ++global) {
      std::string stream = streams[global - 1];
      StoredEvent event{};
      event.stream = stream;
      event.type = "t";
      event.data = "1";
      event.position = stream == "a-1" ? a++ : b++;
      event.global_position = global;
      event.json = true;
      into.on_event(event);
    }
    StoreHead head{};
    head.epoch = {1, 2};
    head.first_global_position = 1;
    head.last_global_position = 5;
    return head;
  }
  bool append(std::unique_ptr<StoreBatch>&) override { return false; }
  bool read(StoreRead) override { return false; }
  StoreState state() const override { return StoreState::kReady; }
};

class LoadedHub : public ::testing::Test {
 protected:
  void load(const StreamSettings& settings) {
    auto make = [](StoreUser&) { return std::make_unique<LoadedStore>(); };
    HubStore store(HubAck::kDisk, make, /*workers=*/1, {});
    ASSERT_EQ(store.load(settings, /*wall_ms=*/1), "");
    for (Block* block : store.history().blocks) {
      bool created = false;
      log_.append(*block, &created);
    }
    store.taken();
  }
  uint64_t first(const char* stream) { return log_.stream(stream)->first(); }
  size_t held(const char* stream) { return log_.stream(stream)->events.size(); }

  BlockSlots slots_;
  Log log_{slots_};
};

TEST_F(LoadedHub, HasAllThatItsStreamsMayKeep) {
  load({});
  EXPECT_EQ(held("a-1"), 3U);
  EXPECT_EQ(held("b-1"), 2U);
}

TEST_F(LoadedHub, HasNoMoreEventsOfAStreamThanThat) {
  StreamSettings settings;
  settings.hub_stream_events = 2;
  load(settings);
  EXPECT_EQ(first("a-1"), 1U);
  EXPECT_EQ(held("a-1"), 2U);
  EXPECT_EQ(held("b-1"), 2U);
}

TEST_F(LoadedHub, HasNoMoreBytesOfAStreamThanThatButTheNewest) {
  StreamSettings settings;
  settings.hub_stream_bytes = 1;
  load(settings);
  EXPECT_EQ(first("a-1"), 2U);
  EXPECT_EQ(held("a-1"), 1U);
  EXPECT_EQ(held("b-1"), 1U);
}

}  // namespace
}  // namespace sluice

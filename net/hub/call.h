// What a request asks of a hub, read from its head: the target below the route's path, the query,
// and a few fields. docs/hub.md is the list for users. Whatever cannot be understood is a fault
// with the answer that it gets; nothing is guessed. Pure, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/config/config.h"
#include "net/http/head.h"
#include "net/hub/cursor.h"
#include "net/hub/publish_body.h"

namespace sluice {

namespace limits {
// Streams and categories of one subscriber.
inline constexpr size_t kHubSourcesMax = 64;
// Of a body: a batch's, which one turn of a worker takes as a whole, and one that is no event.
inline constexpr uint64_t kHubBatchBytesMax = 1024UL * 1024;
inline constexpr uint64_t kHubPositionBytesMax = 4096;
}  // namespace limits

// Of a subscriber whose next event has been evicted.
enum class SlowPolicy : uint8_t { kDisconnect, kSkip, kCoalesce };

struct HubCall {
  enum class What : uint8_t {
    kHubInfo,
    kInfo,  // of a stream or category
    kSubscribe,
    kMessages,
    kLast,     // the last message of a stream
    kVersion,  // of a stream
    kPublish,
    kReadConsumer,
    kStoreConsumer,
    kDeleteConsumer,
    kReadGroup,
    kAck,  // of a group's member
    kDeleteGroup,
    kPreflight,  // CORS's
  };
  struct Source {
    std::string name;
    bool is_category;
  };

  What what = What::kHubInfo;
  std::vector<Source> sources = {};
  bool poke = false;
  Start start = {};
  bool resumes = false;  // it has said where to begin, so what is missing is to be told
  bool require_complete = false;
  SlowPolicy slow = SlowPolicy::kDisconnect;
  EventFilter filter = {};
  std::optional<uint64_t> batch = {};  // nullopt: no limit
  std::string type = {};
  std::optional<int64_t> expected_version = {};
  std::string key = {};
  std::string message_id = {};
  std::optional<HubAck> ack = {};  // what its answer is to wait for; nullopt: as the hub says
  BodyForm form = BodyForm::kText;
  uint64_t body_bytes_max = limits::kHubPositionBytesMax;
  std::string consumer = {};
  std::string group = {};  // that the subscriber is to be a member of, or that is meant
  uint32_t size = 0;       // of that group
  bool wait = false;       // until a member of it is free
  std::optional<uint64_t> member = {};
  std::optional<uint64_t> token = {};
  bool awaits_go_ahead = false;  // its body does (Expect)
  std::string origin = {};       // of the web page, where it may read the answer
  int status = 0;                // a fault; 0: there is none
  std::string detail = {};
  std::string name_room = {};  // memory for the next name

  // Keeps the memory of what most requests have.
  void clear();
  void refuse_body();

  // One stream alone; ids are its own then.
  bool single() const { return sources.size() == 1 && !sources.front().is_category; }
  bool publishes() const {
    return what == What::kPublish || what == What::kStoreConsumer || what == What::kDeleteConsumer;
  }
  // More than a reader does: it publishes, or has to do with the members of a group.
  bool changes() const {
    return publishes() || what == What::kAck || what == What::kDeleteGroup || joins_group();
  }
  bool joins_group() const { return what == What::kSubscribe && !group.empty(); }
};

// Into a call that is new, or cleared.
void read_hub_call(const Head& head, const Route& route, HubCall& into);

}  // namespace sluice

// What is true of a simulated hub, as its publishers and subscribers have learnt it: each event has
// one place, each place one event, and whoever reads gets every event that it asked for, in order,
// unless it is told of a gap. Events are known by the numbers in their data. A *life* of the hub is
// what one epoch names: places of different lives have nothing to do with each other. Peers report
// here, and a violation ends the run; what can only be known later is judged at the end.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "tests/sim/hub_disk.h"
#include "tests/sim/world.h"

namespace sluice::sim {

// Of its cardinal id by Message DB's rule, worked out here once more; nullopt: it has none.
std::optional<uint64_t> group_hash_of(std::string_view stream);

struct HubEvent {
  std::string stream;
  std::string data;  // as it was published
  bool json = true;
  std::string correlation = {};  // the category that it names
  uint64_t asked_ns = 0;         // the request's last byte was written; 0: it never was
  bool refused = false;          // the hub has said that it has not taken it
  std::optional<uint64_t> group_hash = group_hash_of(stream);
};

struct HubPlace {
  uint64_t position;
  uint64_t global;

  bool operator==(const HubPlace&) const = default;
};

// What a reader of categories or several streams wants.
struct HubWish {
  std::vector<std::string> streams = {};
  std::vector<std::string> categories = {};
  std::optional<uint64_t> member = {};
  uint64_t size = 1;
  std::string correlation = {};

  bool wants(const HubEvent& event) const;
  bool single() const { return streams.size() == 1 && categories.empty(); }
  // How it is asked for: a path, and what belongs into its query ("&" before each).
  std::string target() const;
  std::string query() const;
};

class HubJudge {
 public:
  explicit HubJudge(World& world) : world_(world) {}

  // Of the process that serves from here on. The events of a disk are there already.
  void begin_process(uint32_t epoch, const HubDisk* disk);
  // All that was shown in this life is on the disk.
  void check_disk(const HubDisk& disk) const;
  size_t life() const { return lives_.size() - 1; }
  const std::string& epoch() const { return lives_.back().epoch; }
  // How many processes there have been.
  size_t process() const { return processes_; }

  // A new event; its number stands in its data.
  size_t add(HubEvent event);
  HubEvent& event(size_t number) { return events_[number]; }
  const HubEvent& event(size_t number) const { return events_[number]; }

  // A publisher was told, or a reader has seen: in that life the event has that place.
  void place(size_t life, size_t number, HubPlace place, const char* who);
  // A reader of one stream has seen it there.
  void place_in_stream(size_t life, const std::string& epoch, size_t number, uint64_t position);
  std::optional<HubPlace> place_of(size_t life, size_t number) const;

  // A reader of several streams claims to have all that it wants from `from` to before `to`.
  struct Claim {
    size_t life;
    uint64_t from;
    uint64_t to;
    bool newest_only;
    uint64_t told_ns;  // that not all is held: what its stream had let go by then may be missing
  };
  void check(const std::string& who, const HubWish& wish, const Claim& claim,
             const std::unordered_set<uint64_t>& got) const;
  // From `from` on there is something that it wants, and that has not been let go by `told_ns`.
  bool is_due(size_t life, const HubWish& wish, uint64_t from, uint64_t told_ns) const;
  // -1: there is none.
  int64_t last_in_stream(size_t life, const std::string& stream) const;

  // The number in an event's data.
  static std::optional<size_t> number_in(std::string_view data);

  // Some of the history may be gone.
  bool evicts = false;
  // The fewest events that a stream was to keep, in any configuration.
  uint64_t stream_events = UINT64_MAX;
  // Streams may be forgotten, and begin again.
  bool forgets = false;
  // Nobody is served any more, or not for long.
  bool draining = false;

 private:
  struct Life {
    std::string epoch;
    std::map<uint64_t, size_t> by_global;
    std::unordered_map<size_t, HubPlace> places;
    std::map<std::pair<std::string, uint64_t>, size_t> by_position;  // of a stream, or its epoch
    std::map<std::string, uint64_t> newest;                          // of each stream: global
  };

  bool let_go(const Life& life, size_t number, uint64_t by_ns) const;

  World& world_;
  std::vector<HubEvent> events_;
  std::vector<Life> lives_;
  size_t processes_ = 0;
};

}  // namespace sluice::sim

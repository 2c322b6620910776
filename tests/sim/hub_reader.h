// What a simulated reader of categories or several streams has got, over all its connections: it
// knows which event is due, and judges each that comes by that: nothing twice, nothing that it does
// not want, nothing behind what it has. What should have come it claims to have, and that is judged
// when all is known. Owned by a subscriber or a member of a group.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "net/hub/hub_id.h"
#include "tests/sim/hub_scene.h"

namespace sluice::sim {

class HubReader {
 public:
  HubReader(HubScene& scene, std::string name, HubWish wish, bool poke)
      : scene_(scene), name_(std::move(name)), wish_(std::move(wish)), poke_(poke) {}

  // A connection begins. `next`: the global position that is due, where that is known.
  void begin(size_t life, size_t process, std::optional<uint64_t> next);
  void on_place(HubId id);
  void on_event(HubId id, const std::string& data);
  // It is told of a gap, behind which it is to get all, or the newest event of each stream.
  void on_gap(uint64_t next, bool newest_only);
  // What has gone until now may be missing.
  void excuse_what_has_gone() { told_ns_ = scene_.world.now_ns(); }

  std::optional<uint64_t> next() const { return next_; }
  bool up_to_date() const;
  // At the end, when all is known.
  void check() const;

 private:
  void advance(uint64_t to);
  [[noreturn]] void wrong(const std::string& what) const;

  HubScene& scene_;
  const std::string name_;
  const HubWish wish_;
  const bool poke_;
  size_t life_ = 0;  // of the connection
  size_t process_ = 0;
  std::optional<uint64_t> next_;
  bool any_ = false;          // event on this connection
  bool newest_only_ = false;  // it is catching up
  uint64_t told_ns_ = 0;      // that something is missing, the last time
  std::vector<HubJudge::Claim> claims_;
  std::map<size_t, std::unordered_set<uint64_t>> got_;  // global positions, by life
};

// The text behind "name": in a JSON text; empty: there is none.
std::string text_member(std::string_view json, std::string_view name);

}  // namespace sluice::sim

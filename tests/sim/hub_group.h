// What is true of one group of a simulated hub, as its members have learnt it: a member's token is
// nobody else's and higher than all that were told before; its position goes on where somebody has
// acknowledged, and never back; and whoever has been followed by another owner acknowledges nothing
// any more. Members report here, and a violation ends the run. Owned by the simulation.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/sim/hub_scene.h"

namespace sluice::sim {

struct HubLease {
  uint64_t member = 0;
  uint64_t token = 0;
  uint64_t position = 0;
};

class HubGroup {
 public:
  // `start`: where a new one begins, of the query.
  HubGroup(HubScene& scene, size_t number, HubWish wish, std::string start);

  const std::string& name() const { return name_; }
  uint64_t size() const { return members_.size(); }
  const std::string& start() const { return start_query_; }
  const HubWish& wish() const { return wish_; }
  HubWish share(uint64_t member) const;

  // What somebody knew when it asked: the answer is no older than that.
  struct Known {
    size_t life;
    uint64_t token;  // the highest of the hub
    struct Member {
      uint64_t kept;
      uint64_t token;
    };
    std::vector<Member> members;
  };
  Known known();

  void on_lease(const std::string& who, const HubLease& lease, const Known& before);
  // It asks that all up to there be kept as done.
  void on_asks(const HubLease& lease, uint64_t position);
  // And has been told that this is.
  void on_kept(const std::string& who, const HubLease& lease, uint64_t asked, uint64_t position,
               const Known& before);
  // Somebody has read where a member is, and who has it; 0: nobody.
  void on_read(uint64_t member, uint64_t position, uint64_t token, const Known& before);
  // Or that there is no such group.
  void on_missing(const Known& before) const;

 private:
  struct Member {
    uint64_t kept = 0;   // the highest position that anybody was told
    uint64_t asked = 0;  // the highest that anybody has asked to be kept
    uint64_t token = 0;  // the highest that anybody was told
  };

  // Of the hub's present life.
  void enter_life();
  bool is_of_now(const Known& before) const { return before.life == scene_.judge.life(); }
  void check_position(const std::string& what, const HubLease& at, const Known& before);
  [[noreturn]] void wrong(const std::string& what) const;

  HubScene& scene_;
  const std::string name_;
  const HubWish wish_;
  const std::string start_query_;
  std::vector<Member> members_;
  std::optional<uint64_t> start_;  // where all members began, once that is known
  bool exact_ = true;              // the group has no former life, of which a part may be there
  size_t life_ = 0;
};

}  // namespace sluice::sim

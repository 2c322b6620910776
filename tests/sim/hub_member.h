// A consumer of a simulated hub that is to be a member of a group: it takes a lease, or waits for
// one, handles what it gets and acknowledges that, soon, seldom or never. It is cut, rests for
// longer than its lease lasts, and acknowledges when others have its member already. When all
// settles it handles all that there is. The simulation owns it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/sim/event_client.h"
#include "tests/sim/hub_group.h"
#include "tests/sim/hub_reader.h"

namespace sluice::sim {

class HubMember final : public EventUser {
 public:
  HubMember(HubScene& scene, HubGroup& group, size_t number, const EventClient::Manners& manners);

  const HubGroup& group() const { return group_; }
  // The member that it has; nullopt: none, as far as it knows.
  std::optional<uint64_t> owns() const;
  // It has, and has acknowledged, all that there is for that member.
  bool up_to_date() const;
  // It leaves for good, and all that it has claimed is judged.
  void leave();

 private:
  // The lease that it has, or the last one that it had.
  struct Held {
    HubLease lease;
    size_t life;
    size_t process;
    uint64_t handled;  // all of the member's up to there
    uint64_t kept;
  };

  void connect();
  void come_back();
  // EventUser
  void on_head(const MessageHead& head) override;
  void on_block(const EventBlock& block) override;
  void on_end(int status, bool cleanly) override;
  void on_cut() override;
  [[noreturn]] void wrong(const std::string& what) const override;

  void on_lease(const std::string& data);
  void on_gap(const std::string& data);
  void on_lease_over(const std::string& data);
  void work();
  void acknowledge();
  void on_acknowledged(const Held& held, uint64_t position, const HubGroup::Known& before,
                       const HubCaller::Answer& answer);
  void read_group();
  void ask(const HubCaller::Request& request, std::function<void(const HubCaller::Answer&)> done);

  HubScene& scene_;
  HubGroup& group_;
  const std::string name_;
  const bool waits_;  // for a member to be free
  const bool poke_;
  const double acknowledges_;  // each time that it looks
  EventClient client_;
  HubGroup::Known known_;  // when it connected
  std::string lease_field_;
  std::optional<Held> held_;
  std::vector<std::unique_ptr<HubReader>> readers_;  // of each lease
  std::vector<std::unique_ptr<HubCaller>> callers_;
  uint64_t connected_ns_ = 0;
  bool owns_ = false;  // what it holds is this connection's
  bool over_ = false;  // it has been told that it does no more
  bool gap_due_ = false;
  bool asking_ = false;
  bool left_ = false;
  bool fenced_ = false;  // it was told to be no owner any more
};

}  // namespace sluice::sim

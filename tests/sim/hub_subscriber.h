// A subscriber of a simulated hub: it comes back with its last id, to any worker. It knows which
// event is due, and judges each that comes by that: nothing twice, nothing left out unless it is
// told, nothing behind the end. What several streams bring is for its reader to judge. The
// simulation owns it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "net/hub/hub_id.h"
#include "tests/sim/event_client.h"
#include "tests/sim/hub_reader.h"
#include "tests/sim/hub_scene.h"

namespace sluice::sim {

class HubSubscriber final : public EventUser {
 public:
  HubSubscriber(HubScene& scene, size_t number, const EventClient::Manners& manners);

  // It has all that there is for it.
  bool up_to_date() const;
  // It leaves for good, and all that it has claimed is judged.
  void leave();

 private:
  enum class Slow : uint8_t { kDisconnect, kSkip, kCoalesce };

  static HubWish make_wish(HubScene& scene);
  void connect();
  void come_back();
  // EventUser
  void on_head(const MessageHead& head) override;
  void on_block(const EventBlock& block) override;
  void on_end(int status, bool cleanly) override;
  void on_cut() override;
  [[noreturn]] void wrong(const std::string& what) const override;

  void on_gap(std::string_view data);
  void on_place(HubId id);
  void on_event(HubId id, const std::string& data);
  std::optional<uint64_t> next() const { return single_ ? next_ : reader_.next(); }
  std::string name_of(HubId id) const;

  HubScene& scene_;
  const std::string name_;
  const HubWish wish_;
  const bool single_;
  const bool poke_;
  const Slow slow_;
  const bool wants_all_;  // or a 412
  std::string start_;     // of the query, where it has no id
  EventClient client_;
  HubReader reader_;  // of several streams
  bool left_ = false;
  bool gap_due_ = false;  // the head has told of one

  std::optional<HubId> last_id_;
  size_t id_life_ = 0;  // in which it got that
  // Of the one stream that it reads:
  std::optional<uint32_t> epoch_;
  std::optional<uint64_t> next_;  // position that is due
  bool any_ = false;              // event on this connection
  bool newest_only_ = false;      // it is catching up
};

}  // namespace sluice::sim

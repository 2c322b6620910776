// A subscriber of a simulated hub: it reads what it gets, at its own pace, is cut at random, and
// comes back with its last id, to any worker. It knows which event is due, and judges each that
// comes by that: nothing twice, nothing left out unless it is told, nothing behind the end. What
// several streams should have brought is claimed, and judged when all is known. The simulation owns
// it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "net/encode/decoder.h"
#include "net/hub/hub_id.h"
#include "tests/sim/hub_scene.h"

namespace sluice::sim {

class HubSubscriber final : public Peer {
 public:
  struct Manners {
    double rests = 0;      // after a read, for long
    double cut_per_s = 0;  // how often its connection is cut
    uint64_t returns_ns_max = kSecond;
  };

  HubSubscriber(HubScene& scene, size_t number, const Manners& manners);
  void on_change() override;

  // It has all that there is for it.
  bool up_to_date() const;
  // It leaves for good, and all that it has claimed is judged.
  void leave();

 private:
  enum class Slow : uint8_t { kDisconnect, kSkip, kCoalesce };

  HubWish make_wish();
  void connect();
  void read();
  void take(std::string_view body);
  void on_head();
  void on_block(std::string_view block);
  void on_gap(std::string_view data);
  void on_place(HubId id);
  void on_event(HubId id, std::string_view type, const std::string& data);
  void on_stream_event(HubId id, const std::string& data);
  void on_hub_event(HubId id, const std::string& data);
  void advance(uint64_t to);
  void on_end(bool cleanly);
  void cut();
  void come_back();
  std::string name_of(HubId id) const;
  [[noreturn]] void wrong(const std::string& what) const;

  HubScene& scene_;
  const std::string name_;
  const Manners manners_;
  HubWish wish_;
  bool single_ = false;
  bool poke_ = false;
  Slow slow_ = Slow::kDisconnect;
  bool wants_all_ = false;  // or a 412
  std::string start_;       // of the query, where it has no id

  std::shared_ptr<Connection> connection_;
  MessageReader reader_{true};
  std::unique_ptr<Decoder> decoder_;
  std::string text_;
  uint64_t connections_ = 0;  // one whose events are late is told apart by it
  bool live_ = false;         // connected
  bool headed_ = false;       // and answered with 200
  bool has_rested_ = false;
  bool reading_ = false;
  bool left_ = false;
  bool gap_due_ = false;  // the head has told of one
  bool any_ = false;      // event on this connection

  std::optional<HubId> last_id_;
  size_t id_life_ = 0;  // in which it got that
  size_t life_ = 0;     // of this connection
  size_t process_ = 0;
  std::optional<uint32_t> epoch_;  // of the one stream that it reads
  std::optional<uint64_t> next_;   // position that is due, of the stream or the hub
  bool newest_only_ = false;       // it is catching up
  uint64_t told_ns_ = 0;           // that something is missing, the last time
  std::vector<HubJudge::Claim> claims_;
  std::map<size_t, std::unordered_set<uint64_t>> got_;  // global positions, by life
};

}  // namespace sluice::sim

// A simulated client of a hub as its connections are: it asks for one event stream at a time, over
// HTTP/1.1 or HTTP/2, packed or not, reads at its own pace, rests, is cut at random, and passes on
// whole blocks of text. Whoever owns it says what to ask for, and judges what comes. It lives as
// long as the simulation.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "net/coding/decoder.h"
#include "tests/sim/http2_answer.h"
#include "tests/sim/hub_scene.h"

namespace sluice::sim {

struct EventBlock {
  std::string id;
  std::string type;
  std::string data;
  bool has_data = false;
};

class EventUser {
 public:
  virtual void on_head(const MessageHead& head) = 0;  // 200
  virtual void on_block(const EventBlock& block) = 0;
  // The stream is over, `cleanly`: by an end of its own. `status`: 0 where there was no head.
  virtual void on_end(int status, bool cleanly) = 0;
  // By its manners. Nothing follows on that connection, as behind an end.
  virtual void on_cut() = 0;
  [[noreturn]] virtual void wrong(const std::string& what) const = 0;

 protected:
  ~EventUser() = default;
};

class EventClient final : public Peer {
 public:
  struct Manners {
    double rests = 0;      // after a read, for long
    double cut_per_s = 0;  // how often its connection is cut
    uint64_t returns_ns_max = kSecond;
    double http2 = 0;
  };

  EventClient(HubScene& scene, EventUser& user, const Manners& manners)
      : scene_(scene), user_(user), manners_(manners) {}

  // On a new connection, to any worker.
  void ask(const std::string& name, const std::string& target, FieldList fields);
  // Its user leaves.
  void leave();
  void on_change() override;

  uint64_t returns_ns_max() const { return manners_.returns_ns_max; }
  bool live() const { return live_; }
  bool headed() const { return headed_; }
  bool has_rested() const { return has_rested_; }
  // Of the hub, as it was when it connected.
  size_t life() const { return life_; }
  size_t process() const { return process_; }
  // That one ends, or has ended.
  bool process_ends() const;

 private:
  void read();
  void write();
  void begin(const MessageHead& head);
  void take(std::string_view body);
  void on_text(std::string_view text);
  void end(int status, bool cleanly);
  void cut();

  HubScene& scene_;
  EventUser& user_;
  const Manners manners_;
  std::shared_ptr<Connection> connection_;
  MessageReader reader_{true};
  std::unique_ptr<Http2Answer> http2_;  // null: it speaks HTTP/1.1
  std::unique_ptr<Decoder> decoder_;
  std::string out_;
  std::string text_;          // of a block that is not whole
  uint64_t connections_ = 0;  // one whose events are late is told apart by it
  bool live_ = false;         // connected
  bool headed_ = false;       // and answered with 200
  bool reading_ = false;
  bool writing_ = false;
  bool has_rested_ = false;
  size_t life_ = 0;
  size_t process_ = 0;
};

}  // namespace sluice::sim

// Simulated clients that speak HTTP/1: each works through its requests one after the other, or
// pipelines them.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "net/coding/decoder.h"
#include "tests/sim/asker.h"
#include "tests/sim/body_check.h"
#include "tests/sim/http.h"
#include "tests/sim/scene.h"

namespace sluice::sim {

enum class ClientKind : uint8_t { kPlain, kSlow, kVanishing, kPipelining, kHostile };

struct ClientTraits {
  ClientKind kind = ClientKind::kPlain;
  bool http10 = false;
  size_t read_max = SIZE_MAX;    // bytes at a time, of a slow one
  uint64_t read_pause_ns = 0;    // and between two reads
  uint64_t stands_still_ns = 0;  // 0: it does not
  uint64_t stands_still_at = 0;  // so many bytes of its answers
  uint64_t slows_by_ns = 0;      // for each read behind that
  size_t write_max = SIZE_MAX;
  uint64_t write_pause_ns = 0;
  uint64_t rests_ns = 0;         // in the middle of an upload; 0: it does not
  uint64_t leaves_after_ns = 0;  // a vanishing or hostile one
  bool half_closes = false;      // shuts down its sending side when it has written all
};

class ClientPeer final : public Asker {
 public:
  ClientPeer(Scene& scene, int listener, const ClientTraits& traits, std::vector<unsigned> scripts);

  void start() override;
  bool stays() const override {
    return !stood_still_ && traits_.kind != ClientKind::kVanishing && !hostile() &&
           traits_.rests_ns == 0;
  }
  bool in_a_row() const override { return pipelines(); }
  bool checks() const override { return !hostile(); }
  void on_change() override;

 private:
  void connect();
  std::string request_for(const Script& script);
  void write();
  void read(uint64_t connection);
  void consume(std::string_view bytes);
  void on_body(std::string_view bytes);
  void on_plain(std::string_view bytes);
  void on_coding(std::string_view coding);
  void on_response_head();
  void on_interim_head();
  void on_response_complete();
  void on_end(bool reset);
  void answered(Outcome outcome);
  void next_request();
  void note_written(size_t size);
  void written_all();
  void send_rest();
  void leave();
  void finish();
  bool hostile() const { return traits_.kind == ClientKind::kHostile; }
  bool pipelines() const { return traits_.kind == ClientKind::kPipelining; }
  const Script& asked() const { return scene_.scripts[scripts_[at_]]; }
  Exchange& exchange() { return scene_.exchanges[scripts_[at_]]; }

  int listener_;
  ClientTraits traits_;
  std::shared_ptr<Connection> connection_;
  uint64_t connections_ = 0;  // names the present one
  MessageReader reader_{true};
  std::optional<BodyCheck> check_;
  std::unique_ptr<Decoder> unpacks_;  // that body, where it comes packed
  bool head_seen_ = false;
  unsigned interim_heads_ = 0;
  std::string problem_;  // the body of an answer that is the gateway's
  std::string out_;
  // The requests that out_ ends with: where each one's head and body do, counted in bytes that were
  // written to the connection.
  struct Written {
    size_t request;
    size_t begins, head_ends, ends;
  };
  std::deque<Written> writes_;
  uint64_t bytes_written_ = 0;
  std::string rest_;                      // of a request whose client waits to be told to go on
  std::optional<size_t> previous_route_;  // on this connection
  size_t at_ = 0;                         // the request whose answer is next
  size_t requested_ = 0;                  // requests written to this connection, from at_ on
  unsigned attempts_ = 0;
  bool writing_ = false;
  bool reading_ = false;
  uint64_t bytes_read_ = 0;
  bool stood_still_ = false;  // it read nothing for a while, and may have been given up
  bool shut_ = false;         // the sending side
};

}  // namespace sluice::sim

// Takes the place of a client that has left, so that its upstream can finish and tell of usage: a
// client's half that takes everything at once and keeps nothing. It gives up after a time, and
// beyond limits::kUsageDrainBytes. The connection that has left may still send bytes of the
// response; until it lets go of the stream nothing of that is dropped. Owned by the stream's
// Metering, on its worker's thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/timer_wheel.h"
#include "net/stream/halves.h"

namespace sluice {

class Stream;

class UsageDrain final : public ClientHalf, public TimerOwner {
 public:
  UsageDrain(Stream& stream, const ClientHalf& gone, uint64_t until_ms);
  ~UsageDrain() { --live_; }
  UsageDrain(const UsageDrain&) = delete;
  UsageDrain& operator=(const UsageDrain&) = delete;

  // Bytes of the body have come.
  void on_body(size_t bytes);
  // The connection of the client that has left lets go.
  void connection_released();
  bool has_connection() const { return has_connection_; }

  void response_ready() override;
  void response_aborted() override { end_soon(); }
  void request_window_opened() override {}
  void drop() override;
  std::string client_ip() override { return {}; }
  bool client_trusted() override { return false; }
  bool client_secured() const override { return false; }
  const ResponseWriter& writer() const override { return writer_; }
  std::string_view protocol() const override { return protocol_; }

  // The upstream is done, or its time is up.
  void on_timer() override;

 private:
  void end_soon();

  Stream& stream_;
  const ResponseWriter& writer_;
  std::string_view protocol_;
  uint32_t& live_;  // drains of this worker
  Timer timer_;
  uint64_t bytes_ = 0;
  bool has_connection_ = true;
};

}  // namespace sluice

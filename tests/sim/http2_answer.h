// One GET over HTTP/2, on a connection of its own: what its client says, and the answer as it
// comes. It keeps the account of the windows, so that a byte too many is a violation. What its
// client has read, that client may have again.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "tests/sim/http.h"
#include "tests/sim/http2_fields.h"
#include "tests/unit/http2/frames_testing.h"

namespace sluice::sim {

class Http2Answer {
 public:
  enum class State : uint8_t { kHead, kBody, kComplete, kReset };

  // `window`: of the stream.
  explicit Http2Answer(uint32_t window) : stream_window_(window) {}

  // What the connection begins with, and the request.
  std::string ask(const std::string& target, const FieldList& fields);
  static std::string reset();
  void feed(std::string_view bytes, const std::function<void(std::string_view)>& on_body);
  // What is to be written by now.
  std::string take_owed() { return std::exchange(owed_, {}); }

  State state() const { return state_; }
  const MessageHead& head() const { return head_; }

 private:
  void on_frame(const test::SeenFrame& seen, const std::function<void(std::string_view)>& on_body);
  void on_settings(const test::SeenFrame& seen);
  void on_fields(bool ends);
  void on_data(const test::SeenFrame& seen, const std::function<void(std::string_view)>& on_body);

  Http2Fields fields_;
  State state_ = State::kHead;
  MessageHead head_;
  std::string in_;
  std::string owed_;
  std::string block_;
  bool in_block_ = false;
  bool block_ends_ = false;
  bool heard_ = false;  // the gateway's settings
  int64_t window_ = 65'535;
  int64_t stream_window_;
};

}  // namespace sluice::sim

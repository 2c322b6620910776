// The body bytes of one read, put together. A parser hands on pieces (chunks, with their framing
// between them) as views into a slot; each is moved down to the end of the piece before, so that
// they are framed, kept and sent as one. That is cheaper than a slice for each, all the way to the
// socket; the overwritten bytes have been parsed. Lives on the stack of one feed.
#pragma once

#include <cstring>
#include <string_view>
#include <utility>

#include "net/http1/parser.h"
#include "pool/slot.h"

namespace sluice {

class BodyRun final : public BodySink {
 public:
  explicit BodyRun(const Lease& lease) : slot_(lease.data()) {}
  // For bytes that lie in no slot.
  explicit BodyRun(char* bytes) : slot_(bytes) {}

  // The bytes lie in the lease's slot, behind those before.
  void on_body(std::string_view bytes) override {
    if (run_.empty()) {
      run_ = bytes;
      return;
    }
    char* end = slot_ + (run_.data() - slot_) + run_.size();
    if (end != bytes.data()) std::memmove(end, bytes.data(), bytes.size());
    run_ = {run_.data(), run_.size() + bytes.size()};
  }

  // The bytes since the last call; valid as long as the lease.
  std::string_view take() { return std::exchange(run_, {}); }

 private:
  char* slot_;
  std::string_view run_;
};

}  // namespace sluice

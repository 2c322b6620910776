// Unpacks the body of a response that came in a content coding, for perf/load: all that can be read
// of what has come is handed on at once, so that an event's delay is what its reader would see. One
// for each client; they share the memory of one Decoders. Of the load's one thread.
#pragma once

#include <array>
#include <memory>
#include <string_view>

#include "net/coding/decoder.h"
#include "net/coding/decoders.h"
#include "net/http/text.h"

namespace sluice::perf {

class PackedBody {
 public:
  explicit PackedBody(Decoders& memory) : memory_(memory) {}

  // By the value of Content-Encoding. False: nobody can read that.
  bool begin(std::string_view coding) {
    decoder_.reset();
    for (AppliedCoding each : {AppliedCoding::kGzip, AppliedCoding::kZstd, AppliedCoding::kBrotli})
      if (equals_ignoring_case(coding, coding_name(each))) decoder_ = make_decoder(each, memory_);
    return decoder_ != nullptr;
  }
  void begin_plain() { decoder_.reset(); }
  bool packed() const { return decoder_ != nullptr; }
  // The body may end here.
  bool whole() const { return !decoder_ || decoder_->at_end(); }

  // False: it is no such coding.
  template <typename OnPlain>
  bool feed(std::string_view bytes, OnPlain&& on_plain) {
    std::array<char, 16 * 1024> room;
    for (bool more = true; more;) {
      Decoder::Step step = decoder_->decode(bytes, room);
      bytes.remove_prefix(step.taken);
      if (step.written > 0) on_plain(std::string_view(room.data(), step.written));
      if (step.fault != DecodingFault::kNone) return false;
      more = step.written == room.size() || (!bytes.empty() && step.taken > 0);
    }
    return bytes.empty();
  }

 private:
  Decoders& memory_;
  std::unique_ptr<Decoder> decoder_;
};

}  // namespace sluice::perf

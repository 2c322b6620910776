// The body of one response on its way into a content coding: what is to be packed lies in a chain
// of its own, and is packed when it is about to leave, so that whatever anybody adds to the body
// passes through the same encoder. Owned by the response's outbox. It writes what belongs to a
// coding's format beside an encoder's output (gzip's header and trailer), so a body outlives a
// state: where it has lost its own while it idled and finds no other, its bytes go out as they are,
// in blocks of the format for that. So it may have no encoder at all, where texts come that were
// coded for many readers (net/coding/text_coder.h). Only the end of all ends the packed body: one
// that breaks off is cut.
#pragma once

#include <cstdint>
#include <string_view>

#include "net/coding/encoders.h"
#include "net/coding/text_coder.h"
#include "pool/chain.h"

namespace sluice {

class Packer {
 public:
  enum class Way : uint8_t {
    kEachSend,  // whatever is packed is flushed: an event must not wait in the encoder
    kWhenDry,   // only when nothing more is there to be packed, which packs a little better
    kElsewhere  // by append_coded(), in gzip; it has no encoder, so all else leaves as it is
  };

  Packer(Encoders& encoders, ContentCoding coding, Way way, Memory& memory, SlotPool& spill);
  ~Packer();
  Packer(const Packer&) = delete;
  Packer& operator=(const Packer&) = delete;

  // There is an encoder for this body. Otherwise it had better leave unpacked.
  bool has_state() const { return state_ != nullptr; }
  // Its encoder is wanted elsewhere; called by Encoders while it rests.
  void lose_state() { state_ = nullptr; }

  // What is to be packed.
  Chain& plain() { return plain_; }
  const Chain& plain() const { return plain_; }
  // The packed body has its end.
  bool ended() const { return ended_; }

  // Packs some of the plain bytes, and at least as many as make a packed one, onto `packed`. What
  // it takes has been consumed then. `finished`: no more will come.
  void pack(Chain& packed, bool finished);

  bool takes_coded() const { return way_ == Way::kElsewhere; }
  // A text that is coded already goes onto `packed`, by reference or, without a lease, as a copy.
  // `name`: what it is called by whoever gives it. False: there is no memory for the copy.
  [[nodiscard]] bool append_coded(const CodedText& text, const Lease& lease, uint64_t name,
                                  Chain& packed);
  // The name of the text that the body's last bytes are; 0: they are something else.
  uint64_t last_coded() const { return plain_.empty() ? last_coded_ : 0; }

 private:
  using Then = Encoder::Then;

  void begin(Chain& packed);
  void rest();
  void write(std::string_view plain, Then then, Chain& packed);
  void write_with_state(std::string_view plain, Then then, Chain& packed);
  void write_without_state(std::string_view plain, Then then, Chain& packed);
  void write_trailer(Chain& packed);

  Encoders& encoders_;
  EncoderState* state_;
  Chain plain_;
  const ContentCoding coding_;
  const Way way_;
  bool begun_ = false;
  bool in_frame_ = false;  // zstd's, by an encoder or by hand
  bool ended_ = false;
  bool flushed_ = true;
  uint32_t check_ = 0;  // gzip's
  uint32_t plain_bytes_ = 0;
  uint64_t last_coded_ = 0;
};

}  // namespace sluice

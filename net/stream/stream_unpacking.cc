// Event streams that an upstream has encoded although it was asked not to: where somebody has to
// see their events they are decoded, in front of the framer. Packed bytes wait where they came in,
// and plain ones are pulled out of them as the client makes room. So the end of a response is put
// off until what came before it has been unpacked.
#include <algorithm>

#include "net/base/limits.h"
#include "net/http/semantics.h"
#include "net/stream/stream.h"
#include "net/stream/streams.h"

namespace sluice {

// The operator's rules, and a head of ours that has promised plain events, come before
// no-transform. An answer that was kept has come as a whole already.
bool Stream::is_to_be_unpacked(const Head& head) const {
  if (!has_event_stream_type(head) || head.body() == BodyKind::kNone || !is_whole(head))
    return false;
  AppliedCoding coding = applied_coding(head);
  if (coding == AppliedCoding::kNone || coding == AppliedCoding::kOther) return false;
  if (settings().on_encoded != OnEncoded::kDecode || settings().framing == EventFraming::kOff)
    return false;
  if (!attempt_.under_way) return false;
  if (filtered() || metered() || head_queued_ || is_ours()) return true;
  if (no_transform_ || has_no_transform(head)) return false;
  bool may_resume = wants_event_stream_ && owns_head() && may_heal();
  return llm() || coding_ != ContentCoding::kIdentity || may_resume;
}

// Its body is an event stream that can be read, be it by unpacking it, which begins here.
bool Stream::brings_events(const Head& head) {
  if (is_event_stream(head) || unpacking()) return true;
  if (!is_to_be_unpacked(head)) return false;
  if (!inspection_) inspection_ = std::make_unique<Inspection>();
  Memory& memory = context().memory;
  inspection_->unpacking.reset(new Unpacking{
      .unpacker{streams_.decoders(), applied_coding(head), memory, memory.sse_event}});
  return true;
}

// False: it has failed.
bool Stream::settle_encoding(const Head& head) {
  if (!has_event_stream_type(head) || head.body() == BodyKind::kNone) return true;
  if (!brings_events(head)) return !filtered() || !refused_as_encoded();
  if (!unpacking() || unpacking()->unpacker.fault() == DecodingFault::kNone) return true;
  return unpacking_failed();
}

void Stream::unpack(const Lease& lease, std::string_view packed) {
  unpacking()->unpacker.append(lease, packed);
  unpack_on();
}

// As for a receive (response_credit()): the client has room, and nobody else needs it first.
bool Stream::may_unpack() const {
  uint64_t backlog = response_.backlog();
  return backlog * 2 <= window_ && (backlog == 0 || !others_wait_for_slots());
}

// Each piece lies in a slot of its own, as if it had been received there.
void Stream::unpack_on() {
  SlotPool& pool = context().memory.sse_event;
  for (size_t left = limits::kUnpackedAtOnce; has_packed() && may_unpack();) {
    if (left == 0) {
      loop().timers().schedule_earlier(timer_, loop().now_ms() + 1);
      return;
    }
    Lease slot = pool.take_block(pool.slot_bytes(), /*ours=*/false);
    if (!slot) {  // those of what is on its way to the client come back
      if (response_.backlog() == 0) fail(Ending::kOverloaded, "decoding");
      return;
    }
    char* at = slot.data() + limits::kUnpackedMargin;
    size_t room = std::min<size_t>(
        {slot.size() - 2 * limits::kUnpackedMargin, window_ - response_.backlog(), left});
    size_t size = unpacking()->unpacker.unpack({at, room});
    left -= size;
    if (size > 0) append_body(slot, {at, size});
    if (!hears_upstream()) return;
  }
  if (!unpacking() || has_packed()) return;
  if (unpacking()->unpacker.fault() != DecodingFault::kNone) {
    unpacking_failed();
    return;
  }
  if (!unpacking()->ending) return;
  Ending ending = *unpacking()->ending;
  const char* reason = unpacking()->reason;
  if (ending == Ending::kComplete)
    on_response_end();
  else if (unpacked_to(ending, reason))
    lose_attempt(ending, reason, /*nothing_sent=*/false);
}

// The upstream's response has ended, so. False: not for this stream, which has yet to unpack what
// has come, or has failed, since the packed body has no end: it was cut, however well it was
// framed.
bool Stream::unpacked_to(Ending ending, const char* reason) {
  if (!unpacking()) return true;
  if (has_packed()) {
    unpacking()->ending = ending;
    unpacking()->reason = reason;
    return false;
  }
  bool cut = ending == Ending::kComplete && !unpacking()->unpacker.at_end();
  stop_unpacking();
  if (!cut) return true;
  ++streams_.decoders().metrics().faults[static_cast<unsigned>(DecodingFault::kCut)];
  lose_attempt(Ending::kUpstreamTruncated, "coding_cut", /*nothing_sent=*/false);
  return false;
}

// False, always. What is no valid packing may have been damaged on its way, so that another attempt
// does better; what unpacks to too much does so again.
bool Stream::unpacking_failed() {
  DecodingFault fault = unpacking()->unpacker.fault();
  stop_unpacking();
  ++streams_.decoders().metrics().faults[static_cast<unsigned>(fault)];
  if (fault == DecodingFault::kNoMemory)
    fail(Ending::kOverloaded, "decoding");
  else if (fault == DecodingFault::kRatio)
    fail(Ending::kUpstreamBadResponse, "coding_ratio");
  else
    lose_attempt(Ending::kUpstreamBadResponse, "coding_invalid", /*nothing_sent=*/false);
  return false;
}

}  // namespace sluice

// Whether a response leaves packed, in a content coding of ours. The upstream is asked for a plain
// one then: only plain events can be told apart, and what it has packed itself passes as it is.
#include <memory>

#include "net/http/accept_encoding.h"
#include "net/http/semantics.h"
#include "net/stream/stream.h"
#include "net/stream/streams.h"

namespace sluice {

void Stream::choose_coding(const Head& request) {
  if (settings().compress.front() == ContentCoding::kIdentity) return;
  if (!method_is_head_ && !no_transform_) coding_ = preferred_coding(request, settings().compress);
}

// Null: it leaves as it is. So does what begins with a head of ours, which is written before it is
// known whether the upstream allows more.
std::unique_ptr<Packer> Stream::packer_for(const Head& response) {
  if (coding_ == ContentCoding::kIdentity || no_transform_) return {};
  if (!unpacking() && !may_be_encoded(response)) return {};
  Memory& memory = context().memory;
  ContentCoding coding = coding_;
  Packer::Way way = shares_coded_events()             ? Packer::Way::kElsewhere
                    : has_event_stream_type(response) ? Packer::Way::kEachSend
                                                      : Packer::Way::kWhenDry;
  auto packer = std::make_unique<Packer>(streams_.encoders(), coding, way, memory,
                                         framed_ ? memory.sse_event : memory.http_message);
  if (packer->has_state() || packer->takes_coded()) return packer;
  ++streams_.encoders().metrics().refused;
  return {};
}

// A hub's subscriber for whom nothing changes events: it can have what all others get.
bool Stream::shares_coded_events() const {
  return framed_ && !route_->hub.empty() && coding_ == TextCoder::kCoding && !filtered();
}

bool Stream::takes_coded() const {
  const Packer* packer = response_.packer();
  return packer && packer->takes_coded();
}

void Stream::on_coded_events(const Lease& lease, const CodedText& coded, std::string_view plain,
                             uint32_t events, uint64_t name) {
  if (!hears_upstream()) return;
  note_body(plain.size());
  adapt_window(coded.bytes.size());
  if (tapped()) copy_own_to_taps(plain);
  if (!response_.append_coded(coded, lease, name)) {
    fail(Ending::kOverloaded);
    return;
  }
  note_events(events);
  response_grew();
}

// Another request for the same might be answered in another coding.
bool Stream::varies(const Head& response) const {
  if (settings().compress.front() == ContentCoding::kIdentity || has_no_transform(response))
    return false;
  return method_is_head_ || response.status() == 304 || unpacking() || may_be_encoded(response);
}

}  // namespace sluice

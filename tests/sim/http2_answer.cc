#include "tests/sim/http2_answer.h"

#include "tests/sim/http2_words.h"

namespace sluice::sim {

namespace {

constexpr uint32_t kStream = 1;

}  // namespace

std::string Http2Answer::ask(const std::string& target, const FieldList& fields) {
  FieldList all = {
      {":method", "GET"}, {":scheme", "http"}, {":authority", "sim"}, {":path", target}};
  all.insert(all.end(), fields.begin(), fields.end());
  return "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" +
         frame(kSettings, 0, 0, setting(2, 0) + setting(4, static_cast<uint32_t>(stream_window_))) +
         frame(kHeaders, kEndStream | kEndHeaders, kStream, fields_.pack(all));
}

std::string Http2Answer::reset() {
  return frame(kResetStream, 0, kStream, number(kCancel));
}

void Http2Answer::feed(std::string_view bytes,
                       const std::function<void(std::string_view)>& on_body) {
  in_ += bytes;
  for (const SeenFrame& seen : test::take_frames(in_)) on_frame(seen, on_body);
}

void Http2Answer::on_frame(const SeenFrame& seen,
                           const std::function<void(std::string_view)>& on_body) {
  if (seen.payload.size() > kFrameBytesMax) violation("a reader was sent a frame too large");
  if (!std::exchange(heard_, true) && seen.type != kSettings)
    violation("a connection that does not begin with SETTINGS");
  if (in_block_ && seen.type != kContinuation) violation("a frame within a field block");
  if (seen.id != 0 && seen.id != kStream)
    violation("a frame of stream " + std::to_string(seen.id) + ", which is none");
  switch (seen.type) {
    case kSettings:
      on_settings(seen);
      return;
    case kPing:
      if ((seen.flags & kAck) == 0) owed_ += frame(kPing, kAck, 0, seen.payload);
      return;
    case kWindowUpdate:
    case kGoAway:  // the stream goes on to its end
      return;
    case kResetStream:
      if (state_ != State::kComplete) state_ = State::kReset;
      return;
    case kHeaders:
      block_.clear();
      block_ends_ = (seen.flags & kEndStream) != 0;
      [[fallthrough]];
    case kContinuation:
      block_ += seen.payload;
      in_block_ = (seen.flags & kEndHeaders) == 0;
      if (!in_block_) on_fields(block_ends_);
      return;
    case kData:
      on_data(seen, on_body);
      return;
    default:
      violation("a reader was sent a frame of type " + std::to_string(seen.type));
  }
}

void Http2Answer::on_settings(const SeenFrame& seen) {
  if ((seen.flags & kAck) != 0) return;
  for (size_t at = 0; at + 6 <= seen.payload.size(); at += 6)
    if (seen.payload[at + 1] == 1) fields_.limit_table(number_at(seen.payload, at + 2));
  owed_ += frame(kSettings, kAck, 0, "");
}

void Http2Answer::on_fields(bool ends) {
  FieldList fields = fields_.unpack(block_);
  if (state_ != State::kHead) violation("a reader was sent a second head, or trailers");
  if (fields.empty() || fields[0].first != ":status") violation("an answer without a status");
  head_.first_line = "HTTP/2 " + fields[0].second;
  head_.fields.assign(fields.begin() + 1, fields.end());
  state_ = ends ? State::kComplete : State::kBody;
}

void Http2Answer::on_data(const SeenFrame& seen,
                          const std::function<void(std::string_view)>& on_body) {
  if (state_ != State::kBody)
    violation("a reader was sent a body without a head, or behind its end");
  auto size = static_cast<int64_t>(seen.payload.size());
  window_ -= size;
  stream_window_ -= size;
  if (size > 0 && (window_ < 0 || stream_window_ < 0))
    violation("a reader was sent more than its window allows");
  on_body(seen.payload);
  if ((seen.flags & kEndStream) != 0) {
    state_ = State::kComplete;
  } else if (size > 0) {
    window_ += size;
    stream_window_ += size;
    owed_ += window_update(0, seen.payload.size()) + window_update(kStream, seen.payload.size());
  }
}

}  // namespace sluice::sim

// The bytes of one connection through the gateway's HTTP/1 path, without its sockets, streams and
// time: reads that lie in slots, the parser, the rewritten head, the outbox and its sends, as
// ClientConn, UpstreamConn and Stream put them together. Keeps what the next hop is sent, and says
// what it should read from that.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "net/base/limits.h"
#include "net/http/semantics.h"
#include "net/http1/body_run.h"
#include "net/http1/parser.h"
#include "net/http1/writer.h"
#include "net/stream/outbox.h"
#include "tests/unit/http1/http1_testing.h"
#include "tests/unit/stream/outbox_testing.h"

namespace sluice::test {

using sluice::test::body_kind_name;
using sluice::test::Event;
using sluice::test::Role;

// The beginning of a message as text: "POST length 3(". The body follows, and ")" at its end.
inline std::string opening(const Head& head, BodyKind body) {
  std::string text = head.status() > 0 ? std::to_string(head.status()) : std::string(head.method());
  text.append(" ").append(body_kind_name(body));
  if (body == BodyKind::kLength) text += " " + std::to_string(head.content_length());
  return text + "(";
}

struct HopOptions {
  Role role = Role::kRequest;
  bool client_trusted = false;
  bool client_http10 = false;     // of a response
  bool keep_alive = false;        // of a response
  bool response_to_head = false;  // of a response
  bool replay = false;            // requests go out once more, as on a fresh connection
  size_t send_max = SIZE_MAX;     // what a send takes
};

class Hop final : BodySink {
 public:
  // A head as it came in, and as it was written.
  struct Rewritten {
    Head head;
    std::string written;
  };

  Hop(ChainRig& rig, const HopOptions& options)
      : rig_(rig), options_(options), parser_(options.role, HeadLimits{}) {}

  // Each read lies in one slot; what it holds beyond a request is read ahead: copied.
  void receive(std::string_view bytes) {
    while (!bytes.empty() && !done_) {
      std::string_view piece = bytes.substr(0, rig_.pool().slot_bytes());
      const Lease lease = rig_.slot(piece);
      bytes.remove_prefix(feed(lease, {lease.data(), piece.size()}));
      if (outbox_ && outbox_->has_work()) send();
    }
  }

  // The peer has closed.
  void close() {
    if (!done_ && in_message_ && parser_.finish()) on_end();
    send_all();
  }

  // All that was sent.
  const std::string& wire() const { return wire_; }
  // The messages in it, the last one without its end where it did not come to one.
  const std::string& expected() const { return expected_; }
  const std::vector<Rewritten>& heads() const { return heads_; }
  // The connection to the client ends with the response, as an end that it may take for one.
  bool ended() const { return options_.role == Role::kResponse && done_ && !failed_; }

 private:
  // Returns the bytes used.
  size_t feed(const Lease& lease, std::string_view bytes) {
    const size_t size = bytes.size();
    BodyRun run(lease);
    run_ = &run;
    bool more = true;
    while (more && !done_) {
      if (!in_message_) parser_.begin(&head_, options_.response_to_head);
      in_message_ = true;
      const Http1Parser::Step step = parser_.feed(bytes, *this);
      bytes.remove_prefix(step.consumed);
      if (std::string_view body = run.take(); !body.empty()) append_body(lease, body);
      if (step.event == Event::kHead) on_head();
      if (step.event == Event::kEnd) on_end();
      if (step.event == Event::kError) done_ = failed_ = true;
      more = step.event == Event::kHead || !bytes.empty();
      if (step.event == Event::kEnd && options_.role == Role::kRequest) break;
    }
    return size - bytes.size();
  }

  // Noted before it is moved.
  void on_body(std::string_view bytes) override {
    if (passed_on_) expected_ += bytes;
    run_->on_body(bytes);
  }

  void on_head() {
    interim_ = options_.role == Role::kResponse && head_.status() < 200;
    std::string text;
    BodyKind body = head_.body();
    const ResponseWriter& writer = http1_response_writer(options_.client_http10 ? 0 : 1);
    framing_ = nullptr;
    if (options_.role == Role::kRequest) {
      // The gateway answers these itself.
      passed_on_ = head_.method() != "CONNECT" && !max_forwards_exhausted(head_);
      if (!passed_on_) return;
      RequestRewrite rewrite;
      rewrite.client_ip = "::1";
      rewrite.client_trusted = options_.client_trusted;
      rewrite.default_host = "upstream:9000";
      framing_ = http1_request_writer().write_head(head_, rewrite, text);
    } else if (interim_) {
      passed_on_ = writer.knows_interim();
      if (!passed_on_) return;
      writer.write_interim_head(head_, text);
    } else {
      passed_on_ = true;
      body = write_final_head(writer, text);
    }
    if (!outbox_) {
      message_start_ = wire_.size();
      outbox_.emplace(rig_.memory, rig_.pool());
      outbox_->keep_for_replay(options_.replay);
    }
    if (!outbox_->append_head(text)) std::abort();
    outbox_->set_framing(framing_);
    expected_ += opening(head_, body);
    heads_.push_back({head_, text});
  }

  // Returns how the body is delimited.
  BodyKind write_final_head(const ResponseWriter& writer, std::string& text) {
    ResponseRewrite rewrite;
    rewrite.keep_alive = options_.keep_alive;
    rewrite.event_stream = is_event_stream(head_);
    WrittenHead written = writer.write_head(head_, rewrite, text);
    framing_ = written.framing;
    if (written.ends_with_connection) return BodyKind::kUntilClose;
    return written.framing ? BodyKind::kChunked : head_.body();
  }

  // As Stream::on_request_body() and append_response().
  void append_body(const Lease& lease, std::string_view bytes) {
    if (!passed_on_) return;
    const bool waits = options_.role == Role::kRequest || outbox_->batch_under_way();
    if (waits && bytes.size() <= lease.size() / limits::kSpillFraction)
      bytes = outbox_->append_copy(bytes);
    if (!bytes.empty()) outbox_->append(lease, bytes);
  }

  void on_end() {
    in_message_ = false;
    if (passed_on_) expected_ += ")\n";
    if (interim_) return;
    done_ = options_.role == Role::kResponse || !parser_.keep_alive();
    if (!passed_on_) return;
    outbox_->finish();
    send_all();
    if (options_.replay) {
      wire_.resize(message_start_);
      outbox_->rewind();
      send_all();
    }
    EXPECT_TRUE(outbox_->complete());
    outbox_.reset();
  }

  void send() {
    const std::string batch = batch_of(*outbox_);
    const size_t size = std::min(batch.size(), options_.send_max);
    wire_.append(batch, 0, size);
    outbox_->sent(size);
  }

  void send_all() {
    while (outbox_ && outbox_->has_work()) {
      const size_t before = wire_.size();
      send();
      if (wire_.size() > before) continue;
      ADD_FAILURE() << "there is work, and nothing to send";
      return;
    }
  }

  ChainRig& rig_;
  HopOptions options_;
  Http1Parser parser_;
  Head head_;
  BodyRun* run_ = nullptr;  // of the read that is being fed
  std::optional<Outbox> outbox_;
  bool in_message_ = false;
  bool interim_ = false;
  bool passed_on_ = false;
  const BodyFraming* framing_ = nullptr;  // of the message
  bool done_ = false;
  bool failed_ = false;
  size_t message_start_ = 0;
  std::string wire_;
  std::string expected_;
  std::vector<Rewritten> heads_;
};

}  // namespace sluice::test

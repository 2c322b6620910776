// Outboxes under random appends and short sends: what leaves is exactly the message, whatever the
// pieces it left in.
#include <algorithm>
#include <string>

#include <gtest/gtest.h>

#include "net/http1/writer.h"
#include "net/stream/outbox.h"
#include "tests/unit/pool/chain_testing.h"
#include "tests/unit/random_source.h"
#include "tests/unit/stream/outbox_testing.h"

namespace sluice {
namespace {

using test::batch_of;
using test::ChainRig;
using test::RandomSource;

const std::string& static_bytes() {
  static const std::string bytes(200'000, '~');
  return bytes;
}

class Message {
 public:
  Message(RandomSource& random, ChainRig& rig)
      : random_(random),
        rig_(rig),
        outbox_(rig.memory, rig.pool()),
        chunked_(random.between(0, 1) == 1),
        replay_(random.between(0, 2) == 0),
        pieces_max_(random.between(8, 128)) {
    outbox_.keep_for_replay(replay_);
    for (size_t heads = random.between(0, 2); heads > 0; --heads) {
      std::string head = bytes(300);
      EXPECT_TRUE(outbox_.append_head(head));
      head_ += head;
    }
    outbox_.set_framing(chunked_ ? &kChunkedFraming : nullptr);
  }

  void step() {
    switch (random_.between(0, 9)) {
      case 0:
      case 1:
        append();
        break;
      case 2:
        outbox_.release();
        body_ += held_;
        held_.clear();
        break;
      case 3:
        if (random_.between(0, 3) == 0) {
          outbox_.discard_held();
          held_.clear();
        }
        break;
      case 4:
        if (replay_ && held_.empty() && random_.between(0, 3) == 0) rewind();
        break;
      default:
        send();
    }
    check();
  }

  void finish() {
    outbox_.discard_held();
    held_.clear();
    outbox_.finish();
    finished_ = true;
    check();
    while (outbox_.has_work()) {
      ASSERT_FALSE(outbox_.complete());
      send();
      check();
      if (testing::Test::HasFailure()) return;
    }
    ASSERT_TRUE(outbox_.complete());
    ASSERT_EQ(batch_of(outbox_), "");
    ASSERT_TRUE(wire_.starts_with(head_));
    std::string_view rest = std::string_view(wire_).substr(head_.size());
    ASSERT_TRUE((chunked_ ? test::decode_chunked(rest) : std::string(rest)) == body_);
    ASSERT_EQ(body_sent_, body_.size());
  }

 private:
  std::string bytes(size_t size_max) {
    std::string text(random_.between(0, size_max), '\0');
    for (char& c : text) c = test::pattern(0, appended_++);
    return text;
  }

  void append() {
    std::string text;
    switch (random_.between(0, 2)) {
      case 0: {
        // Received, with framing around it that has been parsed; now and then in two pieces.
        std::string framing(random_.between(0, 12), '#');
        text = bytes(rig_.pool().slot_bytes() - 2 * framing.size());
        Lease lease = rig_.slot(framing + text + framing);
        std::string_view received(lease.data() + framing.size(), text.size());
        size_t first =
            random_.between(0, 1) == 0 ? received.size() : random_.between(0, received.size());
        outbox_.append(lease, received.substr(0, first));
        outbox_.append(lease, received.substr(first));
        break;
      }
      case 1:
        text = bytes(200);
        ASSERT_EQ(outbox_.append_copy(text), "");
        break;
      default: {
        // Now and then more than one send takes.
        size_t size_max = random_.between(0, 9) == 0 ? static_bytes().size() : 50;
        text = static_bytes().substr(0, random_.between(0, size_max));
        outbox_.append_static(std::string_view(static_bytes()).substr(0, text.size()));
      }
    }
    held_ += text;
  }

  void send() {
    std::string batch = batch_of(outbox_, pieces_max_);
    ASSERT_EQ(batch.empty(), !outbox_.batch_under_way());
    // The rest of a batch is what it was, whatever has been appended since.
    ASSERT_TRUE(rest_.empty() || batch == rest_);
    size_t size = random_.between(0, 1) == 0 ? batch.size() : random_.between(0, batch.size());
    body_sent_ += outbox_.sent(size);
    wire_ += batch.substr(0, size);
    rest_ = batch.substr(size);
  }

  void rewind() {
    outbox_.rewind();
    wire_.clear();
    rest_.clear();
    body_sent_ = 0;
  }

  void check() {
    ASSERT_EQ(outbox_.held(), held_.size());
    ASSERT_LE(body_sent_, body_.size()) << "held bytes have left";
    size_t head_sent = std::min(wire_.size(), head_.size());
    ASSERT_EQ(outbox_.backlog(), head_.size() - head_sent + body_.size() - body_sent_);
    ASSERT_EQ(outbox_.kept_bytes(), replay_ ? head_sent + body_sent_ : 0);
    ASSERT_TRUE(finished_ || !outbox_.complete());
  }

  RandomSource& random_;
  ChainRig& rig_;
  Outbox outbox_;
  bool chunked_;
  bool replay_;
  size_t pieces_max_;
  bool finished_ = false;
  uint64_t appended_ = 0;
  std::string head_;
  std::string body_;  // released
  std::string held_;
  std::string wire_;
  std::string rest_;  // of the batch under way
  uint64_t body_sent_ = 0;
};

TEST(OutboxProperty, WhatLeavesIsTheMessage) {
  RandomSource random;
  SCOPED_TRACE(random.trace());
  ChainRig rig;
  for (int run = 0; run < 300 && !HasFailure(); ++run) {
    Message message(random, rig);
    for (size_t steps = random.between(0, 150); steps > 0 && !HasFailure(); --steps) message.step();
    if (!HasFailure()) message.finish();
  }
  rig.expect_clean();
}

}  // namespace
}  // namespace sluice

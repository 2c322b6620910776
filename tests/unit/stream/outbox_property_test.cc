// Outboxes under random appends, also of what was staged, and short sends: what leaves is exactly
// the message, whatever the pieces it left in.
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
        staged_(rig.memory, rig.pool()),
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
        outbox_.append_staged(staged_);
        body_ += held_;
        held_.clear();
        break;
      case 3:
        if (random_.between(0, 3) == 0) {
          staged_.clear();
          held_.clear();
        }
        break;
      case 4:
        if (replay_ && random_.between(0, 3) == 0) rewind();
        break;
      default:
        send();
    }
    check();
  }

  void finish() {
    staged_.clear();
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
    // What is appended follows what was staged before it.
    bool stages = !held_.empty() || random_.between(0, 1) == 0;
    switch (random_.between(0, 2)) {
      case 0: {
        // Received, with framing around it that has been parsed; now and then in two pieces.
        std::string framing(random_.between(0, 12), '#');
        text = bytes(rig_.pool().slot_bytes() - 2 * framing.size());
        Lease lease = rig_.slot(framing + text + framing);
        std::string_view received(lease.data() + framing.size(), text.size());
        size_t first =
            random_.between(0, 1) == 0 ? received.size() : random_.between(0, received.size());
        for (std::string_view part : {received.substr(0, first), received.substr(first)}) {
          if (stages)
            staged_.append(lease, part);
          else
            outbox_.append(lease, part);
        }
        break;
      }
      case 1:
        text = bytes(200);
        ASSERT_EQ(stages ? outbox_.stage_copy(staged_, text) : outbox_.append_copy(text), "");
        break;
      default: {
        // Now and then more than one send takes.
        size_t size_max = random_.between(0, 9) == 0 ? static_bytes().size() : 50;
        text = static_bytes().substr(0, random_.between(0, size_max));
        std::string_view bytes = std::string_view(static_bytes()).substr(0, text.size());
        if (stages)
          staged_.append_static(bytes);
        else
          outbox_.append_static(bytes);
      }
    }
    (stages ? held_ : body_) += text;
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
    ASSERT_EQ(staged_.bytes(), held_.size());
    if (random_.between(0, 3) == 0) {
      ASSERT_EQ(test::text_of(staged_), held_);
    }
    ASSERT_LE(body_sent_, body_.size()) << "staged bytes have left";
    size_t head_sent = std::min(wire_.size(), head_.size());
    ASSERT_EQ(outbox_.backlog(), head_.size() - head_sent + body_.size() - body_sent_);
    ASSERT_EQ(outbox_.kept_bytes(), replay_ ? head_sent + body_sent_ : 0);
    ASSERT_TRUE(finished_ || !outbox_.complete());
  }

  RandomSource& random_;
  ChainRig& rig_;
  Outbox outbox_;
  Chain staged_;
  bool chunked_;
  bool replay_;
  size_t pieces_max_;
  bool finished_ = false;
  uint64_t appended_ = 0;
  std::string head_;
  std::string body_;  // appended
  std::string held_;  // staged
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

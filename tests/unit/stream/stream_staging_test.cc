// Unfinished events wait outside the client's outbox: what they hold, when they join it, and what
// they cost a worker whose clients are slow.
#include <string>
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/stream/streams.h"
#include "tests/unit/stream/stream_testing.h"

namespace sluice::test {
namespace {

using ::testing::ElementsAre;

class StreamStaging : public ::testing::Test {
 protected:
  uint32_t leased() { return rig_.rig().sse_event.leased(); }
  size_t staged_events() { return rig_.gateway().streams().staging().in_use(); }
  // A send of the first event is under way, and the client takes nothing of it.
  void stall() {
    rig_.open_event_stream();
    rig_.body("data: first\n\n");
    batch_ = batch_of(rig_.stream().response());
  }
  // The slots that so many events hold behind it, each of which has arrived in that many reads.
  uint32_t slots_behind(int events, std::string_view event, size_t reads) {
    uint32_t before = leased();
    for (int i = 0; i < events; ++i) {
      for (size_t part = 0; part < reads; ++part) {
        size_t begin = event.size() * part / reads;
        rig_.body(event.substr(begin, event.size() * (part + 1) / reads - begin));
      }
    }
    return leased() - before;
  }

  StreamRig rig_;
  std::string batch_;
};

TEST_F(StreamStaging, IsNoPartOfTheOutbox) {
  rig_.open_event_stream();
  rig_.body("data: 1\n\ndata: 2");
  EXPECT_EQ(rig_.stream().response().backlog(), 9U);
  EXPECT_EQ(rig_.stream().held(), 7U);
  rig_.body("\n\n");
  EXPECT_EQ(rig_.stream().response().backlog(), 18U);
  EXPECT_EQ(rig_.stream().held(), 0U);
}

TEST_F(StreamStaging, IsForAsLongAsAnEventIsUnfinished) {
  rig_.open_event_stream();
  EXPECT_EQ(staged_events(), 0U);
  rig_.body("data: 1\n\n");
  EXPECT_EQ(staged_events(), 0U);
  rig_.body("data: 2");
  EXPECT_EQ(staged_events(), 1U);
  rig_.body("b\n\n");
  EXPECT_EQ(staged_events(), 0U);
  EXPECT_THAT(rig_.send_chunks(), ElementsAre("data: 1\n\ndata: 2b\n\n"));
  EXPECT_EQ(leased(), 0U);
}

TEST_F(StreamStaging, IsGivenBackHoweverTheStreamEnds) {
  struct End {
    const char* name;
    void (*come)(StreamRig& rig);
  };
  for (End end : {End{"clean", [](StreamRig& rig) { rig.stream().on_response_end(); }},
                  End{"lost",
                      [](StreamRig& rig) {
                        rig.stream().on_upstream_lost(Ending::kUpstreamReset, "", false);
                      }},
                  End{"left", [](StreamRig& rig) { rig.client_gone(); }},
                  End{"shut down", [](StreamRig& rig) { rig.stream().shut_down(); }}}) {
    SCOPED_TRACE(end.name);
    rig_.open_event_stream();
    rig_.body("data: 1");
    EXPECT_EQ(staged_events(), 1U);
    end.come(rig_);
    EXPECT_EQ(staged_events(), 0U);
    EXPECT_EQ(rig_.stream().held(), 0U);
    rig_.send();
    EXPECT_EQ(leased(), 0U);
    if (rig_.stream().response().complete()) rig_.client_done();
    rig_.next_stream();
  }
}

// A large piece stays where it was received, staged and not.
TEST_F(StreamStaging, MovesNoByteOfALargePiece) {
  rig_.open_event_stream();
  std::string event = event_of(5000);
  Lease lease = rig_.rig().sse_event.take();
  ASSERT_GE(lease.size(), 4000U);
  event.copy(lease.data(), 4000);
  rig_.stream().on_response_body(lease, {lease.data(), 4000});
  rig_.body(event.substr(4000));
  std::array<iovec, 8> pieces{};
  ASSERT_EQ(rig_.stream().response().build(pieces), 4U) << "size line, two pieces, CRLF";
  EXPECT_EQ(pieces[1].iov_base, lease.data());
  EXPECT_EQ(pieces[1].iov_len, 4000U);
}

// Behind a client that takes nothing events lie one behind the other, in however many reads each
// has come.
TEST_F(StreamStaging, IsDenseBehindASlowClient) {
  const std::string event = event_of(100);
  const uint32_t slot_bytes = rig_.rig().sse_event.slot_bytes();
  for (size_t reads : {1, 2, 3, 7}) {
    SCOPED_TRACE(reads);
    stall();
    const int events = static_cast<int>(5 * slot_bytes / event.size());
    EXPECT_LE(slots_behind(events, event, reads), 5U);
    EXPECT_EQ(rig_.send().size(), batch_.size() + 8 + event.size() * static_cast<size_t>(events));
    EXPECT_EQ(leased(), 0U);
    rig_.next_stream();
  }
}

TEST_F(StreamStaging, AddsNoSlotToWhatIsDense) {
  stall();
  rig_.body("data: 1\n\n");
  uint32_t before = leased();
  for (int i = 0; i < 10; ++i) {
    rig_.body("data: 2");
    EXPECT_EQ(leased(), before);
    rig_.body("\n\n");
    EXPECT_EQ(leased(), before);
  }
}

TEST_F(StreamStaging, WhatIsDroppedTakesNothingWithIt) {
  rig_.stream().keep_request();
  stall();
  rig_.body("data: 1\n\ndata: un");
  uint32_t before = leased();
  ASSERT_TRUE(rig_.stream().replace_attempt(Ending::kUpstreamReset));
  EXPECT_EQ(staged_events(), 0U);
  EXPECT_EQ(leased(), before) << "it lay behind whole ones";
  rig_.release_upstream();
  rig_.upstream = {};
  rig_.connect();
  rig_.respond(kEventsResponse);
  rig_.body("data: 2\n\n");
  EXPECT_THAT(rig_.send_chunks(), ElementsAre("data: first\n\n", "data: 1\n\ndata: 2\n\n"));
}

// What has come of a byte order mark behind an early heartbeat, and is none, is content: of an
// event, or of a body that is not looked at.
TEST_F(StreamStaging, HoldsWhatLookedLikeALateMark) {
  for (EventFraming framing : {EventFraming::kEvent, EventFraming::kLine, EventFraming::kOff}) {
    StreamSettings settings = StreamRig::quiet();
    settings.framing = framing;
    settings.heartbeat_ms = kMinuteMs;
    settings.heartbeat_head_after_ms = kMinuteMs;
    StreamRig rig(settings);
    rig.request(kEventsRequest);
    rig.connect();
    rig.pass(kMinuteMs);
    rig.send();
    rig.respond(kEventsResponse);
    rig.body("\xEF\xBB");
    EXPECT_EQ(rig.stream().response().backlog(), 0U);
    rig.body("data: 1");
    EXPECT_EQ(rig.stream().held(), framing == EventFraming::kOff ? 0U : 9U);
    rig.body("\n\n");
    std::string body;
    for (const std::string& chunk : rig.send_chunks()) body += chunk;
    EXPECT_EQ(body,
              "\xEF\xBB"
              "data: 1\n\n");
  }
}

}  // namespace
}  // namespace sluice::test

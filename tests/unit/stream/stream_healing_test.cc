// A stream whose upstream breaks and comes back: what its client sees is one stream.
#include "net/base/failure.h"
#include "tests/unit/stream/stream_testing.h"

namespace sluice::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class StreamHealing : public ::testing::Test {
 protected:
  static StreamSettings settings() {
    StreamSettings settings = StreamRig::quiet();
    settings.heartbeat_ms = 1000;
    settings.stream_idle_timeout_ms = 5000;
    settings.event_hold = 1024;
    settings.heal_for_ms = 20'000;
    settings.gap_event = true;
    return settings;
  }
  static void open(StreamRig& rig) {
    rig.request(kEventsRequest);
    rig.connect();
    rig.take_request();
    rig.respond(kEventsResponse);
    rig.send();
  }
  static void lose(StreamRig& rig, Ending ending = Ending::kUpstreamReset) {
    rig.stream().on_upstream_lost(ending, "", false);
    rig.release_upstream();
    rig.upstream = {};
  }
  // The next attempt begins; the request as it goes out.
  static std::string reconnect(StreamRig& rig) {
    for (int i = 0; i < 400 && !rig.queued(); ++i) rig.pass(100);
    EXPECT_TRUE(rig.queued());
    rig.connect();
    return rig.take_request();
  }
  static std::string resume(StreamRig& rig) {
    std::string request = reconnect(rig);
    rig.respond(kEventsResponse);
    return request;
  }
  // Without heartbeats.
  static std::string seen(StreamRig& rig) {
    constexpr std::string_view kHeartbeat = ": heartbeat\n\n";
    std::string all;
    for (const std::string& chunk : rig.send_chunks()) all += chunk;
    for (size_t at = 0; (at = all.find(kHeartbeat)) != all.npos;) all.erase(at, kHeartbeat.size());
    return all;
  }
  static uint64_t heals(StreamRig& rig, HealResult result) {
    return rig.metrics().heals[static_cast<unsigned>(result)];
  }
  static uint64_t gaps(StreamRig& rig, Gap gap) {
    return rig.metrics().heal_gaps[static_cast<unsigned>(gap)];
  }
  static std::string event(const std::string& id) { return "id: " + id + "\ndata: " + id + "\n\n"; }

  StreamRig rig_{settings()};
};

TEST_F(StreamHealing, TheClientSeesOneStream) {
  open(rig_);
  rig_.body(event("a") + event("b") + "id: c\nda");
  EXPECT_EQ(seen(rig_), event("a") + event("b"));
  lose(rig_);
  EXPECT_THAT(resume(rig_), HasSubstr("\r\nLast-Event-ID: b\r\n"));
  rig_.body(event("c") + event("d"));
  EXPECT_EQ(seen(rig_), event("c") + event("d"));
  EXPECT_EQ(rig_.client.aborted, 0);
  EXPECT_EQ(heals(rig_, HealResult::kResumed), 1U);
  EXPECT_EQ(rig_.metrics().heal_attempts[static_cast<unsigned>(Failure::kReset)], 1U);
  EXPECT_EQ(rig_.metrics().discarded_bytes, 8U);
}

TEST_F(StreamHealing, ARequestThatHasLeftIsKeptAsItsHeadAlone) {
  open(rig_);
  EXPECT_EQ(rig_.stream().request(), nullptr);
  EXPECT_TRUE(rig_.stream().facts().has_head());
}

TEST_F(StreamHealing, TheClientIsKeptAliveMeanwhile) {
  open(rig_);
  rig_.body("retry: 10000\n\n" + event("a") + "id: c\nda");
  rig_.send();
  lose(rig_);
  EXPECT_EQ(rig_.stream().phase(), Phase::kHealing);
  rig_.pass(1000);
  EXPECT_THAT(rig_.send_chunks(), ElementsAre(": heartbeat\n\n"));
}

// Its connection lets go a moment later; until then the time-out is the same one.
TEST_F(StreamHealing, SilenceIsOneFailure) {
  open(rig_);
  rig_.body(event("a"));
  rig_.send();
  rig_.pass(5001);
  ASSERT_EQ(rig_.upstream.cancels, 1);
  for (int i = 0; i < 10; ++i) rig_.pass(50);
  EXPECT_EQ(rig_.upstream.cancels, 1);
  EXPECT_EQ(rig_.metrics().heal_attempts[static_cast<unsigned>(Failure::kIdle)], 1U);
  rig_.release_upstream();
  rig_.upstream = {};
  resume(rig_);
  EXPECT_EQ(heals(rig_, HealResult::kResumed), 1U);
}

// One reconnect a second, to an upstream that a stream before has just gone back to.
TEST_F(StreamHealing, ReconnectsArePaced) {
  StreamSettings slow = settings();
  slow.heal_rate = 1;
  StreamRig rig(slow);
  for (uint64_t id = 2; id < 4; ++id) {
    open(rig);
    rig.body("retry: 0\n\n" + event("a"));
    rig.send();
    lose(rig);
    rig.pass(2);
    rig.pass(2);
    EXPECT_EQ(rig.queued(), id == 2) << "the second waits for its turn";
    resume(rig);
    rig.next_stream(id + 1);
  }
  EXPECT_EQ(rig.metrics().heal_attempts_paced, 1U);
}

// Of the head that could not be sent: 10,000 streams of a dead upstream would hold 160 MiB.
TEST_F(StreamHealing, AWaitHoldsNoSlot) {
  open(rig_);
  rig_.body(event("a"));
  rig_.send();
  lose(rig_);
  for (int i = 0; i < 10 && !rig_.queued(); ++i) rig_.pass(100);
  ASSERT_TRUE(rig_.queued());
  EXPECT_EQ(rig_.rig().http_message.leased(), 1U);
  rig_.give_upstream();
  rig_.stream().on_upstream_lost(Ending::kUpstreamRefused, "ECONNREFUSED", true);
  rig_.release_upstream();
  rig_.upstream = {};
  EXPECT_EQ(rig_.stream().phase(), Phase::kHealing);
  EXPECT_EQ(rig_.rig().http_message.leased(), 0U);
  EXPECT_THAT(resume(rig_), HasSubstr("\r\nLast-Event-ID: a\r\n"));
  rig_.body(event("b"));
  EXPECT_EQ(seen(rig_), event("b"));
}

TEST_F(StreamHealing, WithoutASlotForItsHeadItTriesAgain) {
  open(rig_);
  rig_.body(event("a"));
  rig_.send();
  lose(rig_);
  MemoryLimit& memory = rig_.rig().memory_limit;
  MemoryLimit before = memory;
  {
    memory.bytes_max = memory.bytes;
    memory.heap_max = 0;
    std::vector<Lease> all;
    for (int ms = 0; ms < 300; ++ms) {
      while (Lease slot = rig_.rig().http_message.take()) all.push_back(std::move(slot));
      rig_.pass(1);
    }
    EXPECT_EQ(rig_.stream().phase(), Phase::kHealing);
    EXPECT_GE(rig_.metrics().heal_attempts[static_cast<unsigned>(Failure::kOverload)], 1U);
    memory.bytes_max = before.bytes_max;
    memory.heap_max = before.heap_max;
  }
  EXPECT_THAT(resume(rig_), HasSubstr("\r\nLast-Event-ID: a\r\n"));
  rig_.body(event("b"));
  EXPECT_EQ(seen(rig_), event("b"));
  EXPECT_EQ(rig_.client.aborted, 0);
}

TEST_F(StreamHealing, WhatWasDeliveredIsDropped) {
  open(rig_);
  rig_.body(event("a") + event("b") + event("c"));
  rig_.send();
  lose(rig_, Ending::kUpstreamTruncated);
  resume(rig_);
  // In any pieces.
  for (char c : event("a") + event("b") + event("c") + event("d") + event("e"))
    rig_.body(std::string_view(&c, 1));
  std::string all = seen(rig_);
  EXPECT_THAT(all, HasSubstr("event: sluice.gap\ndata: {\"last_id\":\"c\",\"first_id\":\"a\","
                             "\"reason\":\"replayed\",\"attempts\":1}\n\n"));
  EXPECT_TRUE(all.ends_with("\n\n" + event("d") + event("e")));
  EXPECT_EQ(rig_.metrics().duplicate_events, 3U);
  EXPECT_EQ(rig_.stream().events(), 5U);
  EXPECT_EQ(gaps(rig_, Gap::kReplayed), 1U);
}

TEST_F(StreamHealing, TheLastOneAgainIsNoGap) {
  open(rig_);
  rig_.body(event("a") + event("b"));
  rig_.send();
  lose(rig_);
  resume(rig_);
  rig_.body(event("b") + event("c"));
  EXPECT_EQ(seen(rig_), event("c"));
  EXPECT_EQ(gaps(rig_, Gap::kReplayed), 0U);
}

TEST_F(StreamHealing, EventsWithoutIdsGoWithTheOneBefore) {
  open(rig_);
  rig_.body(event("a") + "data: -\n\n" + event("b") + "data: last\n\n");
  rig_.send();
  lose(rig_);
  resume(rig_);
  rig_.body(event("a") + "data: -\n\n" + ": note\n\n" + event("b") + "data: last\n\n" + event("c"));
  std::string all = seen(rig_);
  EXPECT_THAT(all, Not(HasSubstr("data: -")));
  EXPECT_TRUE(all.ends_with("data: last\n\n" + event("c"))) << "it may not have been delivered";
}

TEST_F(StreamHealing, MissingNumbersAreAGap) {
  open(rig_);
  rig_.body(event("1") + event("2") + event("3"));
  rig_.send();
  lose(rig_);
  resume(rig_);
  rig_.body(event("7"));
  EXPECT_EQ(seen(rig_),
            "event: sluice.gap\ndata: {\"last_id\":\"3\",\"first_id\":\"7\",\"reason\":\"skipped\","
            "\"attempts\":1}\n\n" +
                event("7"));
  EXPECT_EQ(gaps(rig_, Gap::kSkipped), 1U);
}

TEST_F(StreamHealing, WithoutAnIdThereIsNothingToResumeFrom) {
  open(rig_);
  rig_.body("data: 1\n\n");
  lose(rig_);
  EXPECT_EQ(rig_.client.aborted, 1);
  EXPECT_EQ(rig_.stream().ending(), Ending::kUpstreamReset);
}

TEST_F(StreamHealing, AnEmptyIdClearsIt) {
  open(rig_);
  rig_.body(event("1") + "id\ndata: 1\n\n");
  lose(rig_);
  EXPECT_EQ(rig_.client.aborted, 1);
}

TEST_F(StreamHealing, AnIdWithNulIsNone) {
  open(rig_);
  rig_.body(event("1") + event(std::string("2\0", 2)));
  lose(rig_);
  EXPECT_THAT(resume(rig_), HasSubstr("\r\nLast-Event-ID: 1\r\n"));
}

TEST_F(StreamHealing, OtherRequestsEndAsEver) {
  for (std::string_view request : {"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\n",
                                   "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\n"}) {
    StreamRig rig(settings());
    rig.request_head(request);
    rig.request_body("x");
    rig.stream().on_request_end();
    rig.connect();
    rig.take_request();
    rig.respond(kEventsResponse);
    rig.body(event("1"));
    lose(rig);
    EXPECT_EQ(rig.client.aborted, 1);
  }
  StreamSettings off = settings();
  off.heal = Heal::kOff;
  StreamRig rig(off);
  open(rig);
  rig.body(event("1"));
  lose(rig);
  EXPECT_EQ(rig.client.aborted, 1);
}

TEST_F(StreamHealing, ACleanEndIsOne) {
  open(rig_);
  rig_.body(event("1"));
  rig_.stream().on_response_end();
  EXPECT_TRUE(rig_.stream().response().finished());
  StreamSettings always = settings();
  always.heal = Heal::kAlways;
  StreamRig rig(always);
  open(rig);
  rig.body(event("1"));
  rig.stream().on_response_end();
  EXPECT_FALSE(rig.stream().response().finished());
  rig.release_upstream();
  rig.upstream = {};
  resume(rig);
  rig.body(event("1") + event("2"));
  EXPECT_EQ(seen(rig), event("1") + event("2"));
}

TEST_F(StreamHealing, SilenceBreaksAStream) {
  open(rig_);
  rig_.body(event("1"));
  rig_.send();
  rig_.pass(5001);
  EXPECT_EQ(rig_.upstream.cancels, 1);
  rig_.release_upstream();
  rig_.upstream = {};
  EXPECT_THAT(resume(rig_), HasSubstr("Last-Event-ID: 1"));
  EXPECT_EQ(rig_.client.aborted, 0);
}

TEST_F(StreamHealing, TheAnswerDecides) {
  struct Case {
    const char* head;
    int aborted;
    bool finished;
    HealResult result;
  };
  for (const Case& one : {
           Case{"HTTP/1.1 204 No Content\r\n\r\n", 0, true, HealResult::kEnded},
           Case{"HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n", 1, false, HealResult::kRefused},
           Case{"HTTP/1.1 403 No\r\ncontent-length: 0\r\n\r\n", 1, false, HealResult::kRefused},
           Case{"HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n", 1, false, HealResult::kRefused},
           Case{"HTTP/1.1 410 No\r\ncontent-length: 0\r\n\r\n", 1, false, HealResult::kRefused},
           Case{"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 9\r\n\r\n", 1, false,
                HealResult::kRefused},
       }) {
    StreamRig rig(settings());
    open(rig);
    rig.body(event("1"));
    rig.send();
    lose(rig);
    reconnect(rig);
    rig.respond(one.head);
    EXPECT_EQ(rig.client.aborted, one.aborted) << one.head;
    EXPECT_EQ(rig.stream().response().finished(), one.finished) << one.head;
    EXPECT_EQ(heals(rig, one.result), 1U) << one.head;
  }
}

TEST_F(StreamHealing, LaterIsAnotherAttempt) {
  for (std::string_view status : {"500", "502", "503", "429"}) {
    StreamRig rig(settings());
    open(rig);
    rig.body(event("1"));
    rig.send();
    lose(rig);
    reconnect(rig);
    rig.respond("HTTP/1.1 " + std::string(status) +
                " Later\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n");
    EXPECT_EQ(rig.upstream.cancels, 1);
    rig.release_upstream();
    rig.upstream = {};
    rig.pass(6900);
    EXPECT_FALSE(rig.queued()) << "Retry-After is honoured";
    rig.pass(200);
    EXPECT_THAT(resume(rig), HasSubstr("Last-Event-ID: 1"));
    rig.body(event("2"));
    EXPECT_EQ(seen(rig), event("2"));
  }
}

TEST_F(StreamHealing, RetryIsHonoured) {
  open(rig_);
  rig_.body("retry: 3000\n\n" + event("1"));
  lose(rig_);
  rig_.pass(2900);
  EXPECT_FALSE(rig_.queued());
  rig_.pass(200);
  EXPECT_TRUE(rig_.queued());
}

TEST_F(StreamHealing, ItEndsHonestlyWhenItsTimeIsOver) {
  open(rig_);
  rig_.body(event("1"));
  rig_.send();
  lose(rig_);
  uint64_t began_ms = rig_.gateway().context().loop.now_ms();
  int attempts = 0;
  while (rig_.client.aborted == 0) {
    rig_.pass(10);
    ASSERT_LT(rig_.gateway().context().loop.now_ms() - began_ms, 20'100U);
    if (!rig_.queued()) continue;
    rig_.connect();
    ++attempts;
    lose(rig_);
  }
  EXPECT_GT(attempts, 3);
  EXPECT_LT(attempts, 60);
  EXPECT_EQ(heals(rig_, HealResult::kGivenUp), 1U);
  EXPECT_EQ(rig_.stream().ending(), Ending::kUpstreamReset);
  EXPECT_THAT(seen(rig_), IsEmpty());
}

TEST_F(StreamHealing, AnEventThatWasCutThroughIsNotHealed) {
  open(rig_);
  rig_.body(event("1") + "id: 2\ndata: " + std::string(2000, 'x'));
  lose(rig_);
  EXPECT_EQ(rig_.client.aborted, 1);
}

TEST_F(StreamHealing, BehindOneItIs) {
  open(rig_);
  rig_.body(event("1") + "id: 2\ndata: " + std::string(2000, 'x'));
  rig_.body("id: 9\n\n");
  rig_.send();
  lose(rig_);
  EXPECT_THAT(resume(rig_), HasSubstr("Last-Event-ID: 2"));
  rig_.body("id: 2\ndata: " + std::string(900, 'x') + "\n\n" + event("3"));
  EXPECT_EQ(seen(rig_), event("3"));
}

TEST_F(StreamHealing, TheClientMayLeaveMeanwhile) {
  open(rig_);
  rig_.body(event("1"));
  lose(rig_);
  rig_.client_gone();
  rig_.release_client();
  EXPECT_TRUE(rig_.buried());
}

TEST_F(StreamHealing, MemoryIsGivenBack) {
  const uint64_t before = rig_.rig().memory_limit.heap;
  open(rig_);
  rig_.body(event("1"));
  EXPECT_GT(rig_.rig().memory_limit.heap, before);
  lose(rig_);
  rig_.client_gone();
  EXPECT_EQ(rig_.rig().memory_limit.heap, before);
}

TEST_F(StreamHealing, AMarkIsNoPartOfTheFirstId) {
  open(rig_);
  rig_.body("\xEF\xBB\xBF" + event("1"));
  lose(rig_);
  EXPECT_THAT(resume(rig_), HasSubstr("Last-Event-ID: 1"));
}

TEST_F(StreamHealing, TheClientsOwnIdIsReplaced) {
  rig_.request("GET / HTTP/1.1\r\nhost: a\r\nlast-event-id: 0\r\nLast_Event_Id: x\r\n\r\n");
  rig_.connect();
  EXPECT_THAT(rig_.take_request(), HasSubstr("last-event-id: 0\r\n"));
  rig_.respond(kEventsResponse);
  rig_.body(event("1"));
  lose(rig_);
  std::string request = reconnect(rig_);
  EXPECT_THAT(request, HasSubstr("Last-Event-ID: 1\r\n"));
  EXPECT_THAT(request, Not(HasSubstr("last-event-id: 0")));
  EXPECT_THAT(request, Not(HasSubstr("Last_Event_Id")));
}

}  // namespace
}  // namespace sluice::test

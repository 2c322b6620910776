// What a stream gives up where memory has run out, and when.
#include <string>
#include <string_view>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/base/limits.h"
#include "tests/unit/stream/stream_testing.h"

namespace sluice::test {
namespace {

using ::testing::StartsWith;

constexpr std::string_view kGet = "GET /a HTTP/1.1\r\nhost: test\r\n\r\n";

// Also an answer that is all head: where memory has run out it is given up like any other.
TEST(StreamRelief, GivesUpWhatItsClientHasNotTakenForAWhile) {
  StreamRig rig(StreamRig::quiet(), "/only");
  const SlotPool& pool = rig.rig().sse_event;
  rig.request("GET /none HTTP/1.1\r\nhost: h\r\n\r\n");
  rig.pass(limits::kShedAfterMs - 1);
  rig.stream().relieve_memory(pool);
  EXPECT_EQ(rig.client.dropped, 0);
  rig.pass(1);
  rig.stream().relieve_memory(rig.rig().http_message);
  EXPECT_EQ(rig.client.dropped, 0) << "its slots are of the other class";
  rig.stream().relieve_memory(pool);
  EXPECT_EQ(rig.client.dropped, 1);
  EXPECT_EQ(rig.stream().ending(), Ending::kOverloaded);
}

TEST(StreamRelief, CountsFromWhenTheOldestByteCameThatHasNotLeft) {
  StreamRig rig;
  const SlotPool& pool = rig.rig().sse_event;
  rig.open_event_stream();
  rig.pass(kMinuteMs);
  rig.body("data: 1\n\n");
  rig.pass(limits::kShedAfterMs - 1);
  rig.body("data: 2\n\n");
  rig.stream().relieve_memory(pool);
  EXPECT_EQ(rig.client.dropped, 0);
  rig.pass(1);
  rig.stream().relieve_memory(pool);
  EXPECT_EQ(rig.client.dropped, 1);
}

TEST(StreamRelief, GivesAnInterimHeadItsTimeToo) {
  StreamRig rig;
  rig.request(kGet);
  rig.connect();
  rig.take_request();
  rig.pass(kMinuteMs);
  rig.respond("HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n");
  rig.pass(limits::kShedAfterMs - 1);
  rig.respond("HTTP/1.1 103 Early Hints\r\n\r\n");
  rig.stream().relieve_memory(rig.rig().sse_event);
  EXPECT_EQ(rig.endings(Ending::kOverloaded), 0U);
  EXPECT_EQ(rig.upstream.cancels, 0);
  rig.pass(1);
  rig.stream().relieve_memory(rig.rig().sse_event);
  EXPECT_EQ(rig.upstream.cancels, 1);
}

TEST(StreamRelief, ForgetsWhatHasLeftHoweverLittleItWas) {
  StreamRig rig;
  rig.request(kGet);
  rig.connect();
  rig.take_request();
  rig.respond("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n");
  rig.body("x");
  rig.send();
  rig.pass(10 * limits::kShedAfterMs);
  rig.body("y");
  for (const SlotPool* pool : {&rig.rig().sse_event, &rig.rig().http_message})
    rig.stream().relieve_memory(*pool);
  EXPECT_EQ(rig.client.dropped, 0);
}

TEST(StreamRelief, GivesUpWhatItsUpstreamHasNotTakenForAWhile) {
  StreamRig rig;
  rig.request_head("POST /a HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n");
  rig.connect();
  rig.take_request();
  rig.pass(10 * limits::kShedAfterMs);
  rig.request_body("x");
  rig.stream().relieve_memory(rig.rig().http_message);
  EXPECT_EQ(rig.endings(Ending::kOverloaded), 0U) << "it has just come";
  rig.pass(limits::kShedAfterMs);
  rig.stream().relieve_memory(rig.rig().sse_event);
  EXPECT_EQ(rig.upstream.cancels, 0) << "its slots are of the other class";
  rig.stream().relieve_memory(rig.rig().http_message);
  EXPECT_THAT(rig.send(), StartsWith("HTTP/1.1 503 "));
  EXPECT_EQ(rig.upstream.cancels, 1);
}

// So many bytes of the batch under way leave.
void take(Stream& stream, uint64_t bytes) {
  (void)batch_of(stream.response());
  stream.on_client_sent(stream.response().sent(bytes));
}

// It keeps its slot from others as long as one that takes nothing.
TEST(StreamRelief, GivesUpAClientThatTakesAFewBytesAtATime) {
  StreamRig rig;
  const SlotPool& pool = rig.rig().sse_event;
  rig.open_event_stream();
  rig.body(event_of(1000));
  for (int i = 0; i < 4; ++i) {
    rig.stream().relieve_memory(pool);
    EXPECT_EQ(rig.client.dropped, 0);
    take(rig.stream(), 20);
    rig.pass(limits::kShedAfterMs / 4);
  }
  rig.stream().relieve_memory(pool);
  EXPECT_EQ(rig.client.dropped, 1);
}

TEST(StreamRelief, ASlotThatComesBackIsProgress) {
  StreamRig rig;
  const SlotPool& pool = rig.rig().sse_event;
  rig.open_event_stream();
  for (int i = 0; i < 3; ++i) rig.body(event_of(pool.slot_bytes()));
  for (int i = 0; i < 2; ++i) {
    rig.pass(limits::kShedAfterMs - 1);
    rig.stream().relieve_memory(pool);
    take(rig.stream(), pool.slot_bytes() + 8);  // with its size line
  }
  EXPECT_EQ(rig.client.dropped, 0);
  rig.pass(limits::kShedAfterMs);
  rig.stream().relieve_memory(pool);
  EXPECT_EQ(rig.client.dropped, 1);
}

TEST(StreamRelief, GivesUpAnUpstreamThatTakesAFewBytesAtATime) {
  StreamRig rig;
  rig.request_head("POST /a HTTP/1.1\r\nhost: h\r\ncontent-length: 1000\r\n\r\n");
  rig.connect();
  rig.take_request();
  rig.request_body(std::string(1000, 'x'));
  for (int i = 0; i < 4; ++i) {
    rig.stream().relieve_memory(rig.rig().http_message);
    EXPECT_EQ(rig.upstream.cancels, 0);
    (void)batch_of(*rig.stream().request());
    rig.stream().on_request_sent(rig.stream().request()->sent(20));
    rig.pass(limits::kShedAfterMs / 4);
  }
  rig.stream().relieve_memory(rig.rig().http_message);
  EXPECT_EQ(rig.upstream.cancels, 1);
}

}  // namespace
}  // namespace sluice::test

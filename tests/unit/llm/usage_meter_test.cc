#include "net/llm/usage_meter.h"

#include <string>

#include <gtest/gtest.h>

namespace sluice {
namespace {

using Kind = TokenKind;

std::string delta(size_t bytes) {
  return R"({"choices":[{"delta":{"content":")" + std::string(bytes, 'x') + R"("}}],"usage":null})";
}

UsageMeter::Seen on_event(UsageMeter& meter, std::string_view data, uint64_t now_ns) {
  return meter.on_event(data, EventMembers(data), now_ns);
}

const std::string kUsage = R"({"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":9}})";

void expect(const UsageMeter& meter, UsageSource source, uint64_t input, uint64_t output) {
  UsageMeter::Bill bill = meter.bill(/*served=*/true);
  EXPECT_EQ(bill.source, source);
  EXPECT_EQ(bill.usage.of(Kind::kInput), input);
  EXPECT_EQ(bill.usage.of(Kind::kOutput), output);
}

TEST(UsageMeter, BooksWhatIsReported) {
  RequestReader request;
  UsageMeter meter(request);
  on_event(meter, delta(100), 1);
  EXPECT_TRUE(on_event(meter, kUsage, 2).is_usage_alone);
  expect(meter, UsageSource::kReported, 7, 9);
}

TEST(UsageMeter, EstimatesWhatNobodyHasReported) {
  RequestReader request;
  UsageMeter meter(request);
  request.read(R"({"model":"m","messages":[{"content":"12345678"}]})");
  on_event(meter, delta(10), 1);
  on_event(meter, delta(11), 2);
  expect(meter, UsageSource::kEstimated, 2, 6);
}

TEST(UsageMeter, EstimatesWhatItCannotReadByItsBytes) {
  RequestReader request;
  UsageMeter meter(request);
  request.take_as_packed();
  request.read("12345678");
  meter.on_unread_body(20);
  EXPECT_FALSE(meter.has_seen_any());
  expect(meter, UsageSource::kEstimated, 2, 5);
}

TEST(UsageMeter, EstimatesWhatCameBehindTheLastReport) {
  RequestReader request;
  UsageMeter meter(request);
  on_event(meter, R"({"message":{"usage":{"input_tokens":25,"output_tokens":1}}})", 1);
  expect(meter, UsageSource::kReported, 25, 1);
  on_event(meter, R"({"delta":{"text":"12345678"}})", 2);
  expect(meter, UsageSource::kEstimated, 25, 3);
  on_event(meter, R"({"delta":{},"usage":{"output_tokens":2}})", 3);
  expect(meter, UsageSource::kReported, 25, 2);
}

// vLLM's running counts: each is of all so far.
TEST(UsageMeter, TakesUsageInEachChunk) {
  RequestReader request;
  UsageMeter meter(request);
  for (int i = 1; i <= 3; ++i)
    on_event(meter,
             R"({"choices":[{"delta":{"content":"word"}}],"usage":{"prompt_tokens":7,)"
             R"("completion_tokens":)" +
                 std::to_string(i) + "}}",
             1);
  expect(meter, UsageSource::kReported, 7, 3);
}

TEST(UsageMeter, BooksNothingForARequestThatNobodyHasServed) {
  RequestReader request;
  UsageMeter meter(request);
  request.read(R"({"messages":[{"content":"12345678"}]})");
  UsageMeter::Bill bill = meter.bill(/*served=*/false);
  EXPECT_EQ(bill.source, UsageSource::kNone);
  EXPECT_EQ(bill.usage.told, 0);
}

TEST(UsageMeter, ReadsBodiesWithUsageAndWithout) {
  RequestReader request;
  UsageMeter meter(request);
  meter.on_body(R"({"choices":[{"message":{"content":"123)");
  expect(meter, UsageSource::kEstimated, 0, 0);
  meter.on_body(R"(45"}}],)");
  expect(meter, UsageSource::kEstimated, 0, 2);
  meter.on_body(R"("usage":{"prompt_tokens":7,"completion_tokens":9}})");
  expect(meter, UsageSource::kReported, 7, 9);
}

TEST(UsageMeter, ReadsEventsThatAreTorn) {
  std::string event = "event: response.completed\ndata: {\"response\":{\"output\":[{\"text\":\"" +
                      std::string(1000, 'x') +
                      "\"}],\"usage\":{\"input_tokens\":7,\"output_tokens\":9}}}\n\n";
  for (size_t cut = 0; cut <= event.size(); ++cut) {
    RequestReader request;
    UsageMeter meter(request);
    on_event(meter, R"({"delta":"12345678"})", 1);
    meter.on_torn_event(event.substr(0, cut), /*begins=*/true);
    meter.on_torn_event(event.substr(cut), /*begins=*/false);
    expect(meter, UsageSource::kReported, 7, 9);
  }
}

TEST(UsageMeter, MeasuresFromContentToContent) {
  RequestReader request;
  UsageMeter meter(request);
  EXPECT_FALSE(on_event(meter, R"({"choices":[{"delta":{"role":"assistant"}}]})", 5).has_content);
  EXPECT_EQ(on_event(meter, delta(1), 10).gap_ns, 0U);
  EXPECT_EQ(on_event(meter, delta(1), 14).gap_ns, 4U);
  EXPECT_EQ(on_event(meter, delta(1), 24).gap_ns, 10U);
  EXPECT_EQ(meter.times().first_ns, 10U);
  EXPECT_EQ(meter.times().count, 3U);
  EXPECT_EQ(meter.times().gap_max_ns, 10U);
  EXPECT_EQ(meter.times().gap_mean_ns(), 7U);
}

TEST(UsageMeter, CallsTheModelAsItsClientDoes) {
  RequestReader request;
  UsageMeter meter(request);
  meter.on_body(R"({"model":"theirs"})");
  EXPECT_EQ(meter.model(), "theirs");
  request.read(R"({"model":"ours"})");
  EXPECT_EQ(meter.model(), "ours");
  EXPECT_EQ(meter.answering_model(), "theirs");
}

}  // namespace
}  // namespace sluice

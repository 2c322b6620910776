// What one request to a language model costs: reads its answer as that passes, and says at the end
// what to book. What its upstream has reported counts. Content that came behind the last report, or
// without any, is estimated from its bytes, and then the whole is marked as estimated: so an answer
// that was cut is never booked as nothing. Owned by the stream's Inspection, as is the reader of
// its request; no I/O, no clock, and no allocation for an event.
#pragma once

#include <cstdint>
#include <string_view>

#include "net/base/usage.h"
#include "net/llm/answer_reader.h"
#include "net/llm/event_members.h"
#include "net/llm/request_reader.h"

namespace sluice {

class UsageMeter {
 public:
  explicit UsageMeter(const RequestReader& request) : request_(&request) {}

  struct Seen {
    bool has_content = false;
    bool is_usage_alone = false;  // OpenAI's extra chunk
    uint64_t gap_ns = 0;          // since the content before
  };

  // The data of an event of the answer, and its members.
  Seen on_event(std::string_view data, const EventMembers& members, uint64_t now_ns);
  // The next bytes of an event that is too long to be whole in memory; `begins`: its first.
  void on_torn_event(std::string_view bytes, bool begins);
  // The next bytes of a body that is read as a whole.
  void on_body(std::string_view bytes) { answer_.read(bytes); }
  // Bytes of such a body that cannot be read. Without a report they count as text.
  void on_unread_body(uint64_t bytes) { unread_bytes_ += bytes; }

  const RequestReader& request() const { return *request_; }
  const ContentTimes& times() const { return times_; }
  // As the client asked for it; where it did not, as the upstream calls it.
  std::string_view model() const {
    return request_->model().empty() ? answer_.model() : request_->model();
  }
  std::string_view answering_model() const { return answer_.model(); }

  // The answer has told of usage, or has text.
  bool has_seen_any() const {
    return answer_.usage().told != 0 || content_bytes_ > 0 || answer_.text_bytes() > 0;
  }

  struct Bill {
    UsageSource source = UsageSource::kNone;
    Usage usage;
  };
  // `served`: the upstream has taken the request on, as far as is known. Else nothing is estimated.
  Bill bill(bool served) const;

 private:
  void on_report() { content_at_report_ = content_bytes_; }

  const RequestReader* request_;
  AnswerReader answer_;
  ContentTimes times_;
  uint64_t content_bytes_ = 0;      // of events
  uint64_t content_at_report_ = 0;  // when usage came last
  uint64_t unread_bytes_ = 0;
};

}  // namespace sluice

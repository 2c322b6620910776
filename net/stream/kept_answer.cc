#include "net/stream/kept_answer.h"

#include "net/base/limits.h"

namespace sluice {

int answer_rank(int status) {
  return status == 429 ? 2 : status == 503 ? 1 : 0;
}

std::unique_ptr<KeptAnswer> KeptAnswer::of(MemoryLimit& memory, const Head& head, uint32_t upstream,
                                           uint64_t until_ms) {
  if (head.body() == BodyKind::kLength && head.content_length() > limits::kKeptAnswerBytes)
    return nullptr;
  std::unique_ptr<KeptAnswer> answer(new KeptAnswer(memory, head, upstream, until_ms));
  if (!answer->charge(0)) return nullptr;
  return answer;
}

bool KeptAnswer::append(std::string_view bytes) {
  size_t size = body_.size() + bytes.size();
  if (size > limits::kKeptAnswerBytes || !charge(size)) return false;
  body_ += bytes;
  return true;
}

bool KeptAnswer::charge(size_t body_bytes) {
  return memory_.charge(&charged_, static_cast<uint32_t>(head_.bytes_used() + body_bytes));
}

}  // namespace sluice

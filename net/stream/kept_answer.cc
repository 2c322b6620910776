#include "net/stream/kept_answer.h"

namespace sluice {

int answer_rank(int status) {
  return status == 429 ? 2 : status == 503 ? 1 : 0;
}

std::unique_ptr<KeptAnswer> KeptAnswer::of(MemoryLimit& memory, const Head& head, uint32_t upstream,
                                           uint64_t until_ms, size_t body_bytes_max) {
  if (head.body() == BodyKind::kLength && head.content_length() > body_bytes_max) return nullptr;
  std::unique_ptr<KeptAnswer> answer(
      new KeptAnswer(memory, head, upstream, until_ms, body_bytes_max));
  if (!answer->charge(0)) return nullptr;
  return answer;
}

bool KeptAnswer::append(std::string_view bytes) {
  size_t size = body_.size() + bytes.size();
  if (size > body_bytes_max_ || !charge(size)) return false;
  body_ += bytes;
  return true;
}

bool KeptAnswer::charge(size_t body_bytes) {
  return memory_.charge(&charged_, static_cast<uint32_t>(head_.bytes_used() + body_bytes));
}

}  // namespace sluice

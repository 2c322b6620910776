// An upstream's answer that says "not now" (retry-on), kept while other upstreams are asked: if
// none has a better one, the client gets this one, as its upstream gave it. Its body is taken in
// for a short while, and is small, or the answer is not kept. What it occupies is charged to the
// heap's part of --pool-max. Owned by the stream's Recovery, used on its worker's thread; a
// Metering keeps one, too, whose usage is to stand in its head.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "net/base/limits.h"
#include "net/http/head.h"
#include "pool/slot_pool.h"

namespace sluice {

// Of two answers the one to give to a client has the higher rank. A 429 is about the client itself,
// and says when to come back; a 503 was given by a server that is there; all others may be about
// something behind it.
int answer_rank(int status);

class KeptAnswer {
 public:
  // Null where it is too large, or where there is no memory for it.
  static std::unique_ptr<KeptAnswer> of(MemoryLimit& memory, const Head& head, uint32_t upstream,
                                        uint64_t until_ms,
                                        size_t body_bytes_max = limits::kKeptAnswerBytes);
  ~KeptAnswer() { memory_.charge(&charged_, 0); }
  KeptAnswer(const KeptAnswer&) = delete;
  KeptAnswer& operator=(const KeptAnswer&) = delete;

  // More of its body. False: there is no room.
  bool append(std::string_view bytes);

  const Head& head() const { return head_; }
  std::string_view body() const { return body_; }
  int rank() const { return answer_rank(head_.status()); }
  uint32_t upstream() const { return upstream_; }  // within the route's group
  uint64_t until_ms() const { return until_ms_; }  // the whole of it has to be there

 private:
  KeptAnswer(MemoryLimit& memory, const Head& head, uint32_t upstream, uint64_t until_ms,
             size_t body_bytes_max)
      : memory_(memory),
        head_(head),
        upstream_(upstream),
        until_ms_(until_ms),
        body_bytes_max_(body_bytes_max) {}
  bool charge(size_t body_bytes);

  MemoryLimit& memory_;
  uint32_t charged_ = 0;
  const Head head_;
  std::string body_;
  const uint32_t upstream_;
  const uint64_t until_ms_;
  const size_t body_bytes_max_;
};

}  // namespace sluice

#include "net/context/worker_context.h"

#include <utility>

#include "core/clock.h"
#include "net/http/client_address.h"
#include "net/http/date.h"

namespace sluice {

namespace {

constexpr size_t kHeadsKept = 64;

}  // namespace

WorkerContext::WorkerContext(Loop& its_loop, Memory& its_memory, MemoryLimit& its_memory_limit,
                             std::shared_ptr<const ConfigSnapshot> its_snapshot,
                             MessageLog& its_messages, unsigned its_number)
    : loop(its_loop),
      memory(its_memory),
      memory_limit(its_memory_limit),
      snapshot(std::move(its_snapshot)),
      messages(its_messages),
      number(its_number),
      via("sluice-" + config().instance),
      heads(kHeadsKept) {}

bool WorkerContext::trusts(const Address& client) const {
  return in_any(config().trusted_proxies, client);
}

std::string_view WorkerContext::http_date() {
  uint64_t now_ms = wall_clock_ms();
  if (now_ms / 1000 != date_of_s_) {
    date_of_s_ = now_ms / 1000;
    date_ = sluice::http_date(now_ms);
  }
  return date_;
}

void WorkerContext::warn(std::string_view text) {
  messages.write(LogLevel::kWarn, loop.now_ms(), text);
}

}  // namespace sluice

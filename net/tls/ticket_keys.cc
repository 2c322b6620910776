#include "net/tls/ticket_keys.h"

#include <algorithm>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <utility>

namespace sluice {

namespace {

void wipe(TicketKeys::Key& key) {
  OPENSSL_cleanse(&key, sizeof key);
}

bool make(TicketKeys::Key& key) {
  return RAND_bytes(key.name.data(), static_cast<int>(key.name.size())) == 1 &&
         RAND_priv_bytes(key.cipher.data(), static_cast<int>(key.cipher.size())) == 1 &&
         RAND_priv_bytes(key.mac.data(), static_cast<int>(key.mac.size())) == 1;
}

}  // namespace

TicketKeys::~TicketKeys() {
  wipe(current_);
  wipe(former_);
}

// Those whose time is over give way; false where there is no key.
bool TicketKeys::rotate(uint64_t now_ms) {
  if (has_current_ && now_ms < made_ms_ + kKeyLastsMs) return true;
  wipe(former_);
  // One that nobody has asked for in the meantime is older than its tickets.
  has_former_ = has_current_ && now_ms < made_ms_ + 2 * kKeyLastsMs;
  if (has_former_) former_ = current_;
  wipe(current_);
  has_current_ = make(current_);
  made_ms_ = now_ms;
  return has_current_;
}

std::optional<TicketKeys::Key> TicketKeys::current(uint64_t now_ms) {
  std::lock_guard guard(lock_);
  if (!rotate(now_ms)) return std::nullopt;
  return current_;
}

std::optional<TicketKeys::Found> TicketKeys::find(std::span<const unsigned char> name,
                                                  uint64_t now_ms) {
  std::lock_guard guard(lock_);
  if (!rotate(now_ms)) return std::nullopt;
  if (std::ranges::equal(name, current_.name)) return Found{current_, true};
  if (has_former_ && std::ranges::equal(name, former_.name)) return Found{former_, false};
  return std::nullopt;
}

}  // namespace sluice

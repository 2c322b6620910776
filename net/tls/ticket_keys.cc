#include "net/tls/ticket_keys.h"

#include <algorithm>
#include <cstring>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <utility>

#include "net/tls/secret_file.h"

namespace sluice {

namespace {

constexpr size_t kTicketKeysMax = 16;

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
  for (Key& key : given_) wipe(key);
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
  if (!given_.empty()) return given_.front();
  std::lock_guard guard(lock_);
  if (!rotate(now_ms)) return std::nullopt;
  return current_;
}

std::optional<TicketKeys::Found> TicketKeys::find(std::span<const unsigned char> name,
                                                  uint64_t now_ms) {
  for (const Key& key : given_)
    if (std::ranges::equal(name, key.name)) return Found{key, &key == &given_.front()};
  if (!given_.empty()) return std::nullopt;
  std::lock_guard guard(lock_);
  if (!rotate(now_ms)) return std::nullopt;
  if (std::ranges::equal(name, current_.name)) return Found{current_, true};
  if (has_former_ && std::ranges::equal(name, former_.name)) return Found{former_, false};
  return std::nullopt;
}

std::string read_ticket_keys(const std::string& file, std::vector<TicketKeys::Key>* into) {
  constexpr size_t kKeyBytes = 80;
  SecretText text;
  if (std::string wrong = read_secret(file, &text); !wrong.empty()) return wrong;
  if (text.size() == 0 || text.size() % kKeyBytes != 0 || text.size() / kKeyBytes > kTicketKeysMax)
    return file + " has " + std::to_string(text.size()) + " bytes; write one to " +
           std::to_string(kTicketKeysMax) + " keys of 80 (openssl rand 80)";
  into->reserve(text.size() / kKeyBytes);  // a vector that grows leaves copies behind
  for (const char* from = text.data(); from != text.data() + text.size();) {
    TicketKeys::Key& key = into->emplace_back();
    auto take = [&from](auto& part) {
      std::memcpy(part.data(), from, part.size());
      from += part.size();
    };
    take(key.name);
    take(key.mac);
    take(key.cipher);
  }
  return "";
}

}  // namespace sluice

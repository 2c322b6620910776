#include "net/tls/traffic_secrets.h"

#include <openssl/crypto.h>

namespace sluice {

namespace {

// Without a branch or a table that the digit would choose: it is a part of a secret.
uint8_t value_of(char digit) {
  auto code = static_cast<unsigned>(static_cast<uint8_t>(digit));
  return static_cast<uint8_t>((code & 0xf) + 9 * (code >> 6));
}

// The number of bytes; 0 where there are none, or too many.
uint8_t read_hex(std::string_view digits, std::array<uint8_t, TrafficSecrets::kBytesMax>& into) {
  size_t size = digits.size() / 2;
  if (size > into.size() || digits.size() % 2 != 0) return 0;
  for (size_t i = 0; i < size; ++i)
    into[i] = static_cast<uint8_t>(value_of(digits[2 * i]) << 4 | value_of(digits[2 * i + 1]));
  return static_cast<uint8_t>(size);
}

}  // namespace

TrafficSecrets::~TrafficSecrets() {
  OPENSSL_cleanse(client_.data(), client_.size());
  OPENSSL_cleanse(server_.data(), server_.size());
}

bool TrafficSecrets::note(std::string_view line) {
  constexpr std::string_view kClient = "CLIENT_TRAFFIC_SECRET_0 ";
  constexpr std::string_view kServer = "SERVER_TRAFFIC_SECRET_0 ";
  std::string_view digits = line.substr(line.rfind(' ') + 1);
  if (line.starts_with(kClient))
    client_bytes_ = read_hex(digits, client_);
  else if (line.starts_with(kServer))
    server_bytes_ = read_hex(digits, server_);
  else
    return false;
  return true;
}

}  // namespace sluice

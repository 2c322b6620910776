// The two secrets that the application data of a TLS 1.3 connection is sealed under (RFC 8446
// section 7.1), as OpenSSL tells them: in lines of its key log, the only public way to them. Owned
// by the handshake of one connection, then by what goes on in its place, and used on its worker's
// thread. Its bytes are wiped when it goes, and it is neither copied nor printed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace sluice {

class TrafficSecrets {
 public:
  static constexpr size_t kBytesMax = 48;  // SHA-384's

  TrafficSecrets() = default;
  ~TrafficSecrets();
  TrafficSecrets(const TrafficSecrets&) = delete;
  TrafficSecrets& operator=(const TrafficSecrets&) = delete;

  // A line of the key log: "LABEL CLIENT_RANDOM SECRET", all hexadecimal. False: it says neither of
  // the two.
  bool note(std::string_view line);
  // Both are there.
  bool complete() const { return client_bytes_ > 0 && client_bytes_ == server_bytes_; }
  // What the client seals under, and what the server does.
  std::span<const uint8_t> client() const { return {client_.data(), client_bytes_}; }
  std::span<const uint8_t> server() const { return {server_.data(), server_bytes_}; }

 private:
  std::array<uint8_t, kBytesMax> client_{};
  std::array<uint8_t, kBytesMax> server_{};
  uint8_t client_bytes_ = 0;
  uint8_t server_bytes_ = 0;
};

}  // namespace sluice

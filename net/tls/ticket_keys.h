// The keys with which session tickets are sealed, so that clients can resume on any worker, and
// beyond a reload. One is in use at a time and replaced every few hours; the one before opens
// tickets as long as these are valid, and is then wiped: what was said in former times stays
// secret. Keys from a file, which several hosts share, are replaced by whoever writes that file.
// Shared by all workers. A lock, since a handshake is rare, and takes hundreds of others
// within OpenSSL.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace sluice {

class TicketKeys {
 public:
  struct Key {
    std::array<uint8_t, 16> name{};
    std::array<uint8_t, 32> cipher{};
    std::array<uint8_t, 32> mac{};
  };
  struct Found {
    Key key;
    bool current;  // else the client gets another ticket
  };

  // Half of the time that a ticket is valid for, at least: after two of these no key opens it.
  static constexpr uint64_t kKeyLastsMs = uint64_t{4} * 3'600'000;

  TicketKeys() = default;
  // Those of a file (at least one), for as long as they are valid there: the first one seals.
  explicit TicketKeys(std::vector<Key> given) : given_(std::move(given)) {}
  ~TicketKeys();
  TicketKeys(const TicketKeys&) = delete;
  TicketKeys& operator=(const TicketKeys&) = delete;

  // Nullopt where there is no randomness to be had.
  std::optional<Key> current(uint64_t now_ms);
  std::optional<Found> find(std::span<const unsigned char> name, uint64_t now_ms);

 private:
  bool rotate(uint64_t now_ms);

  std::vector<Key> given_;
  std::mutex lock_;
  Key current_;
  Key former_;
  uint64_t made_ms_ = 0;
  bool has_current_ = false;
  bool has_former_ = false;
};

// Keys of 80 bytes each: 16 of name, 32 for the MAC, 32 for the cipher. "" or what is wrong.
std::string read_ticket_keys(const std::string& file, std::vector<TicketKeys::Key>* into);

}  // namespace sluice

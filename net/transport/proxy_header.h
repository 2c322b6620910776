// Reads the header of the PROXY protocol, version 1 (a line) or 2 (binary), as haproxy.org's
// proxy-protocol.txt has it: whom a load balancer has the connection from. Fed byte by byte if need
// be, and keeps what it needs for the addresses: what lies behind them is skipped, and its length
// is two bytes, so a header is never longer than 64 KiB. Pure, any thread.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "net/base/address.h"
#include "net/base/proxy_results.h"

namespace sluice {

class ProxyHeader {
 public:
  // Takes bytes up to the header's end, if that is among them, and says how many. All of them where
  // done() is not true behind it.
  size_t feed(std::string_view bytes);

  bool done() const { return done_; }
  // Once it is done: kAddress, kLocal, kMissing or kInvalid.
  ProxyResult result() const { return result_; }
  // With kAddress; else not known.
  const Ip& client() const { return client_; }

 private:
  // The longest line, and more than what version 2 has up to the end of its addresses.
  static constexpr size_t kBytesMax = 107;

  void look();
  void read_line();
  void read_binary();
  void finish(ProxyResult result) {
    done_ = true;
    result_ = result;
  }
  std::string_view seen() const { return {bytes_.data(), size_}; }

  std::array<char, kBytesMax> bytes_{};
  size_t size_ = 0;     // of these
  size_t to_skip_ = 0;  // of version 2, behind them
  bool done_ = false;
  ProxyResult result_ = ProxyResult::kMissing;
  Ip client_;
};

}  // namespace sluice

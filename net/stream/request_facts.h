// The facts of a request that the log, /streams and warnings show, kept beyond its head. They lie
// in one block of exactly their size, since every live stream has one. Owned by the stream.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace sluice {

class RequestFacts {
 public:
  struct Texts {
    std::string_view method = {};
    std::string_view target = {};  // without its query, unless that may be shown (--log-query)
    std::string_view client = {};  // its address; behind trusted proxies the one that they name
    std::string_view id = {};      // X-Request-Id
    std::string_view host = {};
    std::string_view user_agent = {};
    std::string_view protocol = {};
  };

  // Copies the texts, cut to their logged length (limits::kLogged...).
  void keep(const Texts& texts);

  // Empty if nothing is known.
  std::string_view method() const { return part(0); }
  std::string_view target() const { return part(1); }
  std::string_view client() const { return part(2); }
  std::string_view id() const { return part(3); }
  std::string_view host() const { return part(4); }
  std::string_view user_agent() const { return part(5); }
  std::string_view protocol() const { return part(6); }  // towards the client

 private:
  static constexpr size_t kParts = 7;
  using Ends = std::array<uint16_t, kParts>;  // where each part ends, before the parts

  std::string_view part(size_t which) const;

  std::unique_ptr<char[]> block_;
};

}  // namespace sluice

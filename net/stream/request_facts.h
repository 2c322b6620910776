// What is kept of a request beyond the arrival of its head, in one block of exactly its size, since
// every live stream has one: the facts that the log, /streams and warnings show, and the head
// itself, as text, for as long as another attempt may have to write the request anew. Owned by the
// stream.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "net/http/head.h"

namespace sluice {

class RequestFacts {
 public:
  struct Texts {
    std::string_view method = {};
    std::string_view target = {};  // without its query, unless that may be shown (--log-query)
    std::string_view client = {};  // its address; behind trusted proxies the one that they name
    std::string_view id = {};      // X-Request-Id; empty: it came without one
    std::string_view host = {};
    std::string_view user_agent = {};
    std::string_view protocol = {};
  };

  // Copies the texts, cut to their logged length (limits::kLogged...).
  void keep(const Texts& texts);
  bool known() const { return block_ != nullptr; }

  // Empty if nothing is known.
  std::string_view method() const { return part(0); }
  std::string_view target() const { return part(1); }
  std::string_view client() const { return part(2); }
  std::string_view id() const { return part(3); }
  std::string_view host() const { return part(4); }
  std::string_view user_agent() const { return part(5); }
  std::string_view protocol() const { return part(6); }  // towards the client

  // Keeps the head of that request, too, which has no body; the facts are known. False: it is too
  // long.
  bool keep_head(const Head& head);
  void drop_head();
  bool has_head() const { return !part(kHead).empty(); }
  size_t head_bytes() const { return part(kHead).size(); }
  // The head again, as far as it matters to its writers.
  void restore_head(Head& into) const;

 private:
  static constexpr size_t kHead = 7;
  static constexpr size_t kParts = 8;
  using Ends = std::array<uint16_t, kParts>;  // where each part ends, before the parts

  void keep_parts(const std::array<std::string_view, kParts>& parts);
  void replace_head(std::string_view head);
  std::string_view part(size_t which) const;

  std::unique_ptr<char[]> block_;
};

}  // namespace sluice

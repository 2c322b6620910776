// What tests of outboxes share: what a socket would be given, and what a client would make of it.
#pragma once

#include <array>
#include <charconv>
#include <optional>
#include <string>
#include <string_view>

#include "net/stream/outbox.h"
#include "tests/unit/pool/chain_testing.h"

namespace sluice::test {

// The bytes of the next batch, or of the rest of the one under way.
inline std::string batch_of(Outbox& outbox, size_t pieces_max = 128) {
  std::array<iovec, 128> pieces{};
  auto room = std::span(pieces).first(pieces_max);
  return text_of(room.first(outbox.build(room)));
}

// The content of a chunked body without extensions and trailers, or nullopt where it is not exactly
// one (RFC 9112 section 7.1).
inline std::optional<std::string> decode_chunked(std::string_view wire) {
  std::string content;
  for (;;) {
    size_t size = 0;
    auto [end, error] = std::from_chars(wire.data(), wire.data() + wire.size(), size, 16);
    if (error != std::errc{}) return std::nullopt;
    wire.remove_prefix(static_cast<size_t>(end - wire.data()));
    if (!wire.starts_with("\r\n") || wire.size() < size + 4) return std::nullopt;
    content += wire.substr(2, size);
    if (wire.substr(2 + size, 2) != "\r\n") return std::nullopt;
    wire.remove_prefix(size + 4);
    if (size == 0) return wire.empty() ? std::optional(content) : std::nullopt;
  }
}

}  // namespace sluice::test

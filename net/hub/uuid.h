// UUIDs as 16 bytes and as text, so that a store keeps them in half the room and without loss: only
// the form that a UUID is printed in again counts as one ("936da01f-9abd-4d9d-80c7-02af85c822a8").
// Pure, allocates nothing.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

namespace sluice {

inline constexpr size_t kUuidBytes = 16;
inline constexpr size_t kUuidTextBytes = 36;

// nullopt: the text is no UUID, or is one with capitals, braces, or no dashes.
std::optional<std::array<char, kUuidBytes>> uuid_of(std::string_view text);
// `bytes` are 16.
std::array<char, kUuidTextBytes> uuid_text(std::string_view bytes);

}  // namespace sluice

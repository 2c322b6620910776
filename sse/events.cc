#include "sse/events.h"

#include <array>
#include <string_view>

namespace sluice {

Pieces without_mark(Pieces stream) noexcept {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  std::array<char, kByteOrderMark.size()> room{};
  if (stream.size() >= room.size() && stream.prefix(room.size()).flat(room) == kByteOrderMark)
    stream.remove_prefix(room.size());
  return stream;
}

bool EventReader::next(Pieces& event) noexcept {
  return next(event, [](const Pieces&) {});
}

}  // namespace sluice

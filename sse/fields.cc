#include "sse/fields.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace sluice {

namespace {

// The longest name, its colon and its space.
constexpr size_t kOpeningBytes = std::string_view("event: ").size();

template <typename Predicate>
bool all_of(Pieces value, Predicate predicate) noexcept {
  for (; !value.empty(); value.remove_prefix(value.first().size()))
    if (!std::ranges::all_of(value.first(), predicate)) return false;
  return true;
}

// False: a client ignores it.
bool valid(const Field& field) noexcept {
  switch (field.kind) {
    case FieldKind::kId:
      return all_of(field.value, [](char c) { return c != '\0'; });
    case FieldKind::kRetry:
      return !field.value.empty() &&
             all_of(field.value, [](char c) { return c >= '0' && c <= '9'; });
    case FieldKind::kComment:
    case FieldKind::kData:
    case FieldKind::kEvent:
      return true;
  }
  return true;
}

}  // namespace

bool read_field(const Pieces& line, Field& field) noexcept {
  std::array<char, kOpeningBytes> room{};
  std::string_view opening = line.first();
  if (!line.in_one_piece() && opening.size() < kOpeningBytes)
    opening = line.prefix(std::min(line.size(), kOpeningBytes)).flat(room);
  std::string_view name;
  switch (opening.front()) {
    case ':':
      field = {FieldKind::kComment, line};
      field.value.remove_prefix(1);
      return true;
    case 'd':
      name = "data";
      field.kind = FieldKind::kData;
      break;
    case 'e':
      name = "event";
      field.kind = FieldKind::kEvent;
      break;
    case 'i':
      name = "id";
      field.kind = FieldKind::kId;
      break;
    case 'r':
      name = "retry";
      field.kind = FieldKind::kRetry;
      break;
    default:
      return false;
  }
  if (!opening.starts_with(name)) return false;
  opening.remove_prefix(name.size());
  size_t before_value = name.size();
  if (!opening.empty()) {
    if (opening.front() != ':') return false;
    before_value += opening.substr(1).starts_with(' ') ? 2 : 1;
  }
  field.value = line;
  field.value.remove_prefix(before_value);
  return valid(field);
}

bool FieldReader::next(Field& field) noexcept {
  Pieces line;
  while (lines_.next(line))
    if (!line.empty() && read_field(line, field)) return true;
  return false;
}

}  // namespace sluice

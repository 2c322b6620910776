// The names of streams, by Message DB's rules. `category-id` names a stream of a category: the
// category ends before the first '-', and all behind it is the id. An id may be compound
// ("123+456"); what stands before its first '+' is the cardinal id, which consumer groups go by. A
// name without '-' is a category and has no id. Pure functions of text; what they give are parts of
// what they got.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace sluice {

namespace limits {
// As PostgreSQL's index on names bears them in Message DB with room to spare, and short enough for
// a request's target.
inline constexpr size_t kStreamNameBytesMax = 256;
}  // namespace limits

std::string_view category_of(std::string_view name);
// Empty for "account-", nullopt for "account".
std::optional<std::string_view> id_of(std::string_view name);
std::optional<std::string_view> cardinal_id_of(std::string_view name);

// It names all streams of a category, and may be read as one.
inline bool is_category(std::string_view name) {
  return name.find('-') == name.npos;
}

// Why this can be no name, in words for whoever sent it; nullptr: it is one. Names go into paths,
// logs and JSON, so they are UTF-8 without control characters.
const char* name_fault(std::string_view name);

}  // namespace sluice

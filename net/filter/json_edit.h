// Edits of JSON as bytes: which part of a text goes, and what comes in its place. The text has to
// be valid JSON, and is valid behind the edit. Pure functions, which allocate nothing but what is
// appended; any thread's.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "net/filter/json_pointer.h"

namespace sluice {

struct JsonPart {
  size_t begin;
  size_t end;
};

// A place in JSON and the value that it lies in.
struct JsonTarget {
  const JsonPointer& pointer;
  const JsonPointer& parent;  // of no use where the pointer is the root
};

// Where `value` (JSON) goes: in the place of what is there, or as the last of its object or array.
// `room` is for what comes with it. False: there is no such place.
bool find_place_to_set(std::string_view json, JsonTarget target, std::string_view value,
                       JsonPart& part, std::string_view& with, std::string& room);
// All members of that name, each with a comma; or an element.
void find_parts_to_remove(std::string_view json, JsonTarget target, std::vector<JsonPart>& parts);

}  // namespace sluice

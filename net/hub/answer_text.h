// The members of the JSON objects that a hub answers with: each is appended to a text that begins
// with "{". Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/text.h"
#include "net/filter/json_text.h"
#include "net/hub/hub_id.h"

namespace sluice {

inline void append_member(std::string& out, std::string_view name, std::string_view text) {
  out.append(out.size() > 1 ? ",\"" : "\"").append(name).append("\":\"");
  append_escaped(out, text);
  out += '"';
}

inline void append_member(std::string& out, std::string_view name, uint64_t number) {
  out.append(out.size() > 1 ? ",\"" : "\"").append(name).append("\":");
  append_number(out, number);
}

inline void append_version(std::string& out, std::string_view name, uint64_t next) {
  if (next == 0)
    out.append(out.size() > 1 ? ",\"" : "\"").append(name).append("\":-1");
  else
    append_member(out, name, next - 1);
}

inline void append_epoch_member(std::string& out, uint32_t epoch) {
  std::string text;
  append_epoch(text, epoch);
  append_member(out, "epoch", text);
}

}  // namespace sluice

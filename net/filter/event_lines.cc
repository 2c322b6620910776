#include "net/filter/event_lines.h"

#include <algorithm>

namespace sluice {

void append_data_lines(std::string& out, std::string_view text) {
  for (size_t at = 0; at <= text.size();) {
    size_t end = std::min(text.find_first_of("\r\n", at), text.size());
    out += "data: ";
    out += text.substr(at, end - at);
    out += '\n';
    at = end + (text.substr(end).starts_with("\r\n") ? 2 : 1);
  }
}

void append_event(std::string& out, std::string_view type, std::string_view data) {
  if (!type.empty()) {
    out += "event: ";
    out += type;
    out += '\n';
  }
  append_data_lines(out, data);
  out += '\n';
}

}  // namespace sluice

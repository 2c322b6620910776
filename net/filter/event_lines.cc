#include "net/filter/event_lines.h"

#include <algorithm>

namespace sluice {

void append_data_lines(std::string& out, std::string_view text) {
  // Looked for one by one, which is many times faster than both at once; each is found once.
  size_t feed = text.find('\n');
  size_t carriage_return = text.find('\r');
  for (size_t at = 0; at <= text.size();) {
    if (feed < at) feed = text.find('\n', at);
    if (carriage_return < at) carriage_return = text.find('\r', at);
    size_t end = std::min({feed, carriage_return, text.size()});
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

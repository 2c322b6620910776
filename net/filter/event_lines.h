// An event of ours, as lines. Pure; any thread's.
#pragma once

#include <string>
#include <string_view>

namespace sluice {

// A `data` line for each line of `text`, wherever it ends: CR, LF or both. So no text can end an
// event early.
void append_data_lines(std::string& out, std::string_view text);
// A whole event. Without a type it has no such line.
void append_event(std::string& out, std::string_view type, std::string_view data);

}  // namespace sluice

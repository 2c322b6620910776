// Small pieces of text that several outputs write: numbers, errors, JSON strings. Pure, any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sluice {

void append_number(std::string& out, uint64_t value);

// The name of an errno ("ECONNREFUSED"), which lives as long as the program.
const char* error_name(int error);

// Text with ", \ and control characters escaped as JSON has them. Bytes beyond ASCII are escaped as
// if they were Latin-1, so that what a peer sent never makes the line invalid.
void append_json_escaped(std::string& out, std::string_view text);

}  // namespace sluice

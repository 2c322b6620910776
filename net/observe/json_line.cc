#include "net/observe/json_line.h"

namespace sluice {

void append_ms(std::string& out, uint64_t ns) {
  append_number(out, ns / 1'000'000);
  uint64_t us = ns / 1000 % 1000;
  out += '.';
  if (us < 100) out += '0';
  if (us < 10) out += '0';
  append_number(out, us);
}

}  // namespace sluice

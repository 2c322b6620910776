// Any bytes as an event stream, through scripts that read and that edit: what holds of them holds.
#include <cstdint>
#include <string_view>

#include "tests/unit/script/script_properties.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  sluice::test::expect_script_properties({reinterpret_cast<const char*>(data), size});
  return 0;
}

// Any bytes as an event stream, through filters that edit JSON: what holds of them holds.
#include <cstdint>
#include <string_view>

#include "tests/unit/filter/filter_properties.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  sluice::test::expect_filter_properties({reinterpret_cast<const char*>(data), size});
  return 0;
}

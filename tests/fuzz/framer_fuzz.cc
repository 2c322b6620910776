// Any bytes, in any reads: the framer on the split stream and on the whole one says what the
// reference says, with every scanner that this CPU supports.
#include "tests/fuzz/fuzz_input.h"
#include "tests/unit/sse/reference.h"

using namespace sluice::test;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  stop_at_failures();
  FuzzInput input(data, size);
  const std::vector<size_t> cuts = input.cuts();
  const std::string_view stream = input.rest();
  const Framing expected = reference_framing(stream);
  for (const sluice::Scanner& scanner : sluice::scanners()) {
    if (!scanner.supported()) continue;
    EXPECT_TRUE(sluice::select_scanner(scanner.name));
    expect_framing(stream, expected, {});
    expect_framing(stream, expected, cuts);
  }
  return 0;
}

// Any bytes, in any reads: the framer on the stream as a whole, cut where the input says and, where
// it is short, at every place and byte by byte, says what the reference says, with every scanner
// that this CPU supports.
#include "tests/fuzz/fuzz_input.h"
#include "tests/unit/sse/reference.h"

using namespace sluice::test;

namespace {

// Two blocks of a scanner and some: what a place to cut can be next to is there.
constexpr size_t kCutEverywhereMax = 144;

void expect_framing_in_two_reads(std::string_view stream, const Framing& expected) {
  for (size_t cut = 1; cut < stream.size(); ++cut) expect_framing(stream, expected, {cut});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzInput input(data, size);
  const std::vector<size_t> cuts = input.cuts();
  const std::string_view stream = input.rest();
  const Framing expected = reference_framing(stream);
  for (const sluice::Scanner& scanner : sluice::scanners()) {
    if (!scanner.supported()) continue;
    EXPECT_TRUE(sluice::select_scanner(scanner.name));
    expect_framing(stream, expected, {});
    expect_framing(stream, expected, cuts);
    if (stream.size() > kCutEverywhereMax) continue;
    expect_framing_in_two_reads(stream, expected);
    expect_framing_byte_by_byte(stream);
  }
  return 0;
}

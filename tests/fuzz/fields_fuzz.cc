// Any bytes, in any pieces: the events and the fields of the text as a whole, cut where the input
// says and, where it is short, at every place and byte by byte, are what the reference finds, with
// every scanner that this CPU supports.
#include "tests/fuzz/fuzz_input.h"
#include "tests/unit/sse/fields_reference.h"

using namespace sluice::test;

namespace {

// Two blocks of a scanner and some: what a place to cut can be next to is there.
constexpr size_t kCutEverywhereMax = 144;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzInput input(data, size);
  const std::vector<size_t> cuts = input.cuts();
  const std::string_view text = input.rest();
  for (const sluice::Scanner& scanner : sluice::scanners()) {
    if (!scanner.supported()) continue;
    EXPECT_TRUE(sluice::select_scanner(scanner.name));
    expect_fields(text, {});
    expect_fields(text, cuts);
    if (text.size() > kCutEverywhereMax) continue;
    for (size_t cut = 1; cut < text.size(); ++cut) expect_fields(text, {cut});
    expect_fields_byte_by_byte(text);
  }
  return 0;
}

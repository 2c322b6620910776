// Under libFuzzer a failed expectation ends the run as a crash does, so that the input is kept.
// (gtest's own break_on_failure raises SIGTRAP, which libFuzzer does not catch.)
#include <cstdlib>

#include <gtest/gtest.h>

namespace {

class StopAtFailures final : public testing::EmptyTestEventListener {
  void OnTestPartResult(const testing::TestPartResult& result) override {
    if (result.failed()) std::abort();
  }
};

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  testing::UnitTest::GetInstance()->listeners().Append(new StopAtFailures);
  return 0;
}

// Runs a fuzzer's target on every file of its corpus, without libFuzzer: one test a file, named
// after it. The inputs lie in allocations of their size, so that ASan sees a read beyond them.
//
// usage: <name>_replay FOLDER [GTEST-FLAG...]
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

namespace fs = std::filesystem;

class Replay final : public testing::Test {
 public:
  explicit Replay(fs::path file) : file_(std::move(file)) {}

  void TestBody() override {
    std::ifstream stream(file_, std::ios::binary);
    ASSERT_TRUE(stream.is_open());
    std::vector<uint8_t> input{std::istreambuf_iterator<char>(stream), {}};
    input.shrink_to_fit();
    LLVMFuzzerTestOneInput(input.data(), input.size());
  }

 private:
  fs::path file_;
};

std::vector<fs::path> files_of(const char* folder) {
  std::error_code error;
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder, error)) files.push_back(entry.path());
  std::ranges::sort(files);
  return files;
}

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  const std::vector<fs::path> files = argc == 2 ? files_of(argv[1]) : std::vector<fs::path>();
  if (files.empty()) {
    std::fprintf(stderr, "usage: %s FOLDER [GTEST-FLAG...], of a folder with inputs\n", argv[0]);
    return 2;
  }
  for (const fs::path& file : files) {
    testing::RegisterTest("Corpus", file.filename().c_str(), nullptr, nullptr, __FILE__, __LINE__,
                          [file]() -> testing::Test* { return new Replay(file); });
  }
  return RUN_ALL_TESTS();
}

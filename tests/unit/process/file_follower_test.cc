#include "net/process/file_follower.h"

#include <filesystem>
#include <fstream>
#include <poll.h>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "core/file_stamps.h"

namespace sluice {
namespace {

class Followed : public testing::Test {
 protected:
  Followed() {
    std::string path = testing::TempDir() + "sluice_followed_XXXXXX";
    EXPECT_NE(mkdtemp(path.data()), nullptr);
    folder_ = path;
  }
  ~Followed() override { std::filesystem::remove_all(folder_); }

  std::string file(const std::string& name) const { return folder_ + "/" + name; }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(file(name + ".new")) << text;
    std::filesystem::rename(file(name + ".new"), file(name));
  }
  bool follow(const std::vector<std::string>& names) {
    std::vector<std::string> files;
    for (const std::string& name : names) files.push_back(file(name));
    return follower_.follow(stamps_of(files));
  }
  // Waits for the word of a change.
  bool told() {
    pollfd fd{follower_.fd(), POLLIN, 0};
    return poll(&fd, 1, 20'000) == 1 && follower_.take_change();
  }

  std::string folder_;
  FileFollower follower_;
};

TEST_F(Followed, AChangeIsToldOnce) {
  write("one", "1");
  ASSERT_TRUE(follow({"one"}));
  EXPECT_FALSE(follower_.take_change());
  write("one", "2");
  EXPECT_TRUE(told());
  EXPECT_FALSE(follower_.take_change());
}

TEST_F(Followed, AFileMayComeAndGo) {
  ASSERT_TRUE(follow({"one"}));
  write("one", "1");
  EXPECT_TRUE(told());
  std::filesystem::remove(file("one"));
  EXPECT_TRUE(told());
}

TEST_F(Followed, AChangeBehindTheReadingIsTold) {
  write("one", "1");
  FileStamps read = stamps_of({file("one")});
  write("one", "2");
  ASSERT_TRUE(follower_.follow(read));
  EXPECT_TRUE(told());
}

TEST_F(Followed, OnlyThoseOfTheLastListCount) {
  write("one", "1");
  write("two", "1");
  ASSERT_TRUE(follow({"one"}));
  ASSERT_TRUE(follow({"two"}));
  write("one", "2");
  write("two", "2");
  EXPECT_TRUE(told());
  EXPECT_FALSE(follower_.take_change());
}

}  // namespace
}  // namespace sluice

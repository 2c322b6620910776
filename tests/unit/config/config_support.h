// What the tests of the configuration share: read_config from a list of flags, and a file that is
// there while a test runs.
#pragma once

#include <cstdio>
#include <fstream>
#include <string>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "net/config.h"

namespace sluice {

inline ConfigResult read(const std::vector<std::string>& flags) {
  std::vector<const char*> argv{"sluice"};
  for (const std::string& flag : flags) argv.push_back(flag.c_str());
  return read_config(static_cast<int>(argv.size()), argv.data());
}

// The configuration of flags that are right.
inline Config config_of(const std::vector<std::string>& flags) {
  ConfigResult result = read(flags);
  EXPECT_TRUE(result.config) << result.message;
  EXPECT_EQ(result.exit_status, 0);
  return result.config ? *result.config : Config{};
}

// The message of flags that are wrong.
inline std::string error_of(const std::vector<std::string>& flags) {
  ConfigResult result = read(flags);
  EXPECT_FALSE(result.config);
  EXPECT_EQ(result.exit_status, 2);
  EXPECT_EQ(result.message.find('\n'), std::string::npos);
  return result.message;
}

class TomlFile {
 public:
  explicit TomlFile(const std::string& text)
      : path_(testing::TempDir() + "sluice_config_" + std::to_string(::getpid()) + ".toml") {
    std::ofstream(path_) << text;
  }
  ~TomlFile() { std::remove(path_.c_str()); }
  TomlFile(const TomlFile&) = delete;
  TomlFile& operator=(const TomlFile&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace sluice

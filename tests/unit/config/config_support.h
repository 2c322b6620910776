// What the tests of the configuration share: read_config from a list of flags, a file that is there
// while a test runs, and parts of a configuration as text.
#pragma once

#include <cstdio>
#include <fstream>
#include <string>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "net/config/config.h"

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

inline constexpr const char* kUpstream = "http://127.0.0.1:9000";

// The message of a file that is wrong, with FILE for its path.
inline std::string file_error(const std::string& toml,
                              std::vector<std::string> flags = {"--demo"}) {
  TomlFile file(toml);
  flags.insert(flags.end(), {"--config", file.path()});
  std::string message = error_of(flags);
  size_t at = 0;
  while ((at = message.find(file.path())) != message.npos) {
    message.replace(at, file.path().size(), "FILE");
  }
  return message;
}

inline Config config_of_file(const std::string& toml, std::vector<std::string> flags = {}) {
  TomlFile file(toml);
  flags.insert(flags.end(), {"--config", file.path()});
  return config_of(flags);
}

inline std::vector<std::string> paths(const Config& config) {
  std::vector<std::string> all;
  for (const Route& route : config.routes) all.push_back(route.path);
  return all;
}

inline std::vector<std::string> urls(const Route& route) {
  std::vector<std::string> all;
  for (const Upstream& upstream : route.upstreams) all.push_back(upstream.url);
  return all;
}

inline std::vector<std::string> listen_texts(const Config& config) {
  std::vector<std::string> all;
  for (const Address& address : config.listen) all.push_back(address.text());
  return all;
}

inline constexpr const char* kFile = R"(# every form of a value
listen = ["127.0.0.1:1", "127.0.0.1:2"]
upstream = "http://127.0.0.1:3"
heartbeat = "10s"
buffer-size = 4096
threads = 2
pin = false

[[route]]
path = "/v1"
upstream = ["http://127.0.0.1:4", "http://127.0.0.1:5"]
heartbeat = 0

[[route]]
path = "/v2"
upstream = "http://127.0.0.1:6"
)";

}  // namespace sluice

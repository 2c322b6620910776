// The names of /etc/hosts (hosts(5)). A name that stands there is answered from there, in both
// address families, as the system's own resolver does: whoever pins a name wants no other answer.
// Read when it has changed, which is looked at once a second at most; one that cannot be read, or
// is empty because somebody writes it just then, changes nothing. Owned by a resolver, used on its
// thread.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <unordered_map>
#include <vector>

#include "net/dns/resolver.h"

namespace sluice {

// Tells whether a file is another one than when it was last looked at.
class FileWatch {
 public:
  explicit FileWatch(const char* path) : path_(path) {}

  const char* path() const { return path_; }
  // Also the first time. False where there is no such file.
  bool changed();

 private:
  const char* path_;
  struct stat seen_ = {};
};

class HostsFile {
 public:
  explicit HostsFile(const char* path = "/etc/hosts") : watch_(path) {}

  // By family. Null: the name does not stand there.
  const std::array<std::vector<Address>, kIpFamilies>* find(std::string_view name) const;
  void read_if_changed();
  // For tests: the file's text.
  void read(std::string_view text);

 private:
  FileWatch watch_;
  std::unordered_map<std::string, std::array<std::vector<Address>, kIpFamilies>> names_;
};

}  // namespace sluice

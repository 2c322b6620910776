// A file that holds keys, read as a whole and wiped when it is let go of: no copy stays behind in
// the heap or in a buffer of stdio's. Owned by whoever reads; on no thread that serves.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

namespace sluice {

class SecretText {
 public:
  SecretText() = default;
  ~SecretText();
  SecretText(const SecretText&) = delete;
  SecretText& operator=(const SecretText&) = delete;

  const char* data() const { return bytes_.get(); }
  size_t size() const { return size_; }

 private:
  friend std::string read_secret(const std::string& path, SecretText* into);

  std::unique_ptr<char[]> bytes_;  // kSecretBytesMax of them
  size_t size_ = 0;
};

// "" or what is wrong with that file.
std::string read_secret(const std::string& path, SecretText* into);

}  // namespace sluice

#include "net/tls/secret_file.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <unistd.h>

namespace sluice {

namespace {

// A key of RSA with 16,384 bits takes 13 KB in PEM form.
constexpr size_t kSecretBytesMax = 64 * 1024;

}  // namespace

SecretText::~SecretText() {
  if (bytes_) OPENSSL_cleanse(bytes_.get(), kSecretBytesMax);
}

std::string read_secret(const std::string& path, SecretText* into) {
  auto cannot = [&path] {
    return path + " cannot be read (" + std::strerror(errno) +
           "); name a file that this user may read";
  };
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return cannot();
  into->bytes_ = std::make_unique<char[]>(kSecretBytesMax);
  into->size_ = 0;
  ssize_t got = 1;
  while (got > 0 && into->size_ < kSecretBytesMax) {
    got = ::read(fd, into->bytes_.get() + into->size_, kSecretBytesMax - into->size_);
    if (got > 0) into->size_ += static_cast<size_t>(got);
  }
  std::string wrong = got < 0 ? cannot() : "";
  ::close(fd);
  if (wrong.empty() && into->size_ == kSecretBytesMax)
    return path + " is too large for a file of keys";
  return wrong;
}

}  // namespace sluice

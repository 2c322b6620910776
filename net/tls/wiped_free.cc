#include "net/tls/wiped_free.h"

#include <cstdlib>
#include <malloc.h>
#include <openssl/crypto.h>
#include <utility>

namespace sluice {

namespace {

bool installed = false;
thread_local bool wiping = false;

void* allocate(size_t size, const char* /*file*/, int /*line*/) {
  return size == 0 ? nullptr : std::malloc(size);
}

void release(void* block, const char* /*file*/, int /*line*/) {
  if (block != nullptr && wiping) OPENSSL_cleanse(block, malloc_usable_size(block));
  std::free(block);
}

void* resize(void* block, size_t size, const char* file, int line) {
  if (size > 0) return std::realloc(block, size);
  release(block, file, line);
  return nullptr;
}

}  // namespace

bool install_wiping_free() {
  installed = installed || CRYPTO_set_mem_functions(allocate, resize, release) == 1;
  return installed;
}

bool wiping_free_installed() {
  return installed;
}

WipesWhatIsFreed::WipesWhatIsFreed(bool wipes) : before_(std::exchange(wiping, wiping || wipes)) {}

WipesWhatIsFreed::~WipesWhatIsFreed() {
  wiping = before_;
}

}  // namespace sluice

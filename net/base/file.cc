#include "net/base/file.h"

#include <array>
#include <cstdio>
#include <memory>

namespace sluice {

bool read_file(const char* path, std::string* text) {
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path, "rbe"), &std::fclose);
  if (!file) return false;
  text->clear();
  std::array<char, 16384> piece;
  while (size_t size = std::fread(piece.data(), 1, piece.size(), file.get()))
    text->append(piece.data(), size);
  return std::ferror(file.get()) == 0;
}

}  // namespace sluice

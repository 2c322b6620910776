#include "pool/region.h"

#include <cerrno>
#include <sys/mman.h>
#include <utility>

namespace sluice {

namespace {

constexpr size_t kHugePage = 2 * 1024 * 1024;
constexpr size_t kPage = 4096;

char* map(size_t bytes, int flags) {
  void* memory =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
  return memory == MAP_FAILED ? nullptr : static_cast<char*>(memory);
}

size_t round_up(size_t bytes, size_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

}  // namespace

const char* page_kind_name(PageKind kind) {
  switch (kind) {
    case PageKind::kHuge:
      return "huge pages";
    case PageKind::kTransparentHuge:
      return "transparent huge pages";
    case PageKind::kNormal:
      break;
  }
  return "normal pages";
}

Region::Region(Ring& ring, size_t bytes, unsigned fixed_index)
    : ring_(ring), fixed_index_(fixed_index) {
  bool huge = ring.features().huge_pages && bytes >= kHugePage;
  if (huge) {
    bytes_ = round_up(bytes, kHugePage);
    data_ = map(bytes_, MAP_HUGETLB);
    if (data_) pages_ = PageKind::kHuge;
  }
  if (!data_) {
    bytes_ = round_up(bytes, kPage);
    data_ = map(bytes_, 0);
    if (!data_) return;
    if (huge && madvise(data_, bytes_, MADV_HUGEPAGE) == 0) pages_ = PageKind::kTransparentHuge;
  }
  if (!ring.features().fixed_buffers || fixed_index >= Ring::kFixedBuffersMax) return;
  registered_ = ring.register_memory(fixed_index, data_, bytes_);
  if (!registered_) register_error_ = errno;
}

Region::Region(Region&& other) noexcept
    : ring_(other.ring_),
      data_(std::exchange(other.data_, nullptr)),
      bytes_(other.bytes_),
      pages_(other.pages_),
      registered_(std::exchange(other.registered_, false)),
      register_error_(other.register_error_),
      fixed_index_(other.fixed_index_) {}

Region::~Region() {
  if (registered_) ring_.register_memory(fixed_index_, nullptr, 0);
  if (data_) munmap(data_, bytes_);
}

}  // namespace sluice

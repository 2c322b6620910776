// A mapped piece of slab: in huge pages if there are any, registered with the ring if that is
// allowed. Owned by the pool that cuts it into slots; unmapped with it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/ring.h"

namespace sluice {

enum class PageKind : uint8_t { kNormal, kTransparentHuge, kHuge };
const char* page_kind_name(PageKind kind);

class Region {
 public:
  // Maps `bytes` (rounded up to whole pages) and registers them as fixed buffer `fixed_index`, if
  // the ring has that feature and that many. data() is null if the mapping failed.
  Region(Ring& ring, size_t bytes, unsigned fixed_index);
  ~Region();
  Region(Region&& other) noexcept;
  Region& operator=(Region&&) = delete;

  char* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  PageKind pages() const { return pages_; }
  bool registered() const { return registered_; }
  int register_error() const { return register_error_; }
  unsigned fixed_index() const { return fixed_index_; }

 private:
  Ring& ring_;
  char* data_ = nullptr;
  size_t bytes_ = 0;
  PageKind pages_ = PageKind::kNormal;
  bool registered_ = false;
  int register_error_ = 0;
  unsigned fixed_index_;
};

}  // namespace sluice

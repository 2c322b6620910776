// What tests of chains and outboxes share: the memory of a worker, and reading a chain's bytes.
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "pool/chain.h"
#include "tests/unit/pool/pool_testing.h"

namespace sluice::test {

struct ChainRig {
  SlotPool& pool() { return *pool_rig.pool; }

  // A slot with these bytes.
  Lease slot(std::string_view bytes) {
    Lease lease = pool().take();
    EXPECT_LE(bytes.size(), lease.size());
    std::copy(bytes.begin(), bytes.end(), lease.data());
    return lease;
  }

  // Nothing is leased any more.
  void expect_clean() {
    EXPECT_EQ(pool().leased(), 0U);
    EXPECT_EQ(pool().heap_blocks(), 0U);
    EXPECT_EQ(memory.nodes.in_use(), 0U);
  }

  PoolRig pool_rig{8};
  Memory memory{*pool_rig.pool, *pool_rig.pool, {}};
};

inline std::string text_of(std::span<const iovec> pieces) {
  std::string text;
  for (const iovec& piece : pieces)
    text.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
  return text;
}

// All unconsumed bytes, a few pieces at a time.
inline std::string text_of(const Chain& chain) {
  std::string text;
  while (text.size() < chain.bytes()) {
    std::array<iovec, 3> pieces{};
    uint64_t covered = 0;
    size_t used = chain.fill(pieces, text.size(), UINT64_MAX, &covered);
    std::string part = text_of(std::span(pieces).first(used));
    EXPECT_EQ(part.size(), covered);
    if (part.empty()) break;
    text += part;
  }
  EXPECT_EQ(text.size(), chain.bytes());
  return text;
}

}  // namespace sluice::test

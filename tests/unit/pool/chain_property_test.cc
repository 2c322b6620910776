// Chains under random operations against a string.
#include <array>
#include <string>

#include <gtest/gtest.h>

#include "pool/chain.h"
#include "tests/unit/pool/chain_testing.h"
#include "tests/unit/random_source.h"

namespace sluice {
namespace {

using test::ChainRig;
using test::RandomSource;
using test::text_of;

constexpr std::string_view kStatic = "bytes that live as long as the program does";

// A chain and what it should hold.
class Model {
 public:
  Model(RandomSource& random, ChainRig& rig)
      : random_(random), rig_(rig), chain_(rig.memory, rig.pool()) {}

  void step() {
    switch (random_.between(0, 10)) {
      case 0:
      case 1:
        append_shared();
        break;
      case 2:
      case 3:
        append_copy();
        break;
      case 4:
        append_static();
        break;
      case 5:
      case 6:
      case 7:
        consume(random_.between(0, bytes_.size()));
        break;
      case 8:
        if (random_.between(0, 2) == 0) truncate();
        break;
      case 9:
        keep();
        break;
      default:
        if (keep_) rewind();
        if (random_.between(0, 20) == 0) clear();
    }
    check();
  }

 private:
  std::string fresh_bytes(size_t size) {
    std::string bytes(size, '\0');
    for (char& c : bytes) c = test::pattern(0, appended_++);
    return bytes;
  }

  // Slices of one slot, neighbours or not; the lease is given up at once or kept for the next.
  void append_shared() {
    if (!lease_ || random_.between(0, 2) == 0) {
      slot_bytes_ = fresh_bytes(rig_.pool().slot_bytes());
      lease_ = rig_.slot(slot_bytes_);
      used_ = 0;
    }
    size_t skipped = random_.between(0, 1) * random_.between(0, slot_bytes_.size() - used_);
    size_t begin = used_ + skipped;
    size_t size = random_.between(0, slot_bytes_.size() - begin);
    chain_.append(lease_, {lease_.data() + begin, size});
    bytes_ += slot_bytes_.substr(begin, size);
    used_ = begin + size;
    if (used_ == slot_bytes_.size() || random_.between(0, 3) == 0) lease_ = {};
  }
  void append_copy() {
    std::string bytes = fresh_bytes(random_.between(0, 200));
    ASSERT_EQ(chain_.append_copy(bytes), "");
    bytes_ += bytes;
  }
  void append_static() {
    std::string_view bytes = kStatic.substr(0, random_.between(0, kStatic.size()));
    chain_.append_static(bytes);
    bytes_ += bytes;
  }
  void consume(size_t count) {
    chain_.consume(count);
    if (keep_) kept_ += bytes_.substr(0, count);
    bytes_.erase(0, count);
  }
  void truncate() {
    size_t count = random_.between(0, bytes_.size() + 3);
    chain_.truncate(count);
    if (count < bytes_.size()) bytes_.resize(count);
  }
  void keep() {
    keep_ = !keep_;
    chain_.keep_consumed(keep_);
    kept_.clear();
  }
  void rewind() {
    chain_.rewind();
    bytes_.insert(0, kept_);
    kept_.clear();
  }
  void clear() {
    chain_.clear();
    bytes_.clear();
    kept_.clear();
  }

  void check() {
    ASSERT_EQ(chain_.bytes(), bytes_.size());
    ASSERT_EQ(chain_.kept_bytes(), kept_.size());
    ASSERT_EQ(chain_.empty(), bytes_.empty());
    size_t skip = random_.between(0, bytes_.size() + 2);
    uint64_t max_bytes = random_.between(0, bytes_.size() + 2);
    std::array<iovec, 8> pieces{};
    uint64_t covered = 0;
    auto room = std::span(pieces).first(random_.between(0, pieces.size()));
    size_t used = chain_.fill(room, skip, max_bytes, &covered);
    std::string got = text_of(room.first(used));
    ASSERT_EQ(got.size(), covered);
    ASSERT_LE(covered, max_bytes);
    std::string expected = skip < bytes_.size() ? bytes_.substr(skip, max_bytes) : "";
    ASSERT_EQ(got, expected.substr(0, got.size()));
    ASSERT_TRUE(got.size() == expected.size() || used == room.size()) << "left out bytes";
    if (!bytes_.empty() && random_.between(0, 9) == 0) {
      ASSERT_EQ(text_of(chain_), bytes_);
    }
  }

  RandomSource& random_;
  ChainRig& rig_;
  Chain chain_;
  Lease lease_;
  std::string slot_bytes_;
  size_t used_ = 0;
  uint64_t appended_ = 0;
  bool keep_ = false;
  std::string bytes_;
  std::string kept_;
};

TEST(ChainProperty, HoldsTheBytesOfItsModel) {
  RandomSource random;
  SCOPED_TRACE(random.trace());
  ChainRig rig;
  for (int run = 0; run < 200 && !HasFailure(); ++run) {
    Model one(random, rig);
    Model two(random, rig);  // chains of a worker share nodes and slots
    for (int i = 0; i < 200 && !HasFailure(); ++i) {
      one.step();
      two.step();
    }
  }
  rig.expect_clean();
}

}  // namespace
}  // namespace sluice

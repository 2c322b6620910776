// The taps of one worker: who watches which streams. A stream that is watched keeps a bit for each
// of its taps; the others pay one branch. Taps get copies only: they never slow a stream down,
// and get nothing while memory is tight. Owned by Streams, used on its worker's thread.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>

#include "net/base/limits.h"
#include "net/base/tap.h"
#include "net/context/worker_context.h"

namespace sluice {

class Taps {
 public:
  // Bits, by place.
  using Set = uint8_t;

  explicit Taps(WorkerContext& context) : context_(context) {}
  ~Taps();
  Taps(const Taps&) = delete;
  Taps& operator=(const Taps&) = delete;

  bool any() const { return used_ != 0; }
  // False: there is no place.
  bool add(std::shared_ptr<Tap> tap);
  // Those that nobody watches any more; and their places are free again.
  Set unwatched() const;
  void remove(Set set);

  // Those that watch that stream.
  Set watching(uint64_t stream, uint32_t route) const;

  // Copies whole events, the first of which begins with what is staged (null: nothing), but for the
  // first `skip` bytes.
  void copy(Set set, uint64_t stream, const Chain* staged, std::string_view bytes, size_t skip);
  // Events that are not to be seen.
  void drop(Set set, uint64_t events);
  void end(Set set, uint64_t stream, Ending ending);

 private:
  static_assert(limits::kTapsMax <= 8);

  template <typename Visit>
  void each(Set set, Visit visit) const {
    for (unsigned i = 0; i < limits::kTapsMax; ++i)
      if ((set >> i & 1) != 0) visit(*taps_[i]);
  }

  void drop_from(Tap& tap, uint64_t events);
  static void write_record(Tap& tap, uint64_t stream, bool end);

  WorkerContext& context_;
  Set used_ = 0;
  std::array<std::shared_ptr<Tap>, limits::kTapsMax> taps_;
};

}  // namespace sluice

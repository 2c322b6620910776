// What all workers know of each upstream: how many attempts are outstanding, and its health. One
// for the process, by the upstreams' numbers, which stay the same over reloads, and so does the
// board: each snapshot hands it on to the next. Of outstanding attempts each worker keeps a row of
// its own, in cache lines that no other thread writes; whoever chooses adds the rows up. Health is
// written when an upstream fails, and when it returns, so that its lines are shared for reading
// all the rest of the time. Places are counted for upstreams whose connections are limited, and for
// those alone. Nothing here waits or decides: that is for net/upstream.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "net/base/limits.h"

namespace sluice {

inline constexpr size_t kCacheLine = 64;

// An array that one thread lengthens while others read: its parts never move. The first has one
// item, the second one, and each further one as many as all before it.
template <typename Item>
class StablePartsArray {
 public:
  StablePartsArray() = default;
  StablePartsArray(const StablePartsArray&) = delete;
  StablePartsArray& operator=(const StablePartsArray&) = delete;
  ~StablePartsArray() {
    for (auto& part : parts_) delete[] part.load(std::memory_order_relaxed);
  }

  // Null where it is not that long. Any thread.
  Item* find(uint32_t index) const {
    auto number = static_cast<size_t>(std::bit_width(index));
    Item* part = parts_[number].load(std::memory_order_acquire);
    return part ? part + (index - first_of(number)) : nullptr;
  }
  // Lengthens it where need be. One thread.
  Item& at(uint32_t index) {
    auto number = static_cast<size_t>(std::bit_width(index));
    Item* part = parts_[number].load(std::memory_order_relaxed);
    if (!part) {
      part = new Item[number == 0 ? 1 : size_t{1} << (number - 1)]();
      parts_[number].store(part, std::memory_order_release);
    }
    return part[index - first_of(number)];
  }

 private:
  static constexpr uint32_t first_of(size_t number) {
    return number == 0 ? 0 : uint32_t{1} << (number - 1);
  }

  std::array<std::atomic<Item*>, 33> parts_{};
};

// Why an upstream was ejected: its last failure before that.
enum class EjectReason : uint8_t { kConnect, kTls, kTimeout, kBroken, kStatus };
inline constexpr unsigned kEjectReasons = static_cast<unsigned>(EjectReason::kStatus) + 1;
const char* eject_reason_name(EjectReason reason);

enum class UpstreamState : uint8_t {
  kClosed,     // gets its share
  kOpen,       // ejected
  kHalfOpen,   // the time is over: one request at a time tries it
  kUnhealthy,  // its probes fail
  kDrained,    // by the operator
};
inline constexpr unsigned kUpstreamStates = static_cast<unsigned>(UpstreamState::kDrained) + 1;
const char* upstream_state_name(UpstreamState state);

// Times are the monotonic clock's.
struct alignas(kCacheLine) UpstreamHealth {
  struct Ejection {
    std::atomic<uint64_t> at_ms{0};  // 0: none
    std::atomic<uint64_t> lasts_ms{0};
    std::atomic<EjectReason> reason{};
  };
  static constexpr size_t kEjectionsKept = 8;
  // What its probes have shown (net/probe). Only the one prober writes it.
  struct Probes {
    std::atomic<uint64_t> passed{0};
    std::array<std::atomic<uint64_t>, kEjectReasons> failed{};
    std::atomic<uint64_t> times_unhealthy{0};
    std::atomic<uint64_t> failed_ms{0};  // the last that failed; 0: none
    std::atomic<EjectReason> reason{};   // why
    std::atomic<int> status{0};          // its answer's; 0: there was none
  };

  // What choices read.
  std::atomic<uint64_t> ejected_until_ms{0};    // 0: closed
  std::atomic<uint64_t> unhealthy_since_ms{0};  // by its probes; 0: it is not
  std::atomic<uint64_t> returned_ms{0};  // from having been out, for whatever reason; 0: never
  std::atomic<uint32_t> failures{0};     // in a row
  std::atomic<uint32_t> trial{0};        // 1 + the worker whose request tries it; 0: none
  std::atomic<bool> drained{false};
  // What they do not.
  std::atomic<uint32_t> ejections_in_row{0};
  std::atomic<uint64_t> drained_ms{0};
  std::array<std::atomic<uint64_t>, kEjectReasons> ejections{};
  std::atomic<uint32_t> ejections_noted{0};
  std::array<Ejection, kEjectionsKept> last{};
  Probes probes;
  std::atomic<uint64_t> next_reconnect_us{0};  // of broken streams (--heal-rate)

  // The time at which a broken stream's reconnect may go there: `rate` a second, of all workers';
  // 0: any. It is taken, unless it comes too late.
  uint64_t take_reconnect(uint64_t rate, uint64_t now_ms, uint64_t too_late_ms);

  UpstreamState state(uint64_t now_ms) const;
  // When it came to be in that state; 0: it always was.
  uint64_t since_ms(uint64_t now_ms) const;

  // The operator's word.
  void drain(uint64_t now_ms);
  void undrain(uint64_t now_ms);

  // The prober's word.
  void set_unhealthy(uint64_t now_ms);
  void set_healthy(uint64_t now_ms);
  // An ejection's time is over now, so that a request tries it. False: there is none, or it is.
  bool end_ejection_early(uint64_t now_ms);
};

// Of an upstream whose connections are limited (--upstream-max-connections): those that all workers
// have together, and the requests that wait for one. Written when either comes or goes.
struct alignas(kCacheLine) UpstreamPlaces {
  std::atomic<uint64_t> taken{0};
  std::atomic<uint64_t> waiting{0};
  // Of the request that has waited longest: since when, in the monotonic clock's milliseconds, and
  // behind that the worker that has it. 0: nobody says so.
  std::atomic<uint64_t> turn{0};

  // False, and nothing is counted, where there are `most` already.
  bool take(uint64_t most) { return enter(taken, most); }
  bool wait(uint64_t most) { return enter(waiting, most); }

  // For a turn of that worker's, unless another has waited longer.
  void claim(uint64_t mine);
  void disclaim(uint64_t mine);

 private:
  static bool enter(std::atomic<uint64_t>& count, uint64_t most);
};

class UpstreamBoard {
 public:
  UpstreamBoard() = default;
  UpstreamBoard(const UpstreamBoard&) = delete;
  UpstreamBoard& operator=(const UpstreamBoard&) = delete;
  ~UpstreamBoard();

  // There are so many from here on. The main thread, before it hands their numbers out.
  void reserve(size_t upstreams);
  // Another upstream gets that number, which nobody uses. The main thread, before it hands it out.
  void forget(uint32_t id);
  UpstreamHealth& health(uint32_t id) const { return *health_.find(id); }
  UpstreamPlaces& places(uint32_t id) const { return *places_.find(id); }

  // On that worker's thread.
  void attempt_begun(unsigned worker, uint32_t id);
  void attempt_ended(unsigned worker, uint32_t id);
  // Over all workers. Any thread; of attempts that begin or end meanwhile it may miss some.
  uint64_t outstanding(uint32_t id) const;

 private:
  struct alignas(kCacheLine) Line {
    static constexpr uint32_t kCounts = kCacheLine / sizeof(uint32_t);
    std::array<std::atomic<uint32_t>, kCounts> counts{};
  };
  using Row = StablePartsArray<Line>;

  std::atomic<uint32_t>& own_count(unsigned worker, uint32_t id);

  StablePartsArray<UpstreamHealth> health_;
  StablePartsArray<UpstreamPlaces> places_;
  std::array<std::atomic<Row*>, limits::kWorkersMax> rows_{};
  std::atomic<unsigned> workers_{0};  // the first so many may have rows
};

}  // namespace sluice

// The fixed bounds of the slots; each line says why.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice::limits {

// Slots of a class that the kernel may hold at a time, and the part kept back for our own writing
// (heads, spills), as a fraction of the class's first size. The kernel begins with few, which stay
// in the CPU's cache, and gets more when turns use them up.
inline constexpr uint32_t kRingSlotsMin = 32;
inline constexpr uint32_t kRingSlotsMax = 512;
inline constexpr uint32_t kReserveFraction = 8;
// Blocks of the heap of a worker that sealed bytes may leave in where no slot is left, beside all
// other limits: as many connections send at a time then. More than one, since a peer that takes
// nothing keeps its own.
inline constexpr uint32_t kSpareBlocks = 32;
// A provided-buffer id has 16 bits, so a class never has more slots than that.
inline constexpr uint32_t kSlotsMax = 65536;

}  // namespace sluice::limits

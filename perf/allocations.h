// How often a thread has asked the heap for memory: the program that links allocations.cc has
// every form of operator new replaced by one that counts. Any thread; each sees its own count.
#pragma once

#include <cstdint>

namespace sluice::perf {

uint64_t allocations_of_this_thread();

}  // namespace sluice::perf

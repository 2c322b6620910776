// Definitions of newer kernels that liburing 2.3's headers lack. Macros are guarded, so that newer
// headers win. Included by ring.cc alone, after <liburing.h>.
#pragma once

#include <cstdint>

#ifndef IORING_CQE_F_BUF_MORE
#define IORING_CQE_F_BUF_MORE (1U << 4)
#endif

#ifndef IORING_FEAT_MIN_TIMEOUT
#define IORING_FEAT_MIN_TIMEOUT (1U << 15)
#endif

namespace sluice {

// struct io_uring_getevents_arg as of 6.12: liburing 2.3 calls min_wait_us "pad".
struct WaitArgument {
  uint64_t sigmask;
  uint32_t sigmask_size;
  uint32_t min_wait_us;
  uint64_t timeout;  // a pointer to a __kernel_timespec
};
static_assert(sizeof(WaitArgument) == sizeof(io_uring_getevents_arg));

}  // namespace sluice

// Constants of newer kernels that liburing 2.3's headers lack. Macros only, each guarded, so that
// newer headers win. Included by ring.cc alone, after <liburing.h>.
#pragma once

#ifndef IORING_CQE_F_BUF_MORE
#define IORING_CQE_F_BUF_MORE (1U << 4)
#endif

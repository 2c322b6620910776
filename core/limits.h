// Every fixed bound of the engine in one place; each line says why. pool/limits.h has those of the
// slots, net/base/limits.h those of the data path.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice::limits {

// Submission entries: one turn's re-arms and sends; a full queue only costs one more enter.
inline constexpr unsigned kSqEntries = 2048;
// Completion entries: overflow is slow (the kernel allocates), so far above one turn's worth.
inline constexpr unsigned kCqEntries = 16384;
// Completions copied out and dispatched before the queue's head is moved.
inline constexpr size_t kReapBatch = 256;
// Completions that end a gathering wait early: a batch this large costs nothing more per event.
inline constexpr unsigned kGatherCompletions = 256;
// iovecs that wait for the next submission; a full arena only costs one more enter.
inline constexpr size_t kIovecArena = 8192;

// Messages to the operator in a second, per worker.
inline constexpr unsigned kMessagesPerSecond = 20;
// A worker's queue of log lines; lines that do not fit are dropped and counted.
inline constexpr size_t kLogQueueBytes = 256 * 1024;
// Log lines that wait while a file or pipe takes none; further ones are dropped and counted.
inline constexpr size_t kLogBacklogBytes = 1024 * 1024;
// A log that takes no lines holds up the end of the process no longer than this.
inline constexpr uint64_t kLogStopMs = 1000;

}  // namespace sluice::limits

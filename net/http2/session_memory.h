// The heap of one codec, counted, so that a client's share of memory can be charged to it. And its
// frame buffer of 16 KiB, two thirds of the whole: nghttp2 writes a frame there and hands it out
// within one call, so all codecs of a thread use the same one. Each may have it once: a head that
// takes several frames has buffers of its own behind the first. Owned by a session, used on its
// worker's thread.
//
// The buffer is known by its size, which is nghttp2's own affair. Where that changes, sessions are
// larger and work as before; a unit test would say so.
#pragma once

#include <cstddef>

namespace sluice {

class SessionMemory {
 public:
  SessionMemory() = default;
  SessionMemory(const SessionMemory&) = delete;
  SessionMemory& operator=(const SessionMemory&) = delete;

  void* allocate(size_t size);
  void* allocate_zeroed(size_t count, size_t size);
  void* resize(void* block, size_t size);
  void free(void* block);

  size_t bytes() const { return bytes_; }
  bool shares_frame_buffer() const { return frame_buffer_ != nullptr; }

 private:
  void* counted(void* block);

  void* frame_buffer_ = nullptr;  // the thread's, while this session has it
  size_t bytes_ = 0;
};

}  // namespace sluice

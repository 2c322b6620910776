// How other threads speak to a worker: a message is a function that runs on the worker's thread in
// its next turn. Owned by the worker. Any thread may call post(), also before the loop runs and,
// harmlessly, after it has ended. Messages are for rare things (scrapes, drain, log rotation): they
// allocate, and the data path posts none. An eventfd wakes the ring, because the senders (main,
// admin) own no ring that MSG_RING could start from.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

#include "core/loop.h"

namespace sluice {

class Mailbox final : public OpTarget {
 public:
  Mailbox();
  ~Mailbox() override;
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  // Any thread.
  void post(std::function<void()> message);

  // On the worker's thread: listens on its loop from now on.
  void open(Loop& loop);
  void on_completion(OpKind kind, const Completion& completion) override;

 private:
  struct Message {
    std::function<void()> run;
    Message* next;
  };

  void run_all();
  void arm();

  int event_fd_;
  std::atomic<Message*> newest_{nullptr};
  Loop* loop_ = nullptr;
  uint32_t index_ = 0;
  uint64_t wakes_ = 0;
};

}  // namespace sluice

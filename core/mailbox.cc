#include "core/mailbox.h"

#include <sys/eventfd.h>
#include <unistd.h>
#include <utility>

#include "core/check.h"

namespace sluice {

Mailbox::Mailbox() : event_fd_(eventfd(0, EFD_CLOEXEC)) {
  SLUICE_CHECK(event_fd_ >= 0);
}

Mailbox::~Mailbox() {
  for (Message* message = newest_.exchange(nullptr); message;) {
    Message* next = message->next;
    delete message;
    message = next;
  }
  close(event_fd_);
}

void Mailbox::post(std::function<void()> run) {
  auto* message = new Message{std::move(run), newest_.load(std::memory_order_relaxed)};
  while (!newest_.compare_exchange_weak(message->next, message, std::memory_order_release,
                                        std::memory_order_relaxed)) {
  }
  uint64_t one = 1;
  // Fails only when 2^64 wakes are pending: the reader is awake then.
  [[maybe_unused]] ssize_t written = write(event_fd_, &one, sizeof(one));
}

void Mailbox::open(Loop& loop) {
  loop_ = &loop;
  index_ = loop.attach(this);
  arm();
}

void Mailbox::arm() {
  loop_->ring().read(event_fd_, &wakes_, sizeof(wakes_), loop_->begin(index_, OpKind::kWake));
}

void Mailbox::on_completion(OpKind, const Completion&) {
  arm();
  run_all();
}

void Mailbox::run_all() {
  Message* reversed = newest_.exchange(nullptr, std::memory_order_acquire);
  Message* oldest = nullptr;
  while (reversed) {
    Message* next = reversed->next;
    reversed->next = oldest;
    oldest = reversed;
    reversed = next;
  }
  while (oldest) {
    Message* next = oldest->next;
    oldest->run();
    delete oldest;
    oldest = next;
  }
}

}  // namespace sluice

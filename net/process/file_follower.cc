#include "net/process/file_follower.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <sys/eventfd.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

namespace sluice {

namespace {

constexpr std::chrono::seconds kBetweenLooks{1};

}  // namespace

struct FileFollower::Shared {
  ~Shared() { close(changed_fd); }

  // On the thread of its own.
  void run() {
    std::unique_lock guard(lock);
    while (!wake.wait_for(guard, kBetweenLooks, [this] { return stop; })) {
      std::vector<std::string> wanted = files;
      guard.unlock();
      FileStamps now = stamps_of(wanted);
      guard.lock();
      if (wanted != files) continue;
      bool still = now == last;
      last = std::move(now);
      if (!still || last == known) continue;
      known = last;
      eventfd_write(changed_fd, 1);
    }
  }

  std::mutex lock;
  std::condition_variable wake;
  bool stop = false;
  bool runs = false;
  std::vector<std::string> files;
  FileStamps known;  // that has been told
  FileStamps last;   // that was seen at the last look
  const int changed_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
};

FileFollower::FileFollower() : shared_(std::make_shared<Shared>()) {}

FileFollower::~FileFollower() {
  std::lock_guard guard(shared_->lock);
  shared_->stop = true;
  shared_->wake.notify_one();
}

bool FileFollower::follow(FileStamps read) {
  std::lock_guard guard(shared_->lock);
  shared_->files.clear();
  for (const auto& [file, stamp] : read) shared_->files.push_back(file);
  shared_->known = std::move(read);
  shared_->last.clear();
  if (shared_->runs || shared_->files.empty()) return true;
  try {
    std::thread([shared = shared_] { shared->run(); }).detach();
  } catch (const std::system_error&) {
    return false;
  }
  shared_->runs = true;
  return true;
}

int FileFollower::fd() const {
  return shared_->changed_fd;
}

bool FileFollower::take_change() {
  eventfd_t count = 0;
  return eventfd_read(shared_->changed_fd, &count) == 0;
}

}  // namespace sluice

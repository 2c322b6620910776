#include "net/process/file_follower.h"

#include <array>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>

namespace sluice {

namespace {

constexpr std::chrono::seconds kBetweenLooks{1};

// What tells one content of a file from another; zeros where there is no file. By ctime, too: a
// file may be given an old mtime.
using Stamp = std::array<int64_t, 7>;
using Stamps = std::map<std::string, Stamp>;

Stamp stamp_of(const std::string& file) {
  struct stat found {};
  if (::stat(file.c_str(), &found) != 0) return {};
  return {static_cast<int64_t>(found.st_dev),
          static_cast<int64_t>(found.st_ino),
          found.st_size,
          found.st_mtim.tv_sec,
          found.st_mtim.tv_nsec,
          found.st_ctim.tv_sec,
          found.st_ctim.tv_nsec};
}

Stamps stamps_of(const std::vector<std::string>& files) {
  Stamps all;
  for (const std::string& file : files) all.emplace(file, stamp_of(file));
  return all;
}

}  // namespace

struct FileFollower::Shared {
  ~Shared() { close(changed_fd); }

  // On the thread of its own.
  void run() {
    std::unique_lock guard(lock);
    while (!wake.wait_for(guard, kBetweenLooks, [this] { return stop; })) {
      std::vector<std::string> wanted = files;
      guard.unlock();
      Stamps now = stamps_of(wanted);
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
  Stamps known;  // that has been told
  Stamps last;   // that was seen at the last look
  const int changed_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
};

FileFollower::FileFollower() : shared_(std::make_shared<Shared>()) {}

FileFollower::~FileFollower() {
  std::lock_guard guard(shared_->lock);
  shared_->stop = true;
  shared_->wake.notify_one();
}

bool FileFollower::follow(std::vector<std::string> files) {
  std::lock_guard guard(shared_->lock);
  Stamps known;
  for (const std::string& file : files) {
    auto found = shared_->known.find(file);
    known.emplace(file, found == shared_->known.end() ? stamp_of(file) : found->second);
  }
  shared_->files = std::move(files);
  shared_->known = std::move(known);
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

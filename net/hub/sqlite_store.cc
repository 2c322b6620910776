#include "net/hub/sqlite_store.h"

#include <condition_variable>
#include <csignal>
#include <deque>
#include <mutex>
#include <pthread.h>
#include <system_error>
#include <thread>
#include <utility>

#include "core/check.h"
#include "net/hub/sqlite_commits.h"
#include "net/hub/sqlite_file.h"
#include "net/hub/sqlite_reader.h"

namespace sluice {

namespace {

// Pages that subscribers wait for; each is asked for again when one has come.
constexpr size_t kReadsMax = 4096;

// Signals are for the main thread.
class NoSignals {
 public:
  NoSignals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~NoSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  NoSignals(const NoSignals&) = delete;
  NoSignals& operator=(const NoSignals&) = delete;

 private:
  sigset_t before_;
};

template <typename Run>
std::thread start_thread(const char* name, Run run) {
  NoSignals none;
  std::thread thread(std::move(run));
  pthread_setname_np(thread.native_handle(), name);
  return thread;
}

SqliteStoreOptions settled(SqliteStoreOptions options) {
  options.file = behind_links(std::move(options.file));
  return options;
}

bool dense(const std::vector<StoredEvent>& events) {
  for (size_t i = 1; i < events.size(); ++i) {
    if (events[i].global_position != events[i - 1].global_position + 1) return false;
  }
  return true;
}

}  // namespace

class SqliteStore::Reading {
 public:
  Reading(const SqliteStoreOptions& options, StoreUser& user)
      : user_(user), reader_(options.file, options.vfs) {}
  ~Reading() { end(); }

  void end() {
    {
      std::lock_guard guard(lock_);
      ended_ = true;
      wake_.notify_one();
    }
    if (thread_.joinable()) thread_.join();
    reader_.release();
  }

  void start() {
    thread_ = start_thread("hub-read", [this] { run(); });
  }
  SqliteReader& reader() { return reader_; }

  bool put(StoreRead read) {
    std::lock_guard guard(lock_);
    if (reads_.size() >= kReadsMax) return false;
    reads_.push_back(std::move(read));
    wake_.notify_one();
    return true;
  }

 private:
  void run() {
    std::unique_lock guard(lock_);
    for (;;) {
      wake_.wait(guard, [this] { return ended_ || !reads_.empty(); });
      if (ended_) return;
      StoreRead wanted = std::move(reads_.front());
      reads_.pop_front();
      guard.unlock();
      user_.on_page(wanted.id, reader_.read(wanted));
      guard.lock();
    }
  }

  StoreUser& user_;
  SqliteReader reader_;
  std::mutex lock_;
  std::condition_variable wake_;
  std::deque<StoreRead> reads_;
  bool ended_ = false;
  std::thread thread_;
};

class SqliteStore::Writing {
 public:
  Writing(const SqliteStoreOptions& options, StoreUser& user, SqliteReader& reader)
      : commits_(options, user, reader) {}
  ~Writing() {
    commits_.queue().end();
    if (thread_.joinable()) thread_.join();
  }

  void start() {
    thread_ = start_thread("hub-store", [this] { commits_.run(); });
  }
  SqliteCommits& commits() { return commits_; }

 private:
  SqliteCommits commits_;
  std::thread thread_;
};

SqliteStore::SqliteStore(SqliteStoreOptions options, StoreUser& user)
    : options_(settled(std::move(options))),
      user_(user),
      reading_(std::make_unique<Reading>(options_, user_)),
      writing_(std::make_unique<Writing>(options_, user_, reading_->reader())) {}

SqliteStore::~SqliteStore() {
  // SQLite removes the log when the last connection has gone, and the writer's may do so.
  reading_->end();
  writing_.reset();
}

std::optional<StoreHead> SqliteStore::load(StoreLoad& into, std::string& error) {
  std::optional<StoreHead> head = writing_->commits().open(into, error);
  if (!head) return std::nullopt;
  try {
    reading_->reader().open();
    reading_->start();
    writing_->start();
  } catch (const std::system_error& fault) {
    error = std::string("no thread is to be had for the hub's store: ") + fault.what();
    return std::nullopt;
  }
  return head;
}

bool SqliteStore::append(std::unique_ptr<StoreBatch>& batch) {
  SLUICE_CHECK(dense(batch->events));
  return writing_->commits().queue().put(batch);
}

bool SqliteStore::read(StoreRead read) {
  return reading_->put(std::move(read));
}

StoreState SqliteStore::state() const {
  return writing_->commits().state();
}

}  // namespace sluice

// Log lines, written by one thread of their own so that no worker ever waits for a disk or a
// pipe. Each producer thread has a bounded queue (single producer, single consumer); what does
// not fit is dropped and counted. The writer drains the queues ten times a second and whenever one
// is half full, owns the files, never waits for one that takes nothing (a pipe that nobody reads, a
// terminal that is stopped), survives ENOSPC and vanished directories (it counts, and tries again),
// and opens its file anew, or takes another, on request.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "core/limits.h"

namespace sluice {

enum class LogTarget : uint8_t { kMessages, kFile };  // stderr; the file
enum class LogLevel : uint8_t { kDebug, kInfo, kWarn, kError };

// One producer's queue of records.
class LogQueue {
 public:
  // `wake_fd`: an eventfd, not owned, that wakes whoever drains the queue; -1: it comes by itself.
  explicit LogQueue(int wake_fd = -1) : wake_fd_(wake_fd) {}

  // The producer's thread. `line` has no line end. False: full, dropped and counted.
  bool push(LogTarget target, std::string_view line);
  uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }

  // The writer's thread: appends all complete records to the targets' texts.
  void drain(std::string& messages, std::string& file);

 private:
  static constexpr size_t kHeaderBytes = 5;  // target, length
  static constexpr size_t kQueueBytes = limits::kLogQueueBytes;

  void wake_if_half_full(uint64_t end, uint64_t read);
  void copy_in(uint64_t at, const char* bytes, size_t size);
  void copy_out(uint64_t at, char* bytes, size_t size) const;

  std::vector<char> ring_ = std::vector<char>(kQueueBytes);
  const int wake_fd_;
  alignas(64) std::atomic<uint64_t> written_{0};
  uint64_t woken_at_ = 0;  // the producer's: where the last wake-up was asked for
  alignas(64) std::atomic<uint64_t> read_{0};
  std::atomic<uint64_t> dropped_{0};
};

// A worker's messages to the operator, through its queue: those at or above a level, and no more
// than kMessagesPerSecond, so that a failing upstream cannot flood the log; what was left out is
// said when the next second begins.
class MessageLog {
 public:
  MessageLog(LogQueue& queue, LogLevel least) : queue_(queue), least_(least) {}

  void set_least(LogLevel least) { least_ = least; }
  bool on(LogLevel level) const { return level >= least_; }
  void write(LogLevel level, uint64_t now_ms, std::string_view text);

 private:
  LogQueue& queue_;
  LogLevel least_;
  uint64_t second_ = 0;
  unsigned written_ = 0;
  uint64_t left_out_ = 0;
  std::string line_;
};

class LogWriter {
 public:
  LogWriter();
  ~LogWriter();
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  // Writes to that file from now on; -1: to none. Owned from here on, but for stdout; `path` is
  // what a reopening opens. What waits for the file before it is offered to that one, once more.
  // Any thread.
  void use_file(const std::string& path, int fd);
  void start();
  // Ends the thread once everything is written, or kLogStopMs have passed.
  void stop();

  // A new queue; before start().
  LogQueue& add_queue();
  void request_reopen() { reopen_.store(true, std::memory_order_release); }
  uint64_t write_errors() const { return write_errors_.load(std::memory_order_relaxed); }
  // Lines dropped: their queue was full, or the file took none for too long.
  uint64_t dropped() const;

 private:
  void run();
  void drain_all();
  void change_file();
  void reopen();
  void leave_begun_line();
  // Lines that wait to be written.
  struct Lines {
    std::string text;
    // A part of the first is in the file: the rest of it goes there, or nothing.
    bool begun = false;
    // As long as only such a rest is left, which the file has refused: tried again with more.
    size_t refused = 0;

    bool wait() const { return text.size() > refused; }
    // Gives up what is not begun; returns the number of lines.
    uint64_t give_up();
  };

  void write_out(int fd, Lines& lines);

  struct File {
    std::string path;
    int fd = -1;
  };

  static void close_file(const File& file);

  File file_;
  std::mutex next_file_mutex_;
  std::optional<File> next_file_;  // to be used from the next round on
  std::vector<std::unique_ptr<LogQueue>> queues_;
  Lines messages_;
  Lines lines_;
  std::atomic<bool> reopen_{false};
  std::atomic<uint64_t> write_errors_{0};
  std::atomic<uint64_t> lines_given_up_{0};
  int wake_fd_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

// Opens a file for use_file(): "-" is stdout, "off" none (-1). nullopt and *error where it cannot
// be.
std::optional<int> open_log_file(const std::string& path, std::string* error);

// "2026-01-31T12:00:00.123Z" of a wall clock in milliseconds, appended.
void append_timestamp(std::string& out, uint64_t wall_ms);

// A message straight to stderr, for the main thread: "sluice: text".
void print_message(std::string_view text);

}  // namespace sluice

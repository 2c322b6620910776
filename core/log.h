// Log lines. One thread writes them, so that no worker ever waits for a disk or a pipe. Each
// producer thread has a bounded queue (single producer, single consumer), which drops and counts
// the lines that do not fit. The writer empties the queues ten times a second, and whenever one is
// half full. It owns the files and never waits for one (a pipe without a reader, a stopped
// terminal). It survives ENOSPC and vanished directories: it counts the lost lines and tries again.
// On request it opens its files anew, or takes others.
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

enum class LogTarget : uint8_t { kMessages, kFile, kUsage };  // stderr; the two files
enum class LogLevel : uint8_t { kDebug, kInfo, kWarn, kError };

// One producer's queue of records.
class LogQueue {
 public:
  // `wake_fd`: an eventfd, not owned, that wakes the thread that empties the queue; -1: that thread
  // comes by itself.
  explicit LogQueue(int wake_fd = -1) : wake_fd_(wake_fd) {}

  // On the producer's thread. `line` has no line end. False: the queue is full, and the line is
  // dropped and counted.
  bool push(LogTarget target, std::string_view line);
  uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }

  // The writer's thread: appends all complete records to the targets' texts.
  void pop_all(std::string& messages, std::string& file, std::string& usage);

 private:
  static constexpr size_t kHeaderBytes = 5;  // target, length
  static constexpr size_t kQueueBytes = limits::kLogQueueBytes;

  void wake_if_half_full(uint64_t end, uint64_t read);
  void copy_in(uint64_t at, const char* bytes, size_t size);
  void copy_out(uint64_t at, char* bytes, size_t size) const;

  std::vector<char> ring_ = std::vector<char>(kQueueBytes);
  const int wake_fd_;
  alignas(64) std::atomic<uint64_t> written_{0};
  uint64_t woken_at_ = 0;  // the producer's: where it asked for the last wake-up
  alignas(64) std::atomic<uint64_t> read_{0};
  std::atomic<uint64_t> dropped_{0};
};

// A worker's messages to the operator, through its queue: those at or above a level, and at most
// kMessagesPerSecond, so that a failing upstream cannot flood the log. The next second begins with
// the number of those left out.
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

  // The lines that are pushed from now on for that target go to that file (-1: to none), and so do
  // those that the file before has not taken. Owned from here on, but for stdout; `path` is what a
  // reopening opens. Any thread.
  void use_file(const std::string& path, int fd, LogTarget target = LogTarget::kFile);
  void start();
  // Ends the thread once everything is written, or after kLogStopMs.
  void stop();

  // A new queue. Before start() only.
  LogQueue& add_queue();
  void request_reopen() { reopen_.store(true, std::memory_order_release); }
  uint64_t write_errors() const { return write_errors_.load(std::memory_order_relaxed); }
  // Lines dropped, because their queue was full or the file took none for too long.
  uint64_t dropped() const;

 private:
  void run();
  void pop_all();
  void change_files();
  // Lines that wait to be written.
  struct Lines {
    std::string text;
    // A part of the first line is in the file, so only its rest may follow there.
    bool begun = false;
    // The size of such a rest, if the file has refused it: the writer waits for more text.
    size_t refused = 0;

    bool wait() const { return text.size() > refused; }
    // Drops the lines that are not begun; returns their number.
    uint64_t give_up();
  };

  void write_out(int fd, Lines& lines);

  struct File {
    std::string path;
    int fd = -1;
  };
  // A file, and what waits for it.
  struct Output {
    File file;
    std::optional<File> next;  // to be used from the next round on
    Lines lines;
  };

  void change_file(Output& output);
  void reopen(Output& output);
  void leave_begun_line(Lines& lines);
  static void close_file(const File& file);

  std::mutex next_file_mutex_;
  Output file_;
  Output usage_;
  std::vector<std::unique_ptr<LogQueue>> queues_;
  Lines messages_;
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

#include "core/log.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace sluice {

namespace {

// Non-blocking for the sake of a FIFO; a regular file does not care.
constexpr int kOpenFlags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK;

// The most bytes that a ready pipe takes without blocking (pipe(7)).
constexpr size_t kPieceBytes = 4096;

constexpr int kRoundMs = 100;

bool same_file(int one, int other) {
  struct stat a {};
  struct stat b {};
  return ::fstat(one, &a) == 0 && ::fstat(other, &b) == 0 && a.st_dev == b.st_dev &&
         a.st_ino == b.st_ino;
}

bool ready_to_write(int fd) {
  pollfd ready{fd, POLLOUT, 0};
  return poll(&ready, 1, 0) == 1 && (ready.revents & (POLLOUT | POLLERR)) != 0;
}

// Writes as much as the file takes now, and never waits for it: like write(2), it gives EAGAIN if
// the file takes none. Other processes may share the open file (a shell's terminal, a pipe), so
// O_NONBLOCK is not ours to set on it. A ready terminal may still block if it takes fewer bytes
// than are written.
ssize_t write_now(int fd, std::string_view text) {
  struct stat file {};
  if (::fstat(fd, &file) != 0) return -1;
  if (S_ISSOCK(file.st_mode))
    return ::send(fd, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  bool may_block = S_ISFIFO(file.st_mode) || S_ISCHR(file.st_mode);
  if (!may_block || (::fcntl(fd, F_GETFL) & O_NONBLOCK) != 0)
    return ::write(fd, text.data(), text.size());
  std::string path = "/proc/self/fd/" + std::to_string(fd);
  int own = ::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (own < 0) {  // no /proc, somebody else's terminal, a pipe without a reader
    if (ready_to_write(fd)) return ::write(fd, text.data(), std::min(text.size(), kPieceBytes));
    errno = EAGAIN;
    return -1;
  }
  ssize_t n = ::write(own, text.data(), text.size());
  int error = errno;
  ::close(own);
  errno = error;
  return n;
}

}  // namespace

bool LogQueue::push(LogTarget target, std::string_view line) {
  uint64_t at = written_.load(std::memory_order_relaxed);
  size_t size = kHeaderBytes + line.size();
  uint64_t read = read_.load(std::memory_order_acquire);
  if (at + size - read > kQueueBytes) {
    dropped_.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  std::array<char, kHeaderBytes> header{};
  header[0] = static_cast<char>(target);
  auto length = static_cast<uint32_t>(line.size());
  std::memcpy(header.data() + 1, &length, sizeof(length));
  copy_in(at, header.data(), header.size());
  copy_in(at + kHeaderBytes, line.data(), line.size());
  written_.store(at + size, std::memory_order_release);
  if (wake_fd_ >= 0) wake_if_half_full(at + size, read);
  return true;
}

// At most once in half a queue: not before the reader has read up to the last wake-up's place, and
// half a queue has been written since then. No wake-up is lost, since every push looks again.
void LogQueue::wake_if_half_full(uint64_t end, uint64_t read) {
  if (end - read < kQueueBytes / 2 || read < woken_at_) return;
  woken_at_ = end;
  ::eventfd_write(wake_fd_, 1);
}

void LogQueue::pop_all(std::string& messages, std::string& file, std::string& usage) {
  const std::array<std::string*, 3> texts = {&messages, &file, &usage};  // by target
  uint64_t at = read_.load(std::memory_order_relaxed);
  uint64_t end = written_.load(std::memory_order_acquire);
  while (at < end) {
    std::array<char, kHeaderBytes> header{};
    copy_out(at, header.data(), header.size());
    uint32_t length = 0;
    std::memcpy(&length, header.data() + 1, sizeof(length));
    std::string& text = *texts[static_cast<unsigned char>(header[0])];
    size_t old_size = text.size();
    text.resize(old_size + length);
    copy_out(at + kHeaderBytes, text.data() + old_size, length);
    text += '\n';
    at += kHeaderBytes + length;
  }
  read_.store(at, std::memory_order_release);
}

void LogQueue::copy_in(uint64_t at, const char* bytes, size_t size) {
  size_t offset = at % kQueueBytes;
  size_t first = std::min(size, kQueueBytes - offset);
  std::copy_n(bytes, first, ring_.data() + offset);
  std::copy_n(bytes + first, size - first, ring_.data());
}

void LogQueue::copy_out(uint64_t at, char* bytes, size_t size) const {
  size_t offset = at % kQueueBytes;
  size_t first = std::min(size, kQueueBytes - offset);
  std::copy_n(ring_.data() + offset, first, bytes);
  std::copy_n(ring_.data(), size - first, bytes + first);
}

void MessageLog::write(LogLevel level, uint64_t now_ms, std::string_view text) {
  if (!on(level)) return;
  if (now_ms / 1000 != second_) {
    second_ = now_ms / 1000;
    written_ = 0;
    if (left_out_ > 0) {
      line_ = "sluice: " + std::to_string(left_out_) + " messages were left out";
      queue_.push(LogTarget::kMessages, line_);
      left_out_ = 0;
    }
  }
  if (written_ == limits::kMessagesPerSecond) {
    ++left_out_;
    return;
  }
  ++written_;
  line_ = "sluice: ";
  line_ += text;
  queue_.push(LogTarget::kMessages, line_);
}

// Without an eventfd (EMFILE) the thread makes its rounds.
LogWriter::LogWriter() : wake_fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

LogWriter::~LogWriter() {
  stop();
  change_files();
  close_file(file_.file);
  close_file(usage_.file);
  if (wake_fd_ >= 0) ::close(wake_fd_);
}

std::optional<int> open_log_file(const std::string& path, std::string* error) {
  if (path == "off") return -1;
  if (path == "-") return STDOUT_FILENO;
  int fd = ::open(path.c_str(), kOpenFlags, 0644);
  if (fd >= 0) return fd;
  *error = "cannot open " + path + ": " + std::strerror(errno);
  return std::nullopt;
}

void LogWriter::use_file(const std::string& path, int fd, LogTarget target) {
  std::lock_guard lock(next_file_mutex_);
  std::optional<File>& next = (target == LogTarget::kUsage ? usage_ : file_).next;
  if (next) close_file(*next);
  next = {path, fd};
}

void LogWriter::close_file(const File& file) {
  if (file.fd >= 0 && file.fd != STDOUT_FILENO) ::close(file.fd);
}

// Before the queues are drained: lines may be in them that are meant for the new file.
void LogWriter::change_files() {
  std::lock_guard lock(next_file_mutex_);
  change_file(file_);
  change_file(usage_);
}

void LogWriter::change_file(Output& output) {
  if (!output.next) return;
  if (output.next->fd < 0) pop_all();
  bool goes_on =
      output.file.fd >= 0 && output.next->fd >= 0 && same_file(output.file.fd, output.next->fd);
  close_file(std::exchange(output.file, *std::exchange(output.next, std::nullopt)));
  if (!goes_on) leave_begun_line(output.lines);
}

LogQueue& LogWriter::add_queue() {
  queues_.push_back(std::make_unique<LogQueue>(wake_fd_));
  return *queues_.back();
}

void LogWriter::start() {
  change_files();
  thread_ = std::thread([this] { run(); });
}

void LogWriter::stop() {
  if (!thread_.joinable()) return;
  stopping_.store(true, std::memory_order_release);
  ::eventfd_write(wake_fd_, 1);
  thread_.join();
}

void LogWriter::run() {
  while (!stopping_.load(std::memory_order_acquire)) {
    pollfd woken{wake_fd_, POLLIN, 0};
    ::poll(&woken, 1, kRoundMs);
    eventfd_t count = 0;
    ::eventfd_read(wake_fd_, &count);
    change_files();
    pop_all();
    if (!reopen_.exchange(false, std::memory_order_acquire)) continue;
    reopen(file_);
    reopen(usage_);
  }
  auto give_up = std::chrono::steady_clock::now() + std::chrono::milliseconds(limits::kLogStopMs);
  messages_.refused = file_.lines.refused = usage_.lines.refused = 0;  // tried once more
  auto wait = [this] { return messages_.wait() || file_.lines.wait() || usage_.lines.wait(); };
  for (pop_all(); wait(); pop_all()) {
    if (std::chrono::steady_clock::now() >= give_up) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

void LogWriter::pop_all() {
  for (auto& queue : queues_) queue->pop_all(messages_.text, file_.lines.text, usage_.lines.text);
  write_out(STDERR_FILENO, messages_);
  write_out(file_.file.fd, file_.lines);
  write_out(usage_.file.fd, usage_.lines);
}

uint64_t LogWriter::dropped() const {
  uint64_t count = lines_given_up_.load(std::memory_order_relaxed);
  for (const auto& queue : queues_) count += queue->dropped();
  return count;
}

void LogWriter::reopen(Output& output) {
  File& file = output.file;
  if (file.fd < 0 || file.fd == STDOUT_FILENO) return;
  int fd = ::open(file.path.c_str(), kOpenFlags, 0644);
  if (fd < 0) {
    // The old file stays in use: its lines are better than lost ones.
    write_errors_.fetch_add(1, std::memory_order_relaxed);
    print_message("cannot reopen " + file.path + ": " + std::strerror(errno));
    return;
  }
  bool goes_on = same_file(file.fd, fd);
  ::close(file.fd);
  file.fd = fd;
  if (!goes_on) leave_begun_line(output.lines);
  output.lines.refused = 0;
}

// The line whose beginning is in another file: nobody could read its rest.
void LogWriter::leave_begun_line(Lines& lines) {
  lines.refused = 0;
  if (!lines.begun) return;
  lines.text.erase(0, lines.text.find('\n') + 1);
  lines.begun = false;
  lines_given_up_.fetch_add(1, std::memory_order_relaxed);
}

uint64_t LogWriter::Lines::give_up() {
  size_t kept = begun ? text.find('\n') + 1 : 0;
  auto lines = static_cast<uint64_t>(
      std::count(text.begin() + static_cast<ptrdiff_t>(kept), text.end(), '\n'));
  text.resize(kept);
  return lines;
}

// Writes as much as the file takes now; keeps the rest for the next time, up to a bound.
void LogWriter::write_out(int fd, Lines& lines) {
  if (fd < 0) {
    lines = {};
    return;
  }
  if (!lines.wait()) return;
  std::string& text = lines.text;
  size_t done = 0;
  int error = 0;
  while (error == 0 && done < text.size()) {
    ssize_t n = write_now(fd, std::string_view(text).substr(done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) break;
    if (n < 0)
      error = errno;
    else
      done += static_cast<size_t>(n);
  }
  if (done > 0) lines.begun = text[done - 1] != '\n';
  text.erase(0, done);
  lines.refused = 0;
  if (error != 0) {  // ENOSPC and the like: lose these lines, try the next ones
    write_errors_.fetch_add(1, std::memory_order_relaxed);
    lines_given_up_.fetch_add(lines.give_up(), std::memory_order_relaxed);
    lines.refused = text.size();
  } else if (text.size() > limits::kLogBacklogBytes) {
    lines_given_up_.fetch_add(lines.give_up(), std::memory_order_relaxed);
  }
}

void append_timestamp(std::string& out, uint64_t wall_ms) {
  using std::chrono::milliseconds;
  std::chrono::sys_time<milliseconds> time{milliseconds(wall_ms)};
  auto day = std::chrono::floor<std::chrono::days>(time);
  std::chrono::year_month_day date(day);
  std::chrono::hh_mm_ss clock(time - day);
  size_t at = out.size();
  out += "0000-00-00T00:00:00.000Z";
  auto put = [&](size_t digits, uint64_t value) {
    for (size_t i = digits; i > 0; value /= 10) out[at + --i] = static_cast<char>('0' + value % 10);
    at += digits + 1;
  };
  put(4, static_cast<uint64_t>(static_cast<int>(date.year())));
  put(2, static_cast<unsigned>(date.month()));
  put(2, static_cast<unsigned>(date.day()));
  put(2, static_cast<uint64_t>(clock.hours().count()));
  put(2, static_cast<uint64_t>(clock.minutes().count()));
  put(2, static_cast<uint64_t>(clock.seconds().count()));
  put(3, wall_ms % 1000);
}

void print_message(std::string_view text) {
  std::string line = "sluice: ";
  line += text;
  line += '\n';
  // A stderr that takes no bytes must not stop the process.
  [[maybe_unused]] ssize_t written = write_now(STDERR_FILENO, line);
}

}  // namespace sluice

#include "core/log.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <pty.h>
#include <sstream>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <thread>
#include <unistd.h>

#include <gtest/gtest.h>

#include "tests/unit/random_source.h"

namespace sluice {
namespace {

TEST(LogQueue, SortsLinesByTargetAndKeepsTheirOrder) {
  LogQueue queue;
  EXPECT_TRUE(queue.push(LogTarget::kFile, "a1"));
  EXPECT_TRUE(queue.push(LogTarget::kMessages, "m1"));
  EXPECT_TRUE(queue.push(LogTarget::kFile, ""));
  EXPECT_TRUE(queue.push(LogTarget::kMessages, "m2"));
  std::string messages = "before\n";
  std::string access;
  queue.pop_all(messages, access, access);
  EXPECT_EQ(messages, "before\nm1\nm2\n");
  EXPECT_EQ(access, "a1\n\n");
  queue.pop_all(messages, access, access);
  EXPECT_EQ(access, "a1\n\n") << "popped twice";
}

TEST(LogQueue, DropsAndCountsWhatDoesNotFit) {
  LogQueue queue;
  std::string line(1000, 'x');
  size_t pushed = 0;
  while (queue.push(LogTarget::kFile, line)) ++pushed;
  EXPECT_GT(pushed, 200U);
  EXPECT_EQ(queue.dropped(), 1U);
  EXPECT_FALSE(queue.push(LogTarget::kFile, line));
  EXPECT_EQ(queue.dropped(), 2U);
  std::string messages;
  std::string access;
  queue.pop_all(messages, access, access);
  EXPECT_EQ(access.size(), pushed * (line.size() + 1));
  EXPECT_TRUE(queue.push(LogTarget::kFile, line));
  EXPECT_EQ(queue.dropped(), 2U);
  EXPECT_FALSE(queue.push(LogTarget::kFile, std::string(size_t{1} << 20, 'x')));
}

TEST(LogQueue, WrapsAroundAtEveryOffset) {
  test::RandomSource random;
  SCOPED_TRACE(random.trace());
  LogQueue queue;
  std::string access;
  std::string messages;
  std::string expected;
  for (size_t i = 0; expected.size() < (size_t{3} << 20); ++i) {
    std::string line = std::to_string(i) + std::string(random.between(0, 3000), 'x');
    ASSERT_TRUE(queue.push(LogTarget::kFile, line));
    expected += line + '\n';
    if (random.between(0, 9) == 0) queue.pop_all(messages, access, access);
  }
  queue.pop_all(messages, access, access);
  EXPECT_TRUE(access == expected);
  EXPECT_EQ(messages, "");
}

TEST(LogQueue, OneThreadPushesWhileAnotherDrains) {
  LogQueue queue;
  constexpr int kLines = 20'000;
  std::thread producer([&queue] {
    for (int i = 0; i < kLines; ++i)
      while (!queue.push(LogTarget::kFile, std::to_string(i))) std::this_thread::yield();
  });
  std::string expected;
  for (int i = 0; i < kLines; ++i) expected += std::to_string(i) + '\n';
  std::string messages;
  std::string access;
  while (access.size() < expected.size()) queue.pop_all(messages, access, access);
  producer.join();
  EXPECT_TRUE(access == expected);
}

// The wake-ups since the last call.
uint64_t wake_ups(int fd) {
  eventfd_t count = 0;
  return eventfd_read(fd, &count) == 0 ? count : 0;
}

TEST(LogQueue, WakesOnceInHalfAQueue) {
  int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  LogQueue queue(wake);
  const std::string line(1000, 'x');
  constexpr size_t kHalf = limits::kLogQueueBytes / 2;
  std::string messages;
  std::string access;
  for (int round = 0; round < 10; ++round) {
    size_t bytes = 0;
    while (bytes + line.size() + 5 < kHalf) {
      ASSERT_TRUE(queue.push(LogTarget::kFile, line));
      bytes += line.size() + 5;
    }
    EXPECT_EQ(wake_ups(wake), 0U) << "it is not half full yet";
    ASSERT_TRUE(queue.push(LogTarget::kFile, line));
    EXPECT_EQ(wake_ups(wake), 1U);
    while (queue.push(LogTarget::kFile, line)) {
    }
    EXPECT_EQ(wake_ups(wake), 0U) << "the writer has been woken";
    queue.pop_all(messages, access, access);
  }
  EXPECT_EQ(queue.dropped(), 10U);
  close(wake);
}

TEST(LogQueue, LosesNothingToOneWhoWaitsToBeWoken) {
  int wake = eventfd(0, EFD_CLOEXEC);
  LogQueue queue(wake);
  constexpr int kLines = 20'000;
  const std::string filler(100, 'x');
  std::atomic<bool> done{false};
  std::thread producer([&] {
    for (int i = 0; i < kLines; ++i)
      while (!queue.push(LogTarget::kFile, std::to_string(i) + filler)) std::this_thread::yield();
    done = true;
    eventfd_write(wake, 1);
  });
  std::string messages;
  std::string access;
  while (!done) {  // a wake-up that is lost is a producer that yields for ever
    eventfd_t count = 0;
    eventfd_read(wake, &count);
    queue.pop_all(messages, access, access);
  }
  producer.join();
  queue.pop_all(messages, access, access);
  std::string expected;
  for (int i = 0; i < kLines; ++i) expected += std::to_string(i) + filler + '\n';
  EXPECT_TRUE(access == expected);
  close(wake);
}

// Messages of a queue, all at once.
std::string messages_of(LogQueue& queue) {
  std::string messages;
  std::string access;
  queue.pop_all(messages, access, access);
  EXPECT_EQ(access, "");
  return messages;
}

TEST(MessageLog, WritesFromItsLevelOn) {
  LogQueue queue;
  MessageLog log(queue, LogLevel::kWarn);
  EXPECT_FALSE(log.on(LogLevel::kInfo));
  EXPECT_TRUE(log.on(LogLevel::kWarn));
  EXPECT_TRUE(log.on(LogLevel::kError));
  log.write(LogLevel::kInfo, 0, "quiet");
  log.write(LogLevel::kWarn, 0, "loud");
  EXPECT_EQ(messages_of(queue), "sluice: loud\n");
}

TEST(MessageLog, LeavesOutWhatIsTooMuchForASecond) {
  LogQueue queue;
  MessageLog log(queue, LogLevel::kInfo);
  std::string expected;
  for (unsigned i = 0; i < limits::kMessagesPerSecond; ++i) expected += "sluice: again\n";
  for (unsigned i = 0; i < limits::kMessagesPerSecond + 7; ++i)
    log.write(LogLevel::kInfo, 5000 + i, "again");
  EXPECT_EQ(messages_of(queue), expected);
  log.write(LogLevel::kInfo, 6000, "next second");
  EXPECT_EQ(messages_of(queue), "sluice: 7 messages were left out\nsluice: next second\n");
  EXPECT_EQ(queue.dropped(), 0U);
}

bool use(LogWriter& writer, const std::string& path, std::string* error) {
  std::optional<int> fd = open_log_file(path, error);
  if (fd) writer.use_file(path, *fd);
  return fd.has_value();
}

class LogFile : public testing::Test {
 protected:
  LogFile() { std::filesystem::create_directory(directory_); }
  ~LogFile() override { std::filesystem::remove_all(directory_); }

  std::string path(const char* name = "access.log") const { return directory_ + "/" + name; }
  static std::string text_of(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }
  // What a pipe holds now.
  static std::string all_of(int pipe) {
    std::string bytes(size_t{1} << 16, 0);
    bytes.resize(static_cast<size_t>(std::max<ssize_t>(0, read(pipe, bytes.data(), bytes.size()))));
    return bytes;
  }
  // Until the writer's next rounds have done it.
  template <typename Condition>
  static void await(Condition condition) {
    for (int i = 0; i < 1000 && !condition(); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    ASSERT_TRUE(condition());
  }

 private:
  std::string directory_ = testing::TempDir() + "sluice_log_" + std::to_string(getpid());
};

TEST_F(LogFile, WritesAllQueuesAndDrainsThemAtTheStop) {
  LogWriter writer;
  std::string error;
  ASSERT_TRUE(use(writer, path(), &error)) << error;
  LogQueue& one = writer.add_queue();
  LogQueue& two = writer.add_queue();
  writer.start();
  one.push(LogTarget::kFile, "one");
  two.push(LogTarget::kFile, "two");
  await([this] { return text_of(path()).size() == 8; });
  one.push(LogTarget::kFile, "last");
  writer.stop();
  EXPECT_TRUE(text_of(path()).ends_with("last\n")) << text_of(path());
  EXPECT_EQ(writer.write_errors(), 0U);
}

TEST_F(LogFile, AppendsToWhatIsThere) {
  std::ofstream(path()) << "old\n";
  LogWriter writer;
  std::string error;
  ASSERT_TRUE(use(writer, path(), &error));
  writer.add_queue().push(LogTarget::kFile, "new");
  writer.start();
  writer.stop();
  EXPECT_EQ(text_of(path()), "old\nnew\n");
}

TEST_F(LogFile, ReopensAfterARotation) {
  LogWriter writer;
  std::string error;
  ASSERT_TRUE(use(writer, path(), &error));
  LogQueue& queue = writer.add_queue();
  writer.start();
  queue.push(LogTarget::kFile, "first");
  std::filesystem::rename(path(), path("rotated"));
  writer.request_reopen();
  await([this] { return std::filesystem::exists(path()); });
  queue.push(LogTarget::kFile, "second");
  writer.stop();
  EXPECT_EQ(text_of(path("rotated")), "first\n");
  EXPECT_EQ(text_of(path()), "second\n");
}

TEST_F(LogFile, WritesUsageToAFileOfItsOwnAndReopensThatToo) {
  LogWriter writer;
  std::string error;
  ASSERT_TRUE(use(writer, path(), &error));
  writer.use_file(path("usage.log"), *open_log_file(path("usage.log"), &error), LogTarget::kUsage);
  LogQueue& queue = writer.add_queue();
  writer.start();
  queue.push(LogTarget::kUsage, "first");
  queue.push(LogTarget::kFile, "a");
  std::filesystem::rename(path("usage.log"), path("rotated"));
  writer.request_reopen();
  await([this] { return std::filesystem::exists(path("usage.log")); });
  queue.push(LogTarget::kUsage, "second");
  writer.stop();
  EXPECT_EQ(text_of(path("rotated")), "first\n");
  EXPECT_EQ(text_of(path("usage.log")), "second\n");
  EXPECT_EQ(text_of(path()), "a\n");
}

TEST_F(LogFile, KeepsTheOldFileWhereItCannotReopen) {
  std::string directory = path("directory");
  std::filesystem::create_directory(directory);
  LogWriter writer;
  std::string error;
  ASSERT_TRUE(use(writer, directory + "/access.log", &error));
  LogQueue& queue = writer.add_queue();
  writer.start();
  std::filesystem::rename(directory, path("moved"));
  testing::internal::CaptureStderr();
  writer.request_reopen();
  await([&writer] { return writer.write_errors() == 1; });
  queue.push(LogTarget::kFile, "kept");
  writer.stop();
  EXPECT_NE(testing::internal::GetCapturedStderr().find("cannot reopen"), std::string::npos);
  EXPECT_EQ(text_of(path("moved/access.log")), "kept\n");
}

TEST_F(LogFile, CountsWritesThatFailAndGoesOn) {
  LogWriter writer;
  std::string error;
  ASSERT_TRUE(use(writer, "/dev/full", &error)) << error;
  LogQueue& queue = writer.add_queue();
  writer.start();
  queue.push(LogTarget::kFile, "lost");
  await([&writer] { return writer.write_errors() == 1; });
  queue.push(LogTarget::kFile, "lost too");
  await([&writer] { return writer.write_errors() == 2; });
  testing::internal::CaptureStderr();
  queue.push(LogTarget::kMessages, "still there");
  writer.stop();
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "still there\n");
}

// What the process may write to one file, for a test: beyond it write(2) fails with EFBIG.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    std::signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before_);
    rlimit limit{bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() { lift(); }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

  void lift() const { setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_{};
};

// A line of the log of which 10 bytes are in the file, where there was no more room.
class CutLogLine : public LogFile {
 protected:
  CutLogLine() {
    std::string error;
    EXPECT_TRUE(use(writer, path(), &error)) << error;
    queue = &writer.add_queue();
    writer.start();
    push("longer than that");
    await([this] { return writer.write_errors() == 1; });
  }

  void push(std::string_view line) { queue->push(LogTarget::kFile, line); }

  FileSizeLimit limit{10};
  LogWriter writer;
  LogQueue* queue = nullptr;
};

TEST_F(CutLogLine, IsFinishedWhenAnotherComes) {
  std::this_thread::sleep_for(std::chrono::milliseconds(350));
  EXPECT_EQ(writer.write_errors(), 1U) << "nothing new to write";
  push("lost");
  await([this] { return writer.write_errors() == 2; });
  limit.lift();
  push("next");
  writer.stop();
  EXPECT_EQ(text_of(path()), "longer than that\nnext\n");
}

TEST_F(CutLogLine, IsFinishedAtTheStop) {
  limit.lift();
  writer.stop();
  EXPECT_EQ(text_of(path()), "longer than that\n");
}

TEST_F(CutLogLine, IsFinishedWhenTheSameFileIsReopened) {
  limit.lift();
  writer.request_reopen();
  await([this] { return text_of(path()) == "longer than that\n"; });
  writer.stop();
  EXPECT_EQ(writer.dropped(), 0U);
}

TEST_F(CutLogLine, IsLeftWhenAnotherFileIsOpened) {
  limit.lift();
  std::filesystem::rename(path(), path("rotated"));
  writer.request_reopen();
  await([this] { return writer.dropped() == 1; });
  push("next");
  writer.stop();
  EXPECT_EQ(text_of(path("rotated")), "longer tha");
  EXPECT_EQ(text_of(path()), "next\n");
}

TEST_F(LogFile, FinishesALineAtTheStopThatLacksNothingButItsEnd) {
  FileSizeLimit limit{4};
  LogWriter writer;
  std::string error;
  ASSERT_TRUE(use(writer, path(), &error)) << error;
  writer.add_queue().push(LogTarget::kFile, "four");
  writer.start();
  await([&writer] { return writer.write_errors() == 1; });
  limit.lift();
  writer.stop();
  EXPECT_EQ(text_of(path()), "four\n");
}

TEST_F(LogFile, FinishesALineThatItHasBegunWhenAnotherReaderComes) {
  std::signal(SIGPIPE, SIG_IGN);
  ASSERT_EQ(mkfifo(path().c_str(), 0600), 0);
  int reader = open(path().c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  ASSERT_GE(reader, 0);
  ASSERT_EQ(fcntl(reader, F_SETPIPE_SZ, 4096), 4096);
  LogWriter writer;
  std::string error;
  ASSERT_TRUE(use(writer, path(), &error)) << error;
  LogQueue& queue = writer.add_queue();
  const std::string line(3000, 'x');
  for (int i = 0; i < 3; ++i) queue.push(LogTarget::kFile, line);
  writer.start();
  await([reader] {
    int waiting = 0;
    ioctl(reader, FIONREAD, &waiting);
    return waiting == 4096;
  });
  close(reader);
  await([&writer] { return writer.write_errors() > 0; });
  reader = open(path().c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  ASSERT_GE(reader, 0);
  std::string got = all_of(reader);  // the pipe has kept it
  queue.push(LogTarget::kFile, "next");
  writer.stop();
  got += all_of(reader);
  EXPECT_EQ(got, line + "\n" + line + "\nnext\n") << "the third was lost with the reader";
  close(reader);
}

TEST_F(LogFile, DoesNotWaitForAPipeThatNobodyReads) {
  ASSERT_EQ(mkfifo(path().c_str(), 0600), 0);
  int reader = open(path().c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  ASSERT_GE(reader, 0);
  LogWriter writer;
  std::string error;
  ASSERT_TRUE(use(writer, path(), &error)) << error;
  LogQueue& queue = writer.add_queue();
  std::string line(1000, 'x');
  while (queue.push(LogTarget::kFile, line)) {
  }
  writer.start();
  auto before = std::chrono::steady_clock::now();
  writer.stop();
  EXPECT_LT(std::chrono::steady_clock::now() - before,
            std::chrono::milliseconds(limits::kLogStopMs + 3000));
  std::string got(4 * (line.size() + 1), 0);
  EXPECT_EQ(read(reader, got.data(), got.size()), static_cast<ssize_t>(got.size()));
  line += '\n';
  EXPECT_EQ(got, line + line + line + line);
  EXPECT_EQ(writer.write_errors(), 0U);
  EXPECT_EQ(writer.dropped(), 1U);
  close(reader);
}

// Another file in place of stdout and stderr, for a test.
class StandardStreams {
 public:
  explicit StandardStreams(int fd)
      : stdout_(fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)),
        stderr_(fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3)) {
    std::fflush(stdout);
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
  }
  ~StandardStreams() {
    dup2(stdout_, STDOUT_FILENO);
    dup2(stderr_, STDERR_FILENO);
    close(stdout_);
    close(stderr_);
  }
  StandardStreams(const StandardStreams&) = delete;
  StandardStreams& operator=(const StandardStreams&) = delete;

 private:
  int stdout_;
  int stderr_;
};

// A reader that reads when a test tells it to, and what writes to it: blocking, and others' too.
struct Reader {
  enum Kind { kTerminal, kStoppedTerminal, kPipe, kSocket };

  explicit Reader(Kind kind) {
    std::array<int, 2> fds{-1, -1};
    if (kind == kPipe) {
      EXPECT_EQ(pipe2(fds.data(), O_CLOEXEC), 0);
    } else if (kind == kSocket) {
      EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()), 0);
    } else {
      EXPECT_EQ(openpty(fds.data(), &fds[1], nullptr, nullptr, nullptr), 0);
      int stopped = kind == kStoppedTerminal ? tcflow(fds[1], TCOOFF) : 0;  // as Ctrl-S does
      EXPECT_EQ(stopped, 0);
    }
    reads = fds[0];
    writes = fds[1];
  }
  ~Reader() {
    EXPECT_EQ(fcntl(writes, F_GETFL) & O_NONBLOCK, 0) << "others write to it, too";
    close(reads);
    close(writes);
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  void read_some() const {
    std::array<char, 4096> bytes{};
    EXPECT_GT(read(reads, bytes.data(), bytes.size()), 0);
  }

  int reads = -1;
  int writes = -1;
};

class UnreadLog : public testing::TestWithParam<Reader::Kind> {};

INSTANTIATE_TEST_SUITE_P(Kind, UnreadLog,
                         testing::Values(Reader::kTerminal, Reader::kStoppedTerminal, Reader::kPipe,
                                         Reader::kSocket));

TEST_P(UnreadLog, DoesNotKeepTheWriterFromItsEnd) {
  Reader reader(GetParam());
  LogWriter writer;
  {
    StandardStreams streams(reader.writes);
    std::string error;
    ASSERT_TRUE(use(writer, "-", &error)) << error;
    LogQueue& queue = writer.add_queue();
    const std::string line(1000, 'x');
    for (LogTarget target : {LogTarget::kMessages, LogTarget::kFile})
      for (int i = 0; i < 100; ++i) queue.push(target, line);
    writer.start();
    writer.stop();
  }
  EXPECT_EQ(writer.write_errors(), 0U);
  if (GetParam() != Reader::kStoppedTerminal) reader.read_some();
}

TEST_P(UnreadLog, DoesNotHoldUpAMessage) {
  Reader reader(GetParam());
  {
    StandardStreams streams(reader.writes);
    for (int i = 0; i < 3; ++i) {
      // More than it holds, so that it is full in the middle of one.
      for (int k = 0; k < 3000; ++k) print_message(std::string(static_cast<size_t>(k % 997), 'x'));
      if (GetParam() != Reader::kStoppedTerminal) reader.read_some();
    }
  }
}

TEST_F(LogFile, GivesUpWhatAPipeWithoutAReaderCannotTake) {
  std::signal(SIGPIPE, SIG_IGN);
  ASSERT_EQ(mkfifo(path().c_str(), 0600), 0);
  int reader = open(path().c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  int fifo = open(path().c_str(), O_WRONLY | O_CLOEXEC);
  ASSERT_GE(fifo, 0);
  close(reader);
  LogWriter writer;
  {
    StandardStreams streams(fifo);
    std::string error;
    ASSERT_TRUE(use(writer, "-", &error)) << error;
    writer.add_queue().push(LogTarget::kFile, "lost");
    writer.start();
    writer.stop();
  }
  EXPECT_EQ(writer.write_errors(), 1U);
  EXPECT_EQ(writer.dropped(), 1U);
  close(fifo);
}

TEST_F(LogFile, RefusesAFileThatCannotBeOpened) {
  LogWriter writer;
  std::string error;
  EXPECT_FALSE(use(writer, path("missing/access.log"), &error));
  EXPECT_EQ(error, "cannot open " + path("missing/access.log") + ": No such file or directory");
}

TEST_F(LogFile, WritesNoAccessLogWhenOff) {
  LogWriter writer;
  std::string error;
  ASSERT_TRUE(use(writer, "off", &error));
  writer.add_queue().push(LogTarget::kFile, "nowhere");
  writer.start();
  writer.stop();
  EXPECT_EQ(writer.write_errors(), 0U);
}

TEST(Timestamp, IsIso8601InUtc) {
  std::string text = "at ";
  append_timestamp(text, 0);
  EXPECT_EQ(text, "at 1970-01-01T00:00:00.000Z");
  text.clear();
  append_timestamp(text, 1'709'210'096'007);  // a leap day
  EXPECT_EQ(text, "2024-02-29T12:34:56.007Z");
}

TEST(PrintMessage, IsOneLineOfStderr) {
  testing::internal::CaptureStderr();
  print_message("the kernel is too old");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "sluice: the kernel is too old\n");
}

}  // namespace
}  // namespace sluice

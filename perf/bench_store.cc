// Durable publishes: so many publishers, each of which waits for its answer before it goes on, and
// batches of so many events of 220 bytes. What it measures is the disk of TMPDIR as much as us, so
// it has to be read as a range of several runs, beside the time of an fdatasync in the same minute
// (the first line of the table). CPU time is that of all threads of the process.
#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fcntl.h>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <unistd.h>
#include <vector>

#include <benchmark/benchmark.h>

#include "core/clock.h"
#include "net/hub/sqlite_store.h"

namespace sluice::perf {
namespace {

constexpr size_t kStreams = 1000;
constexpr size_t kDataBytes = 220;

class Folder {
 public:
  Folder() {
    const char* base = getenv("TMPDIR");
    path_ = std::string(base ? base : "/tmp") + "/bench_store_XXXXXX";
    if (!mkdtemp(path_.data())) std::abort();
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string file(const char* name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

struct Publish final : StoreBatch {
  uint64_t at_ns = 0;
};

class Publishers final : public StoreUser, public StoreLoad {
 public:
  explicit Publishers(size_t events_a_batch) : events_a_batch_(events_a_batch) {
    for (size_t i = 0; i < kStreams; ++i) {
      streams_.push_back("category" + std::to_string(i % 10) + "-" + std::to_string(i));
    }
  }

  void on_appended(std::unique_ptr<StoreBatch> batch, StoreOutcome outcome) override {
    if (outcome != StoreOutcome::kDurable) std::abort();
    std::lock_guard guard(lock_);
    answered_.push_back(std::move(batch));
    wake_.notify_one();
  }
  void on_page(uint64_t /*id*/, StorePage /*page*/) override {}
  void on_origin(std::string_view /*stream*/, std::string_view /*origin_id*/) override {}
  void on_state(StoreState /*state*/, const std::string& /*reason*/) override {}
  void on_stream(std::string_view /*name*/, uint64_t /*version*/) override {}
  void on_key(const StoredKey& /*key*/) override {}
  void on_message_id(const StoredEvent& /*event*/) override {}
  void on_event(const StoredEvent& /*event*/) override {}
  void on_consumer(const StoredConsumer& /*consumer*/) override {}

  void publish(Store& store, std::unique_ptr<StoreBatch> batch) {
    auto& next = static_cast<Publish&>(*batch);
    next.events.resize(events_a_batch_);
    next.at_ns = monotonic_ns();
    for (StoredEvent& event : next.events) {
      uint64_t global = ++last_;
      event = {.stream = streams_[global % kStreams],
               .type = "Happened",
               .data = data_,
               .metadata = {},
               .message_id = "936da01f-9abd-4d9d-80c7-02af85c822a8",
               .origin_id = {},
               .position = global / kStreams,
               .global_position = global,
               .time_us = static_cast<int64_t>(global)};
    }
    if (!store.append(batch)) std::abort();
  }
  // The next publisher that has its answer.
  std::unique_ptr<StoreBatch> take() {
    if (taken_.empty()) {
      std::unique_lock guard(lock_);
      wake_.wait(guard, [this] { return !answered_.empty(); });
      std::swap(taken_, answered_);
    }
    std::unique_ptr<StoreBatch> batch = std::move(taken_.back());
    taken_.pop_back();
    waits_ns_.push_back(monotonic_ns() - static_cast<Publish&>(*batch).at_ns);
    return batch;
  }
  double wait_us(double part) {
    if (waits_ns_.empty()) return 0;
    auto at = waits_ns_.begin() +
              static_cast<ptrdiff_t>(part * static_cast<double>(waits_ns_.size() - 1));
    std::nth_element(waits_ns_.begin(), at, waits_ns_.end());
    return static_cast<double>(*at) / 1000;
  }

 private:
  const size_t events_a_batch_;
  const std::string data_ = std::string(kDataBytes, 'd');
  std::vector<std::string> streams_;
  uint64_t last_ = 0;
  std::mutex lock_;
  std::condition_variable wake_;
  std::vector<std::unique_ptr<StoreBatch>> answered_;
  std::vector<std::unique_ptr<StoreBatch>> taken_;
  std::vector<uint64_t> waits_ns_;
};

double process_cpu_us() {
  timespec spent{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
  return static_cast<double>(spent.tv_sec) * 1e6 + static_cast<double>(spent.tv_nsec) / 1e3;
}

void fdatasync_of_4k(benchmark::State& state) {
  Folder folder;
  int fd = open(folder.file("file").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  std::string page(4096, 'x');
  off_t at = 0;
  for (auto _ : state) {
    if (pwrite(fd, page.data(), page.size(), at) != 4096 || fdatasync(fd) != 0) std::abort();
    at = (at + 4096) % (1 << 22);
  }
  close(fd);
}

void durable(benchmark::State& state) {
  auto publishers = static_cast<size_t>(state.range(0));
  auto events = static_cast<size_t>(state.range(1));
  Folder folder;
  Publishers all(events);
  SqliteStoreOptions options;
  options.file = folder.file("hub.db");
  SqliteStore store(options, all);
  std::string error;
  if (!store.load(all, error)) {
    state.SkipWithError(error.c_str());
    return;
  }
  for (size_t i = 0; i < publishers; ++i) all.publish(store, std::make_unique<Publish>());
  double cpu_us = process_cpu_us();
  for (auto _ : state) all.publish(store, all.take());
  cpu_us = process_cpu_us() - cpu_us;
  auto count = static_cast<double>(state.iterations()) * static_cast<double>(events);
  state.counters["events/s"] = benchmark::Counter(count, benchmark::Counter::kIsRate);
  state.counters["cpu_us/event"] = cpu_us / count;
  state.counters["p50_us"] = all.wait_us(0.5);
  state.counters["p99_us"] = all.wait_us(0.99);
  for (size_t i = 0; i < publishers; ++i) (void)all.take();
}

BENCHMARK(fdatasync_of_4k)->UseRealTime();
BENCHMARK(durable)
    ->ArgNames({"publishers", "events"})
    ->Args({1, 1})
    ->Args({10, 1})
    ->Args({100, 1})
    ->Args({1000, 1})
    ->Args({1, 10})
    ->Args({1, 100})
    ->Args({1, 1000})
    ->UseRealTime();

}  // namespace
}  // namespace sluice::perf

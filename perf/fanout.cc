// A load on a hub: one process, one thread, one epoll loop; subscribers by the thousand, then
// publishers, at a rate or as fast as they are answered. Each subscriber checks all that it gets
// (perf/fanout_check.h). Publishing has no memory of answers that are late: an event counts from
// the moment at which it was due, even where its publisher still waits. SIGINT ends it: it waits
// for what is under way, and reports. The exit status is 0 only if events came and nothing was
// wrong with them.

#include <algorithm>
#include <array>
#include <cerrno>
#include <cinttypes>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <sys/epoll.h>

#include "core/clock.h"
#include "perf/fanout_check.h"
#include "perf/flags.h"
#include "perf/http_message.h"
#include "perf/socket.h"

namespace sluice::perf {
namespace {

constexpr char kUsage[] =
    "usage: fanout --connect ADDRESS --subscribe TARGET --publish TARGET [--subscribers N] ...\n"
    "\n"
    "Publishes to a hub and measures how long its events take to all subscribers.\n"
    "\n"
    "  --connect ADDRESS    127.0.0.1:8080 or unix:/path\n"
    "  --subscribe TARGET   what subscribers GET\n"
    "  --subscribers N      (default 100)\n"
    "  --groups N           more subscribers: N groups of --members each, which share the events\n"
    "                       by member= and size= in the target\n"
    "  --members N          (default 4)\n"
    "  --publish TARGET     what publishers POST to; {} stands for the number of the stream\n"
    "  --publishers N       connections (default 1); a stream has always the same one\n"
    "  --streams N          (default 1)\n"
    "  --rate N             events a second of all publishers; 0 (default): each goes on when it\n"
    "                       has its answer\n"
    "  --size BYTES         of an event, with \"data: \" and the blank line (default 220)\n"
    "  --pokes              subscribers get pokes of streams poke-N of one category\n"
    "  --ramp N             connections opened a second (default 4000)\n"
    "  --settle TIME        from the last subscriber to the first event (default 1s)\n"
    "  --warmup TIME        events of that time are checked but not measured (default 1s)\n"
    "  --duration TIME      of publishing, at most (default 60s)\n"
    "  --drain TIME         for what is under way at the end, at most (default 10s)\n"
    "  --json PATH          where the report goes (default: standard output)\n";

struct Options {
  std::string connect;
  std::string subscribe;
  size_t subscribers = 100;
  size_t groups = 0;
  size_t members = 4;
  std::string publish;
  size_t publishers = 1;
  size_t streams = 1;
  double rate = 0;
  uint32_t size = 220;
  bool pokes = false;
  double ramp = 4000;
  uint64_t settle_ns = kNsPerS;
  uint64_t warmup_ns = kNsPerS;
  uint64_t duration_ns = 60 * kNsPerS;
  uint64_t drain_ns = 10 * kNsPerS;
  std::string json;
};

constexpr size_t kReadBytes = 256 * 1024;
// How far publishers may be behind a rate. Beyond it they publish less, and the report says so.
constexpr double kBacklogSeconds = 1;

volatile std::sig_atomic_t g_interrupted = 0;
void on_signal(int) {
  g_interrupted = 1;
}

struct Peer {
  enum class State : uint8_t { kClosed, kConnecting, kHead, kBody };

  bool publishes = false;
  int fd = -1;
  State state = State::kClosed;
  std::string head;
  BodyDecoder body;
};

struct Subscriber : Peer {
  Subscriber(std::string its_target, FanoutChecker its_checker)
      : target(std::move(its_target)), checker(std::move(its_checker)) {}

  std::string target;
  FanoutChecker checker;
};

struct Publisher : Peer {
  struct Due {
    size_t stream;
    uint64_t ns;
  };
  size_t number = 0;
  std::deque<Due> due;
  uint64_t asked_ns = 0;  // 0: it waits for no answer
};

struct Report {
  FanoutCounts counts;
  uint64_t measured_from_ns = 0;
  uint64_t measured_until_ns = 0;
  uint64_t published = 0;  // answered, while it was measured
  uint64_t deliveries = 0;
  uint64_t published_in_all = 0;
  uint64_t refused = 0;
  uint64_t closed = 0;    // connections that the hub has ended, or refused
  uint64_t missing = 0;   // had not come at the end
  size_t behind_max = 0;  // events that were due and not yet sent
  Histogram latency;
  Histogram answer;

  bool passed() const {
    return counts.deliveries > 0 && counts.wrong() + refused + closed + missing == 0;
  }
};

class Fanout {
 public:
  explicit Fanout(const Options& options)
      : options_(options), address_(address_of(options.connect)), times_(options.streams) {
    epoll_ = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ < 0) die("epoll_create1", errno);
    using Reads = FanoutChecker::Reads;
    for (size_t i = 0; i < options.subscribers; ++i)
      add_subscriber(options.subscribe, options.pokes ? Reads::kPokes : Reads::kEvents);
    const char joint = options.subscribe.find('?') == std::string::npos ? '?' : '&';
    for (size_t i = 0; i < options.groups * options.members; ++i)
      add_subscriber(options.subscribe + joint + "member=" + std::to_string(i % options.members) +
                         "&size=" + std::to_string(options.members),
                     Reads::kPokesOfItsGroup);
    for (size_t i = 0; i < options.publishers; ++i) {
      Publisher& publisher = publishers_.emplace_back();
      publisher.publishes = true;
      publisher.number = i;
    }
  }

  const Report& run() {
    open_all();
    (void)std::fprintf(stderr, "fanout: all %zu subscribers open\n", subscribers_.size());
    turn_until(monotonic_ns() + options_.settle_ns);
    begun_ns_ = monotonic_ns();
    report_.measured_from_ns = begun_ns_ + options_.warmup_ns;
    turn_until(report_.measured_from_ns);
    (void)std::fprintf(stderr, "fanout: measuring\n");
    measuring_ = true;
    turn_until(begun_ns_ + options_.duration_ns);
    measuring_ = false;
    report_.measured_until_ns = monotonic_ns();
    ending_ = true;
    const uint64_t give_up_ns = monotonic_ns() + options_.drain_ns;
    while (!all_has_come() && monotonic_ns() < give_up_ns) turn(10 * kNsPerMs);
    report_.missing = missing();
    return report_;
  }

 private:
  using State = Peer::State;

  void add_subscriber(const std::string& target, FanoutChecker::Reads reads) {
    subscribers_.emplace_back(target, FanoutChecker(reads, options_.size, times_));
  }

  void open_all() {
    const uint64_t begun_ns = monotonic_ns();
    size_t opened = 0;
    while (open_ < subscribers_.size() && report_.closed == 0 && g_interrupted == 0) {
      const double elapsed_s = static_cast<double>(monotonic_ns() - begun_ns) / 1e9;
      const auto allowed = static_cast<size_t>(elapsed_s * options_.ramp) + 1;
      while (opened < std::min(allowed, subscribers_.size())) open(subscribers_[opened++]);
      turn(kNsPerMs);
    }
    if (open_ < subscribers_.size()) die("not all subscribers could be opened: " + why_closed_);
    // Last, since a hub waits only so long for a first request.
    for (Publisher& publisher : publishers_) open(publisher);
  }

  void turn_until(uint64_t until_ns) {
    for (uint64_t now; (now = monotonic_ns()) < until_ns && g_interrupted == 0;)
      turn(until_ns - now);
  }

  void turn(uint64_t longest_ns) {
    longest_ns = std::min({longest_ns, publish_due(), 100 * kNsPerMs});
    const timespec timeout{0, static_cast<long>(longest_ns)};
    std::array<epoll_event, 512> events{};
    const int count =
        epoll_pwait2(epoll_, events.data(), static_cast<int>(events.size()), &timeout, nullptr);
    if (count < 0 && errno != EINTR) die("epoll_pwait2", errno);
    for (int i = 0; i < count; ++i)
      on_ready(*static_cast<Peer*>(events[static_cast<size_t>(i)].data.ptr));
  }

  // --- publishing ---

  // Publishes what is due; the time until something is again.
  uint64_t publish_due() {
    if (begun_ns_ == 0 || ending_) return kNsPerS;
    if (options_.rate == 0) {
      for (Publisher& publisher : publishers_)
        if (publisher.due.empty() && publisher.asked_ns == 0)
          publisher.due.push_back({stream_of(publisher), monotonic_ns()});
      send_all_due();
      return kNsPerS;
    }
    const uint64_t now = monotonic_ns();
    for (; due_at(next_due_) <= now; ++next_due_) {
      if (static_cast<double>(behind_) > options_.rate * kBacklogSeconds) continue;
      const size_t stream = next_due_ % options_.streams;
      publishers_[stream % publishers_.size()].due.push_back({stream, due_at(next_due_)});
      ++behind_;
    }
    send_all_due();
    report_.behind_max = std::max(report_.behind_max, behind_);
    return due_at(next_due_) - std::min(due_at(next_due_), monotonic_ns());
  }

  uint64_t due_at(uint64_t number) const {
    return begun_ns_ + static_cast<uint64_t>(static_cast<double>(number) * 1e9 / options_.rate);
  }

  // Without a rate: each publisher goes round its own streams.
  size_t stream_of(const Publisher& publisher) {
    const size_t own = (options_.streams - publisher.number - 1) / publishers_.size() + 1;
    return publisher.number + (next_due_++ % own) * publishers_.size();
  }

  void send_all_due() {
    for (Publisher& publisher : publishers_)
      if (!publisher.due.empty() && publisher.asked_ns == 0) publish(publisher);
  }

  void publish(Publisher& publisher) {
    if (publisher.state != State::kHead) return;
    const Publisher::Due due = publisher.due.front();
    publisher.due.pop_front();
    if (options_.rate > 0) --behind_;
    // The mark's sequence number is that of all events: it is used where there is one stream.
    StreamSpec spec;
    spec.size = options_.size;
    const uint64_t sequence = sent_++;
    write_event(spec, sequence, due.ns, event_.data());
    times_.note(due.stream, due.ns);
    constexpr size_t kPrefix = 6;  // "data: "
    const std::string_view data(event_.data() + kPrefix, options_.size - kPrefix - 2);
    std::string target = options_.publish;
    if (const size_t place = target.find("{}"); place != std::string::npos)
      target.replace(place, 2, std::to_string(due.stream));
    request_ = "POST " + target + " HTTP/1.1\r\nHost: perf\r\nContent-Type: text/plain\r\n" +
               "Content-Length: " + std::to_string(data.size()) + "\r\n\r\n";
    request_ += data;
    publisher.asked_ns = monotonic_ns();
    // A request is small, and the one before has been answered: the socket has room for it.
    if (::send(publisher.fd, request_.data(), request_.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(request_.size()))
      close_peer(publisher, "a request could not be sent");
  }

  void on_answer(Publisher& publisher) {
    const uint64_t now = monotonic_ns();
    ++report_.published_in_all;
    if (measuring_) {
      ++report_.published;
      report_.answer.record(now - publisher.asked_ns);
    }
    publisher.asked_ns = 0;
    publisher.state = State::kHead;
    if (!publisher.due.empty()) publish(publisher);
  }

  // --- connections ---

  void open(Peer& peer) {
    peer.fd = open_stream_socket(address_.storage.ss_family);
    if (peer.fd < 0) die("socket", errno);
    make_non_blocking(peer.fd);
    set_no_delay(peer.fd);
    if (connect(peer.fd, address_.sa(), address_.size) != 0 && errno != EINPROGRESS)
      die("connect", errno);
    peer.state = State::kConnecting;
    watch(peer, EPOLL_CTL_ADD, EPOLLOUT);
  }

  void watch(Peer& peer, int operation, uint32_t interest) const {
    epoll_event event{};
    event.events = interest;
    event.data.ptr = &peer;
    if (epoll_ctl(epoll_, operation, peer.fd, &event) != 0) die("epoll_ctl", errno);
  }

  void close_peer(Peer& peer, std::string_view why) {
    if (report_.closed++ == 0) why_closed_ = why;
    close(peer.fd);
    peer.fd = -1;
    peer.state = State::kClosed;
  }

  void on_ready(Peer& peer) {
    if (peer.state == State::kClosed) return;
    if (peer.state == State::kConnecting)
      on_connected(peer);
    else
      read(peer);
  }

  void on_connected(Peer& peer) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(peer.fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return close_peer(peer, std::strerror(error));
    peer.state = State::kHead;
    watch(peer, EPOLL_CTL_MOD, EPOLLIN);
    if (peer.publishes) return;
    const std::string request = "GET " + static_cast<Subscriber&>(peer).target +
                                " HTTP/1.1\r\nHost: perf\r\nAccept: text/event-stream\r\n\r\n";
    if (::send(peer.fd, request.data(), request.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(request.size()))
      close_peer(peer, "a request could not be sent");
  }

  void read(Peer& peer) {
    const ssize_t count = recv(peer.fd, buffer_.get(), kReadBytes, 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (count <= 0) return close_peer(peer, count < 0 ? std::strerror(errno) : "the hub ended it");
    std::string_view bytes(buffer_.get(), static_cast<size_t>(count));
    const uint64_t now = monotonic_ns();
    if (peer.state == State::kBody) return take_body(peer, bytes, now);
    peer.head.append(bytes);
    const size_t size = head_size(peer.head);
    if (size == 0) return;
    const std::string rest = peer.head.substr(size);
    peer.head.resize(size);
    if (!take_head(peer)) return close_peer(peer, peer.head.substr(0, peer.head.find('\r')));
    peer.head.clear();
    take_body(peer, rest, now);
  }

  // False: it is of no use.
  bool take_head(Peer& peer) {
    const bool good = peer.head.starts_with("HTTP/1.1 2");
    if (!good && peer.publishes) ++report_.refused;
    const auto without =
        peer.publishes ? BodyDecoder::Kind::kLength : BodyDecoder::Kind::kUntilClose;
    if (!peer.body.begin(peer.head, without) || (!good && !peer.publishes)) return false;
    peer.state = State::kBody;
    if (!peer.publishes) ++open_;
    return true;
  }

  void take_body(Peer& peer, std::string_view bytes, uint64_t now) {
    Histogram* latency = measuring_ ? &report_.latency : nullptr;
    const uint64_t before = report_.counts.deliveries;
    peer.body.feed(
        bytes,
        [&](std::string_view span) {
          if (!peer.publishes)
            static_cast<Subscriber&>(peer).checker.feed(span, now, report_.counts, latency);
        },
        [] {});
    if (measuring_) report_.deliveries += report_.counts.deliveries - before;
    if (peer.body.failed()) return close_peer(peer, "its body is damaged");
    if (!peer.body.done()) return;
    if (peer.publishes)
      on_answer(static_cast<Publisher&>(peer));
    else
      close_peer(peer, "its body has ended");
  }

  // --- the end ---

  bool all_has_come() const {
    const bool answered = std::ranges::all_of(publishers_, [](const Publisher& publisher) {
      return publisher.asked_ns == 0 || publisher.state == State::kClosed;
    });
    return answered && missing() == 0;
  }

  uint64_t missing() const {
    uint64_t seen = 0;
    for (const Subscriber& subscriber : subscribers_) seen += subscriber.checker.seen();
    const uint64_t wanted = sent_ * (options_.subscribers + options_.groups);
    return wanted - std::min(wanted, seen);
  }

  const Options options_;
  Address address_;
  int epoll_ = -1;
  PublishTimes times_;
  std::deque<Subscriber> subscribers_;
  std::deque<Publisher> publishers_;
  size_t open_ = 0;
  uint64_t begun_ns_ = 0;  // publishing; 0: it has not
  uint64_t next_due_ = 0;
  size_t behind_ = 0;
  uint64_t sent_ = 0;
  bool measuring_ = false;
  bool ending_ = false;
  std::string request_;
  std::array<char, kEventBytesMax> event_{};
  std::unique_ptr<char[]> buffer_ = std::make_unique<char[]>(kReadBytes);
  std::string why_closed_;  // the first one
  Report report_;
};

void print_times(const char* name, const Histogram& times, std::FILE* out) {
  (void)std::fprintf(out,
                     "  \"%s_ns\": {\"count\": %" PRIu64 ", \"mean\": %.0f, \"p50\": %" PRIu64
                     ", \"p99\": %" PRIu64 ", \"p999\": %" PRIu64 ", \"max\": %" PRIu64 "},\n",
                     name, times.count(), times.mean(), times.quantile(0.5), times.quantile(0.99),
                     times.quantile(0.999), times.max());
}

void print_report(const Report& report, std::FILE* out) {
  const double seconds =
      static_cast<double>(report.measured_until_ns - report.measured_from_ns) / 1e9;
  const auto field = [&](const char* name, uint64_t value) {
    (void)std::fprintf(out, "  \"%s\": %" PRIu64 ",\n", name, value);
  };
  (void)std::fprintf(out, "{\n  \"measured_s\": %.3f,\n", seconds);
  (void)std::fprintf(out, "  \"publishes_per_s\": %.1f,\n  \"deliveries_per_s\": %.1f,\n",
                     static_cast<double>(report.published) / seconds,
                     static_cast<double>(report.deliveries) / seconds);
  field("published", report.published_in_all);
  field("deliveries", report.counts.deliveries);
  field("lost", report.counts.lost);
  field("repeated", report.counts.repeated);
  field("bad", report.counts.bad);
  field("missing", report.missing);
  field("refused", report.refused);
  field("closed", report.closed);
  field("behind_max", report.behind_max);
  print_times("latency", report.latency, out);
  print_times("answer", report.answer, out);
  (void)std::fprintf(out, "  \"passed\": %s\n}\n", report.passed() ? "true" : "false");
}

Options read_options(int argc, char** argv) {
  Options options;
  Flags flags(kUsage);
  flags.text("--connect", &options.connect);
  flags.text("--subscribe", &options.subscribe);
  flags.number("--subscribers", &options.subscribers);
  flags.number("--groups", &options.groups);
  flags.number("--members", &options.members);
  flags.text("--publish", &options.publish);
  flags.number("--publishers", &options.publishers);
  flags.number("--streams", &options.streams);
  flags.number("--rate", &options.rate);
  flags.number("--size", &options.size);
  flags.toggle("--pokes", &options.pokes);
  flags.number("--ramp", &options.ramp);
  flags.duration("--settle", &options.settle_ns);
  flags.duration("--warmup", &options.warmup_ns);
  flags.duration("--duration", &options.duration_ns);
  flags.duration("--drain", &options.drain_ns);
  flags.text("--json", &options.json);
  flags.parse(argc, argv);
  for (const auto& [name, value] : {std::pair{"--connect", &options.connect},
                                    {"--subscribe", &options.subscribe},
                                    {"--publish", &options.publish}})
    if (value->empty()) flags.fail("a flag is missing:", name);
  if (options.publishers == 0 || options.streams < options.publishers)
    flags.fail("bad value for", "--publishers: at least 1, and a stream for each");
  if (options.size < kEventBytesMin || options.size > kEventBytesMax)
    flags.fail("bad value for", "--size");
  // Sequence numbers are those of one stream.
  if (!options.pokes && options.streams > 1)
    flags.fail("bad value for", "--streams: needs --pokes");
  return options;
}

int run(int argc, char** argv) {
  const Options options = read_options(argc, argv);
  raise_file_limit();
  (void)std::signal(SIGINT, on_signal);
  (void)std::signal(SIGTERM, on_signal);
  auto fanout = std::make_unique<Fanout>(options);
  const Report& report = fanout->run();
  std::FILE* out = options.json.empty() ? stdout : std::fopen(options.json.c_str(), "w");
  if (out == nullptr) die(options.json, errno);
  print_report(report, out);
  if (std::fflush(out) != 0) die(options.json, errno);
  return report.passed() ? 0 : 1;
}

}  // namespace
}  // namespace sluice::perf

int main(int argc, char** argv) {
  return sluice::perf::run(argc, argv);
}

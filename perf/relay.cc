// A raw TCP relay on io_uring: the floor under every proxy of perf/compare. One thread, one ring;
// each client gets an upstream connection of its own and bytes go across unseen, with what any
// fast proxy would use: multishot accept and recv, a shared ring of provided buffers, one gathered
// send in flight per direction, one kernel entry a turn. No HTTP, no time-outs, no metrics.
//
// Memory is bounded: a direction that has kWaitingBytesMax waiting behind its send stops its recv,
// and what waits is copied out of the shared buffers where these get scarce.

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <utility>
#include <vector>

#include <liburing.h>

#include "perf/flags.h"
#include "perf/socket.h"

namespace sluice::perf {
namespace {

constexpr char kUsage[] =
    "usage: relay --upstream ADDRESS [--listen ADDRESS] [--buffers N]\n"
    "\n"
    "Relays each TCP connection to a connection of its own to the upstream, bytes unseen.\n"
    "\n"
    "  --listen ADDRESS    127.0.0.1:8080 (default; port 0: any)\n"
    "  --upstream ADDRESS  127.0.0.1:9000 (default) or unix:/path\n"
    "  --buffers N         of 4 KiB, shared by all connections; a power of two (default 2048)\n";

constexpr size_t kBufferBytes = 4096;
constexpr size_t kPiecesMax = 8;                // of one send
constexpr size_t kWaitingBytesMax = 64 * 1024;  // of one direction, besides its send in flight
constexpr size_t kResumeBytes = kWaitingBytesMax / 2;
constexpr unsigned kRingEntries = 4096;
constexpr uint16_t kBufferGroup = 0;

enum class Op : uint64_t { kAccept, kConnect, kRecv, kSend, kCancel };
constexpr uint64_t kOpMask = 7;  // the low bits of a Direction's address, free for the Op

// Received bytes: in a buffer of the shared ring, or copied out of it.
struct Piece {
  const char* data;
  size_t size;
  int buffer;  // kNone: the bytes are in `copy`
  std::unique_ptr<char[]> copy;

  static constexpr int kNone = -1;
};

struct Pair;

struct alignas(kOpMask + 1) Direction {
  Pair* pair = nullptr;
  int from = -1;
  int to = -1;
  bool receiving = false;  // a recv is armed
  bool stopping = false;   // and was asked to end
  bool starved = false;    // it ended because the shared buffers had run out
  bool ended = false;      // the sender has sent everything
  bool shut = false;       // and the receiver was told
  bool touched = false;    // is in the list for the end of the turn
  size_t waiting_bytes = 0;
  std::vector<Piece> in_flight;
  std::vector<Piece> waiting;
  std::array<iovec, kPiecesMax> iovecs{};
  msghdr message{};
};

// A client and its upstream. Lives until both are done with and no operation names it.
struct Pair {
  Direction up;    // client to upstream
  Direction down;  // upstream to client
  unsigned operations = 0;
  bool failed = false;

  bool done() const { return failed || (up.shut && down.shut); }
};

class Relay {
 public:
  Relay(int listener, const Address& upstream, unsigned buffers)
      : listener_(listener), upstream_(upstream), buffers_(buffers) {
    io_uring_params params{};
    params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                   IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE;
    params.cq_entries = 4 * kRingEntries;
    const int result = io_uring_queue_init_params(kRingEntries, &ring_, &params);
    if (result < 0) die("io_uring_queue_init", -result);
    io_uring_register_ring_fd(&ring_);
    map_buffers();
  }

  [[noreturn]] void run() {
    accept();
    while (true) {
      const int result = io_uring_submit_and_wait(&ring_, 1);
      if (result < 0 && result != -EINTR && result != -EBUSY) die("io_uring_enter", -result);
      unsigned head = 0;
      unsigned count = 0;
      io_uring_cqe* cqe = nullptr;
      io_uring_for_each_cqe(&ring_, head, cqe) {
        on_completion(*cqe);
        ++count;
      }
      io_uring_cq_advance(&ring_, count);
      end_turn();
    }
  }

 private:
  // --- shared buffers ---

  void map_buffers() {
    const auto map = [](size_t size) {
      void* memory =
          mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (memory == MAP_FAILED) die("mmap", errno);
      return memory;
    };
    memory_ = static_cast<char*>(map(buffers_ * kBufferBytes));
    shared_ = static_cast<io_uring_buf_ring*>(map(buffers_ * sizeof(io_uring_buf)));
    io_uring_buf_reg registration{};
    registration.ring_addr = reinterpret_cast<uintptr_t>(shared_);
    registration.ring_entries = buffers_;
    registration.bgid = kBufferGroup;
    const int result = io_uring_register_buf_ring(&ring_, &registration, 0);
    if (result < 0) die("io_uring_register_buf_ring", -result);
    taken_ = buffers_;
    for (unsigned i = 0; i < buffers_; ++i) give_back(static_cast<int>(i));
    publish_buffers();
  }

  char* buffer(int index) const { return memory_ + static_cast<size_t>(index) * kBufferBytes; }

  void give_back(int index) {
    if (index == Piece::kNone) return;
    io_uring_buf_ring_add(shared_, buffer(index), kBufferBytes, static_cast<uint16_t>(index),
                          io_uring_buf_ring_mask(buffers_), returned_++);
    --taken_;
  }

  void publish_buffers() { io_uring_buf_ring_advance(shared_, std::exchange(returned_, 0)); }

  bool scarce() const { return taken_ > buffers_ / 4; }

  // --- submissions ---

  template <typename Prepare>
  void submit(Op op, Direction* direction, Prepare prepare) {
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_);
    if (sqe == nullptr) {
      io_uring_submit(&ring_);
      sqe = io_uring_get_sqe(&ring_);
      if (sqe == nullptr) die("the submission queue is full");
    }
    prepare(sqe);
    io_uring_sqe_set_data64(sqe, name_of(op, direction));
    if (direction != nullptr) ++direction->pair->operations;
  }

  static uint64_t name_of(Op op, Direction* direction) {
    return reinterpret_cast<uintptr_t>(direction) | static_cast<uint64_t>(op);
  }

  void accept() {
    submit(Op::kAccept, nullptr, [&](io_uring_sqe* sqe) {
      io_uring_prep_multishot_accept(sqe, listener_, nullptr, nullptr, SOCK_CLOEXEC);
    });
  }

  void receive(Direction& direction) {
    direction.receiving = true;
    submit(Op::kRecv, &direction, [&](io_uring_sqe* sqe) {
      io_uring_prep_recv_multishot(sqe, direction.from, nullptr, 0, 0);
      sqe->flags |= IOSQE_BUFFER_SELECT;
      sqe->buf_group = kBufferGroup;
    });
  }

  void stop_receiving(Direction& direction) {
    direction.stopping = true;
    submit(Op::kCancel, &direction, [&](io_uring_sqe* sqe) {
      io_uring_prep_cancel64(sqe, name_of(Op::kRecv, &direction), 0);
    });
  }

  // Sends as much of what waits as one operation takes. The kernel retries short sends itself.
  void send_waiting(Direction& direction) {
    const size_t count = std::min(direction.waiting.size(), kPiecesMax);
    const auto end = direction.waiting.begin() + static_cast<ptrdiff_t>(count);
    std::move(direction.waiting.begin(), end, std::back_inserter(direction.in_flight));
    direction.waiting.erase(direction.waiting.begin(), end);
    for (const Piece& piece : direction.in_flight) direction.waiting_bytes -= piece.size;
    send_in_flight(direction);
  }

  void send_in_flight(Direction& direction) {
    constexpr int kFlags = MSG_NOSIGNAL | MSG_WAITALL;
    submit(Op::kSend, &direction, [&](io_uring_sqe* sqe) {
      const std::vector<Piece>& pieces = direction.in_flight;
      if (pieces.size() == 1) {
        return io_uring_prep_send(sqe, direction.to, pieces[0].data, pieces[0].size, kFlags);
      }
      for (size_t i = 0; i < pieces.size(); ++i) {
        direction.iovecs[i] = {const_cast<char*>(pieces[i].data), pieces[i].size};
      }
      direction.message.msg_iov = direction.iovecs.data();
      direction.message.msg_iovlen = pieces.size();
      io_uring_prep_sendmsg(sqe, direction.to, &direction.message, kFlags);
    });
  }

  // --- completions ---

  void on_completion(const io_uring_cqe& cqe) {
    const auto op = static_cast<Op>(cqe.user_data & kOpMask);
    auto* direction = reinterpret_cast<Direction*>(cqe.user_data & ~kOpMask);
    const bool more = (cqe.flags & IORING_CQE_F_MORE) != 0;
    if (op == Op::kAccept) return on_accepted(cqe.res, more);
    if (!more) --direction->pair->operations;
    switch (op) {
      case Op::kConnect:
        on_connected(*direction, cqe.res);
        break;
      case Op::kRecv:
        on_received(*direction, cqe, more);
        break;
      case Op::kSend:
        on_sent(*direction, cqe.res);
        break;
      case Op::kAccept:
      case Op::kCancel:
        break;
    }
    touch(*direction);
  }

  void on_accepted(int client, bool more) {
    if (!more) accept();
    if (client == -ECONNABORTED) return;
    if (client < 0) die("accept", -client);
    const int upstream = open_stream_socket(upstream_.storage.ss_family);
    if (upstream < 0) die("socket", errno);
    set_no_delay(client);
    auto* pair = new Pair;  // deleted by bury_if_done()
    pair->up.pair = pair;
    pair->up.from = client;
    pair->up.to = upstream;
    pair->down.pair = pair;
    pair->down.from = upstream;
    pair->down.to = client;
    submit(Op::kConnect, &pair->down, [&](io_uring_sqe* sqe) {
      io_uring_prep_connect(sqe, upstream, upstream_.sa(), upstream_.size);
    });
  }

  void on_connected(Direction& direction, int result) {
    if (result < 0) return fail(*direction.pair);
    touch(direction.pair->up);
  }

  void on_received(Direction& direction, const io_uring_cqe& cqe, bool more) {
    if (!more) direction.receiving = direction.stopping = false;
    if ((cqe.flags & IORING_CQE_F_BUFFER) != 0) {
      ++taken_;
      const int index = static_cast<int>(cqe.flags >> IORING_CQE_BUFFER_SHIFT);
      if (cqe.res <= 0 || direction.pair->failed) {
        give_back(index);
      } else {
        const auto size = static_cast<size_t>(cqe.res);
        direction.waiting.push_back({buffer(index), size, index, nullptr});
        direction.waiting_bytes += size;
      }
    }
    if (cqe.res == 0) {
      direction.ended = true;
    } else if (cqe.res == -ENOBUFS) {
      direction.starved = true;
      ++direction.pair->operations;  // it is named in the list
      starved_.push_back(&direction);
    } else if (cqe.res < 0 && cqe.res != -ECANCELED) {
      fail(*direction.pair);
    }
  }

  void on_sent(Direction& direction, int result) {
    auto left = static_cast<size_t>(std::max(result, 0));
    std::vector<Piece>& pieces = direction.in_flight;
    size_t sent = 0;
    while (sent < pieces.size() && (left >= pieces[sent].size || result < 0)) {
      left -= std::min(left, pieces[sent].size);
      give_back(pieces[sent++].buffer);
    }
    pieces.erase(pieces.begin(), pieces.begin() + static_cast<ptrdiff_t>(sent));
    if (result < 0) return fail(*direction.pair);
    if (pieces.empty()) return;
    pieces[0].data += left;
    pieces[0].size -= left;
    send_in_flight(direction);
  }

  // Ends both sockets, which ends every operation on them.
  static void fail(Pair& pair) {
    if (pair.failed) return;
    pair.failed = true;
    shutdown(pair.up.from, SHUT_RDWR);
    shutdown(pair.up.to, SHUT_RDWR);
  }

  // --- the end of a turn ---

  void touch(Direction& direction) {
    if (std::exchange(direction.touched, true)) return;
    touched_.push_back(&direction);
  }

  void end_turn() {
    settle_touched();
    if (returned_ == 0) return;
    publish_buffers();
    if (starved_.empty()) return;
    for (Direction* direction : std::exchange(starved_, {})) {
      direction->starved = false;
      --direction->pair->operations;
      touch(*direction);
    }
    settle_touched();
    publish_buffers();
  }

  void settle_touched() {
    for (size_t i = 0; i < touched_.size(); ++i) {
      Direction& direction = *touched_[i];
      direction.touched = false;
      if (!direction.pair->failed) settle(direction);
      bury_if_done(direction.pair);
    }
    touched_.clear();
  }

  void settle(Direction& direction) {
    if (direction.in_flight.empty() && !direction.waiting.empty()) send_waiting(direction);
    if (direction.ended) {
      if (direction.in_flight.empty() && !std::exchange(direction.shut, true)) {
        shutdown(direction.to, SHUT_WR);
      }
    } else if (direction.receiving) {
      if (direction.waiting_bytes > kWaitingBytesMax && !direction.stopping) {
        stop_receiving(direction);
      }
    } else if (direction.waiting_bytes <= kResumeBytes && !direction.starved) {
      receive(direction);
    }
    if (scarce()) copy_out(direction);
  }

  // Copies what waits behind a send, so that slow readers do not hoard the shared buffers.
  void copy_out(Direction& direction) {
    for (Piece& piece : direction.waiting) {
      if (piece.buffer == Piece::kNone) continue;
      piece.copy = std::make_unique_for_overwrite<char[]>(piece.size);
      std::memcpy(piece.copy.get(), piece.data, piece.size);
      piece.data = piece.copy.get();
      give_back(std::exchange(piece.buffer, Piece::kNone));
    }
  }

  void bury_if_done(Pair* pair) {
    if (!pair->done() || pair->operations > 0 || pair->up.touched || pair->down.touched) return;
    for (const Direction* direction : {&pair->up, &pair->down}) {
      for (const Piece& piece : direction->waiting) give_back(piece.buffer);
    }
    close(pair->up.from);
    close(pair->up.to);
    delete pair;
  }

  int listener_;
  Address upstream_;
  unsigned buffers_;
  io_uring ring_{};
  io_uring_buf_ring* shared_ = nullptr;
  char* memory_ = nullptr;
  unsigned taken_ = 0;  // buffers that hold something of ours
  int returned_ = 0;    // and those to be published to the kernel
  std::vector<Direction*> touched_;
  std::vector<Direction*> starved_;
};

int run(int argc, char** argv) {
  std::string listen_text = "127.0.0.1:8080";
  std::string upstream_text = "127.0.0.1:9000";
  unsigned buffers = 2048;
  Flags flags(kUsage);
  flags.text("--listen", &listen_text);
  flags.text("--upstream", &upstream_text);
  flags.number("--buffers", &buffers);
  flags.parse(argc, argv);
  if (buffers == 0 || buffers > 32768 || (buffers & (buffers - 1)) != 0) {
    flags.fail("not a power of two up to 32768:", "--buffers");
  }
  raise_file_limit();
  Address address = address_of(listen_text);
  if (address.is_unix()) flags.fail("not a TCP address:", listen_text);
  const int listener = listen_on(address);
  std::fprintf(stderr, "relay: listening on %s:%u\n",
               listen_text.substr(0, listen_text.rfind(':')).c_str(), address.port());
  Relay(listener, address_of(upstream_text), buffers).run();
}

}  // namespace
}  // namespace sluice::perf

int main(int argc, char** argv) {
  return sluice::perf::run(argc, argv);
}

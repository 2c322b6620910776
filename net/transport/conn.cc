#include "net/transport/conn.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <utility>

#include "core/check.h"
#include "core/socket.h"
#include "net/base/limits.h"

namespace sluice {

Conn::Conn(Loop& loop, Memory& memory, int fd)
    : loop_(loop),
      memory_(memory),
      fd_(fd),
      index_(loop.attach(this)),
      last_received_ms_(loop.now_ms()),
      timer_(this) {}

Conn::~Conn() {
  SLUICE_CHECK(fd_ < 0);
}

void Conn::connect(const sockaddr* address, socklen_t size) {
  state_ = State::kConnecting;
  connect_in_flight_ = true;
  loop_.ring().connect(fd_, address, size, loop_.begin(index_, OpKind::kConnect));
}

void Conn::close(CloseMode mode) {
  if (state_ == State::kClosing) return;
  state_ = State::kClosing;
  loop_.timers().cancel(timer_);
  if (starved_) recv_pool_->stop_waiting(*this);
  // A shutdown would send a FIN before the reset, which would read as an end in good order.
  if (mode == CloseMode::kReset)
    reset_on_close(fd_);
  else if (loop_.outstanding(index_) > 0)
    shutdown_socket(fd_);  // ends what is in flight
  cancel_all();
  // Not from here, within a handler: the flush phase closes a connection with nothing in flight.
  wake();
}

void Conn::cancel_all() {
  if (recv_in_flight_) cancel(OpKind::kRecv);
  if (send_in_flight_) cancel(OpKind::kSend);
  if (watch_in_flight_) cancel(OpKind::kWatch);
  if (connect_in_flight_) cancel(OpKind::kConnect);
}

void Conn::cancel(OpKind kind) {
  loop_.ring().cancel(loop_.id_of(index_, kind), loop_.begin(index_, OpKind::kCancel));
}

void Conn::cancel_again() {
  cancel_missed_ = false;
  if (state_ == State::kClosing)
    cancel_all();
  else if (send_in_flight_)
    cancel_send();
}

void Conn::finish_close() {
  close_socket(fd_);
  fd_ = -1;
  charge(0);
  loop_.detach(index_);
  on_closed();
  loop_.destroy_later(std::unique_ptr<OpTarget>(this));
}

void Conn::linger(uint64_t most_ms, uint64_t silence_ms) {
  shutdown_sending(fd_);
  if (receive_ended_) {
    close(CloseMode::kOrderly);
    return;
  }
  state_ = State::kLingering;
  linger_until_ms_ = loop_.now_ms() + most_ms;
  linger_silence_ms_ = static_cast<uint32_t>(silence_ms);
  last_received_ms_ = loop_.now_ms();
  loop_.timers().schedule(timer_, loop_.now_ms() + std::min(most_ms, silence_ms));
  wake();
}

void Conn::check_linger() {
  uint64_t due_ms = std::min(linger_until_ms_, waiting_since_ms() + linger_silence_ms_);
  if (loop_.now_ms() >= due_ms)
    close(CloseMode::kOrderly);
  else
    loop_.timers().schedule(timer_, due_ms);
}

void Conn::on_completion(OpKind kind, const Completion& completion) {
  switch (kind) {
    case OpKind::kRecv:
      on_recv(completion);
      break;
    case OpKind::kSend:
      on_send(completion);
      break;
    case OpKind::kConnect:
      connect_in_flight_ = false;
      if (state_ == State::kClosing) break;
      state_ = State::kOpen;
      on_connected(completion.result < 0 ? -completion.result : 0);
      break;
    case OpKind::kWatch:
      watch_in_flight_ = false;
      if (state_ == State::kOpen && completion.result > 0)
        on_hang_up(static_cast<uint32_t>(completion.result));
      break;
    case OpKind::kCancel:
      if (completion.result != -ENOENT) break;
      cancel_missed_ = true;
      wake();
      break;
    case OpKind::kAccept:
    case OpKind::kWake:
      break;
  }
  if (state_ == State::kClosing) wake();
}

void Conn::on_recv(const Completion& completion) {
  // The slot is ours whatever the result (a FIN may come with one), and goes back by itself.
  Lease lease;
  if (completion.has_buffer()) lease = recv_pool_->claim(completion.buffer_id());
  if (!completion.more()) {
    recv_in_flight_ = false;
    wake();  // to arm the next one, where there is credit
  }
  if (state_ == State::kClosing) return;
  int result = completion.result;
  if (result > 0) {
    uint64_t previous_ms = std::exchange(last_received_ms_, loop_.now_ms());
    if (state_ == State::kLingering) return;
    SLUICE_CHECK(lease);  // bytes come in a slot, always
    on_bytes(lease, {lease.data(), static_cast<size_t>(result)}, last_received_ms_ - previous_ms);
  } else if (result == -ENOBUFS) {
    if (!starved_) recv_pool_->wait(*this);
    starved_ = true;
  } else if (result != -ECANCELED && result != -EINTR && result != -EAGAIN) {
    receive_ended_ = true;
    if (state_ == State::kLingering)
      close(CloseMode::kOrderly);
    else
      on_receive_end(-result);
  }
}

void Conn::on_send(const Completion& completion) {
  send_in_flight_ = false;
  if (state_ == State::kClosing) return;
  wake();
  int result = completion.result;
  if (result >= 0) {
    send_progress_ms_ = loop_.now_ms();
    on_sent(static_cast<uint64_t>(result));
  } else if (result != -EINTR && result != -EAGAIN) {
    on_send_error(-result);
  }
}

void Conn::on_flush() {
  if (cancel_missed_ && loop_.outstanding(index_) == in_flight()) cancel_again();
  if (state_ == State::kClosing) {
    if (loop_.outstanding(index_) == 0 && fd_ >= 0) finish_close();
    return;
  }
  if (state_ == State::kConnecting) return;
  if (state_ == State::kOpen) prepare_flush();
  if (state_ == State::kOpen) try_send();
  if (state_ == State::kOpen || state_ == State::kLingering) try_receive();
}

void Conn::try_send() {
  if (send_in_flight_) return;
  if (!has_output()) return;
  std::array<iovec, limits::kSendBatchPieces> pieces;
  size_t count = build_batch(pieces);
  if (count == 0) return;
  send_in_flight_ = true;
  send_progress_ms_ = loop_.now_ms();
  unacknowledged_ = 0;
  loop_.ring().send(fd_, {pieces.data(), count}, batch_ends_sending(),
                    loop_.begin(index_, OpKind::kSend));
}

void Conn::try_receive() {
  if (recv_in_flight_) return;
  uint64_t credit = state_ == State::kLingering ? limits::kLingerReceiveBytes
                    : receive_ended_            ? 0
                                                : receive_credit();
  if (credit > 0 && !starved_) {
    recv_pool_ = &receive_pool();
    // A connection that has waited goes first: a fast peer must not overtake the queue for slots.
    starved_ = recv_pool_->has_waiters() && !slot_granted_;
    if (starved_) recv_pool_->wait(*this);
  }
  slot_granted_ = false;
  if (credit > 0 && !starved_) {
    recv_in_flight_ = true;
    recv_armed_ms_ = loop_.now_ms();
    loop_.ring().recv(fd_, recv_pool_->group(),
                      static_cast<uint32_t>(std::min<uint64_t>(credit, 1U << 30)),
                      loop_.begin(index_, OpKind::kRecv));
  } else if (uint32_t events = watch_events(); events != 0 && !watch_in_flight_) {
    watch_in_flight_ = true;
    loop_.ring().poll(fd_, events, loop_.begin(index_, OpKind::kWatch));
  }
}

bool Conn::send_stalled(uint64_t timeout_ms) {
  if (!send_in_flight_) return false;
  // A slow peer acknowledges bytes long before it makes room for more: that is progress too.
  uint32_t unacknowledged = unacknowledged_bytes(fd_);
  if (unacknowledged < unacknowledged_) send_progress_ms_ = loop_.now_ms();
  unacknowledged_ = unacknowledged;
  return loop_.now_ms() >= send_progress_ms_ + timeout_ms;
}

}  // namespace sluice

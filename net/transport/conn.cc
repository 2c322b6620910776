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

Conn::Conn(Memory& memory, ConnStart start)
    : memory_(memory),
      fd_(start.fd),
      index_(loop().attach(this)),
      wire_(std::move(start.wire)),
      last_received_ms_(loop().now_ms()),
      timer_(this) {
  if (wire_) wire_->belongs_to(loop(), *this);
  if (fd_ < 0)
    state_ = State::kConnecting;
  else if (wire_ && !wire_->ready())
    state_ = State::kGreeting;
}

Conn::~Conn() {
  SLUICE_CHECK(fd_ < 0);
}

void Conn::open(int fd) {
  fd_ = fd;
  state_ = wire_ && !wire_->ready() ? State::kGreeting : State::kOpen;
  wake();
  if (state_ == State::kOpen) on_connected(0);
}

void Conn::close(CloseMode mode) {
  if (closing()) return;
  bool connected = state_ != State::kConnecting;
  state_ = State::kClosing;
  loop().timers().cancel(timer_);
  if (starved_) recv_pool().stop_waiting(*this);
  bool farewell = wire_ && connected && mode == CloseMode::kOrderly && send_farewell();
  if (wire_) wire_->stop_waiting();
  // A shutdown would send a FIN before the reset, which would read as an end in good order.
  if (mode == CloseMode::kReset && fd_ >= 0)
    reset_on_close(fd_);
  else if (!farewell && loop().outstanding(index_) > 0)
    shutdown_socket(fd_);  // ends what is in flight
  cancel_all();
  // Not from here, within a handler: the flush phase closes a connection with nothing in flight.
  wake();
}

// The transform's ending, or what it has to say about bytes that were not valid. Only what the
// socket takes at once: the cancel follows right behind it. False: nothing is on its way.
bool Conn::send_farewell() {
  if (send_in_flight_ || !wire_->idle()) return false;
  wire_->end();
  wire_->seal({}, send_pool());
  std::array<iovec, limits::kSendBatchPieces> pieces;
  size_t count = wire_->fill(pieces);
  if (count == 0) return false;
  send_in_flight_ = true;
  loop().ring().send(fd_, {pieces.data(), count}, /*more=*/true,
                     loop().begin(index_, OpKind::kSend));
  return true;
}

void Conn::cancel_all() {
  if (recv_in_flight_) cancel(OpKind::kRecv);
  if (send_in_flight_) cancel(OpKind::kSend);
  if (watch_in_flight_) cancel(OpKind::kWatch);
}

void Conn::cancel(OpKind kind) {
  loop().ring().cancel(loop().id_of(index_, kind), loop().begin(index_, OpKind::kCancel));
}

void Conn::cancel_again() {
  cancel_missed_ = false;
  if (state_ == State::kClosing || state_ == State::kLeaving)
    cancel_all();
  else if (send_unwanted_ && send_in_flight_)
    cancel_send();
}

void Conn::finish_close() {
  if (fd_ >= 0) close_socket(std::exchange(fd_, -1));
  state_ = State::kClosed;
  charge(0);
  loop().detach(index_);
  on_closed();
  loop().destroy_later(std::unique_ptr<OpTarget>(this));
}

void Conn::leave() {
  state_ = State::kLeaving;
  cancel_all();
  wake();
}

void Conn::finish_leaving() {
  loop().timers().cancel(timer_);
  if (starved_) recv_pool().stop_waiting(*this);
  charge(0);
  state_ = State::kClosed;
  cancel_missed_ = false;
  loop().detach(index_);
  on_left({std::exchange(fd_, -1), std::move(wire_)});
  loop().destroy_later(std::unique_ptr<OpTarget>(this));
}

void Conn::linger(uint64_t most_ms, uint64_t silence_ms) {
  fin_due_ = true;
  if (wire_) {
    wire_->end();
    wire_->drop_unopened();
  }
  state_ = State::kLingering;
  send_fin();
  if (state_ == State::kClosing) return;
  linger_until_ms_ = static_cast<uint32_t>(loop().now_ms() + most_ms);
  linger_silence_ms_ = static_cast<uint16_t>(silence_ms);
  last_received_ms_ = loop().now_ms();
  loop().timers().schedule(timer_, loop().now_ms() + std::min(most_ms, silence_ms));
  wake();
}

void Conn::send_fin() {
  if (wire_ && (send_in_flight_ || wire_->has_output())) return;
  fin_due_ = false;
  shutdown_sending(fd_);
  if (receive_ended_) close(CloseMode::kOrderly);
}

void Conn::check_linger() {
  uint64_t now_ms = loop().now_ms();
  auto left_ms = static_cast<int32_t>(linger_until_ms_ - static_cast<uint32_t>(now_ms));
  uint64_t due_ms = std::min(now_ms + static_cast<uint64_t>(std::max(left_ms, 0)),
                             waiting_since_ms() + linger_silence_ms_);
  if (now_ms >= due_ms)
    close(CloseMode::kOrderly);
  else
    loop().timers().schedule(timer_, due_ms);
}

void Conn::on_completion(OpKind kind, const Completion& completion) {
  switch (kind) {
    case OpKind::kRecv:
      on_recv(completion);
      break;
    case OpKind::kSend:
      on_send(completion);
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
    case OpKind::kConnect:
    case OpKind::kAccept:
    case OpKind::kWake:
      break;
  }
  if (state_ == State::kClosing || state_ == State::kLeaving) wake();
}

void Conn::on_recv(const Completion& completion) {
  // The slot is ours whatever the result (a FIN may come with one), and goes back by itself.
  Lease lease;
  if (completion.has_buffer()) lease = recv_pool().claim(completion.buffer_id());
  if (!completion.more()) {
    recv_in_flight_ = false;
    recv_ended_ms_ = static_cast<uint32_t>(loop().now_ms());
    wake();  // to arm the next one, where there is credit
  }
  if (state_ == State::kClosing) return;
  int result = completion.result;
  if (result > 0) {
    uint64_t previous_ms = std::exchange(last_received_ms_, loop().now_ms());
    if (state_ == State::kLingering) return;
    SLUICE_CHECK(lease);  // bytes come in a slot, always
    std::string_view bytes(lease.data(), static_cast<size_t>(result));
    uint64_t after_ms = last_received_ms_ - previous_ms;
    if (!wire_) {
      on_bytes(lease, bytes, after_ms);
    } else if (!receive_ended_) {
      wire_->received(lease, bytes, recv_pool());
      open_wire(after_ms);
      if (wire_->has_output()) wake();  // it answers
    }
  } else if (result == -ENOBUFS) {
    if (!starved_) recv_pool().wait(*this);
    starved_ = true;
  } else if (result != -ECANCELED && result != -EINTR && result != -EAGAIN) {
    if (wire_ && state_ != State::kLingering) {
      wire_->receive_ended(-result);
      open_wire(0);
      return;
    }
    receive_ended_ = true;
    if (state_ == State::kLingering)
      close(CloseMode::kOrderly);
    else
      on_receive_end(-result);
  }
}

// Hands on what the wire amounts to, as long as the protocol takes it, and then how it has ended.
void Conn::open_wire(uint64_t after_ms) {
  const bool greets = state_ == State::kGreeting && wire_->holds_unopened();
  if (greets && !may_greet()) return;
  if (!recv_in_flight_) choose_recv_pool();
  while (takes_bytes() && wire_->unopened()) {
    Transform::Opened opened = wire_->open(recv_pool());
    switch (opened.kind) {
      case Transform::Opened::Kind::kBytes:
        on_bytes(opened.lease, opened.bytes, std::exchange(after_ms, 0));
        break;
      case Transform::Opened::Kind::kReady:
        state_ = State::kOpen;
        on_connected(0);
        break;
      case Transform::Opened::Kind::kNeedMore:
        break;
      case Transform::Opened::Kind::kEnd:
        end_receiving(0);
        break;
      case Transform::Opened::Kind::kBroken:
        end_receiving(EPROTO);
        break;
    }
  }
  if (greets) on_greeted();
  std::optional<int> end = wire_->receive_end();
  if (takes_bytes() && end) end_receiving(*end == 0 ? kCutShort : *end);
}

void Conn::end_receiving(int error) {
  receive_ended_ = true;
  wire_->drop_unopened();
  if (state_ == State::kGreeting)
    on_connected(error != 0 ? error : kCutShort);
  else
    on_receive_end(error);
}

void Conn::on_send(const Completion& completion) {
  send_in_flight_ = false;
  if (state_ == State::kClosing) return;
  int result = completion.result;
  if (result >= 0) {
    send_progress_ms_ = loop().now_ms();
    if (wire_)
      on_wire_sent(static_cast<uint64_t>(result));
    else
      on_sent(static_cast<uint64_t>(result));
  } else if (result != -EINTR && result != -EAGAIN) {
    if (wire_)
      on_wire_send_error(-result);
    else
      on_send_error(-result);
  }
  if (wire_ || result < 0 || !settled()) wake();
}

void Conn::on_wire_sent(uint64_t bytes) {
  bool carried_plain = wire_->carries_plain();
  uint64_t plain = wire_->sent(bytes);
  if (carried_plain) on_sent(plain);
}

void Conn::on_wire_send_error(int error) {
  wire_->stop_sending();
  if (state_ == State::kGreeting)
    on_connected(error);
  else if (state_ == State::kLingering)
    close(CloseMode::kOrderly);
  else
    on_send_error(error);
}

void Conn::on_flush() {
  if (cancel_missed_ && loop().outstanding(index_) == in_flight()) cancel_again();
  if (state_ == State::kClosing && loop().outstanding(index_) == 0) finish_close();
  if (closing()) return;
  if (state_ == State::kConnecting) return;
  if (wire_ && wire_->unopened() && takes_bytes()) open_wire(0);
  if (state_ == State::kOpen) prepare_flush();
  if (state_ == State::kOpen || (wire_ && sends_own())) try_send();
  if (fin_due_) send_fin();
  if (state_ == State::kOpen || state_ == State::kLingering || state_ == State::kGreeting)
    try_receive();
  if (state_ == State::kLeaving && loop().outstanding(index_) == 0) finish_leaving();
}

void Conn::try_send() {
  if (send_in_flight_) return;
  if (!wire_ && !has_output()) return;
  std::array<iovec, limits::kSendBatchPieces> pieces;
  bool last = false;
  size_t count = wire_ ? seal_batch(pieces, &last) : build_batch(pieces);
  if (count == 0) {
    if (wire_ && wire_->broken()) on_wire_send_error(EPROTO);
    return;
  }
  if (!wire_) last = batch_ends_sending();
  send_in_flight_ = true;
  send_progress_ms_ = loop().now_ms();
  unacknowledged_ = 0;
  loop().ring().send(fd_, {pieces.data(), count}, last, loop().begin(index_, OpKind::kSend));
}

// What is sealed and has not left, else the next batch. What the transform says last goes with it.
size_t Conn::seal_batch(std::span<iovec> pieces, bool* last) {
  if (wire_->idle()) {
    bool plain = state_ == State::kOpen && !wire_->ended() && has_output();
    size_t count = plain ? build_batch(pieces) : 0;
    bool all = wire_->seal(pieces.first(count), send_pool());
    if (all && count > 0 && batch_ends_sending()) {
      wire_->end();
      wire_->seal({}, send_pool());
    }
  }
  *last = wire_->ended();
  return wire_->fill(pieces);
}

uint64_t Conn::bytes_to_receive() {
  if (state_ == State::kLingering) return limits::kLingerReceiveBytes;
  if (receive_ended_) return 0;
  if (state_ != State::kGreeting) return receive_credit();
  return wire_->holds_unopened() ? 0 : limits::kHandshakeReceiveBytes;
}

void Conn::try_receive() {
  if (recv_in_flight_) return;
  uint64_t credit = bytes_to_receive();
  if (credit > 0 && !starved_) {
    choose_recv_pool();
    // A connection that has waited goes first: a fast peer must not overtake the queue for slots.
    starved_ = recv_pool().has_waiters() && !slot_granted_;
    if (starved_) recv_pool().wait(*this);
  }
  slot_granted_ = false;
  if (credit > 0 && !starved_) {
    recv_in_flight_ = true;
    // One that follows another at once goes on listening.
    if (!receive_just_ended()) recv_armed_ms_ = loop().now_ms();
    loop().ring().recv(fd_, recv_pool().group(),
                       static_cast<uint32_t>(std::min<uint64_t>(credit, 1U << 30)),
                       loop().begin(index_, OpKind::kRecv));
  } else if (uint32_t events = watch_events(); events != 0 && !watch_in_flight_) {
    watch_in_flight_ = true;
    loop().ring().poll(fd_, events, loop().begin(index_, OpKind::kWatch));
  }
}

uint64_t Conn::send_still_since_ms() {
  if (!send_in_flight_) return loop().now_ms();
  // A slow peer acknowledges bytes long before it makes room for more: that is progress too.
  uint32_t unacknowledged = unacknowledged_bytes(fd_);
  if (unacknowledged < unacknowledged_) send_progress_ms_ = loop().now_ms();
  unacknowledged_ = unacknowledged;
  return send_progress_ms_;
}

}  // namespace sluice

// One TCP connection on the ring: arming receives with a byte budget, gathering sends, deadlines,
// and closing in the order that io_uring needs. ClientConn and UpstreamConn say what the bytes
// mean. Owned by the gateway, used on its worker's thread; deletes itself (through the loop) when
// it has closed and its last operation has completed.
//
// At most one receive, one send and one watch are in flight. A connection that begins without a
// socket is connecting until it is given one. Work is done once a
// turn, in the flush phase: wake() asks for it. Closing: where anything is in flight, shut the
// socket down and cancel it, wait until nothing is outstanding, close the fd, on_closed(). The
// kernel finds no operation that is on its way from one of its lists to another (a connect to a
// unix socket whose queue is full, on its way to a thread that waits): such a cancel is repeated.
//
// A transform may stand between the socket and the protocol (net/transport/wire_queue.h). What is
// said of bytes below is then said of plain ones; on_connected() comes when its handshake is done.
#pragma once

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <sys/uio.h>

#include "core/loop.h"
#include "core/timer_wheel.h"
#include "net/transport/wire_queue.h"
#include "pool/chain.h"

namespace sluice {

// How a connection ends: in order (FIN after what was sent), or by a reset, where the end of the
// connection would otherwise read as the end of the message.
enum class CloseMode : uint8_t { kOrderly, kReset };

// The error of a receive that ends with a FIN where the transform's own ending is missing: what has
// come may have been cut.
inline constexpr int kCutShort = ECONNABORTED;

class Conn : public OpTarget, public FlushTask, public SlotWaiter, public TimerOwner {
 public:
  ~Conn() override;
  Conn(const Conn&) = delete;
  Conn& operator=(const Conn&) = delete;

  // Asks for on_flush() in this turn: sends what there is, reads where there is credit.
  void wake() { loop().flush_later(*this); }
  void close(CloseMode mode);
  bool closing() const { return state_ >= State::kClosing; }
  bool send_in_flight() const { return send_in_flight_; }
  int fd() const { return fd_; }

  void on_completion(OpKind kind, const Completion& completion) final;
  void on_flush() final;
  void on_slot_available() final {
    starved_ = false;
    slot_granted_ = true;
    wake();
  }

 protected:
  Conn(Memory& memory, ConnStart start);

  // The socket of a connection that began without one is there; on_connected() follows.
  void open(int fd);
  // Gives the socket up, to a connection of another kind: on_left() follows once nothing is in
  // flight. What comes meanwhile goes along unopened.
  void leave();

  // Bytes arrived, in a slot that the lease keeps alive, so long after the ones before.
  virtual void on_bytes(const Lease& lease, std::string_view bytes, uint64_t after_ms) = 0;
  // Nothing more will arrive: 0 for an end in order (a FIN, the transform's ending), else the
  // errno.
  virtual void on_receive_end(int error) = 0;
  virtual void on_connected(int /*error*/) {}
  // What has come for the transform's handshake may be looked at now; else wake() says when.
  virtual bool may_greet() { return true; }
  // It has been looked at.
  virtual void on_greeted() {}
  // So many bytes of the batch under way have left; 0: no more than a part of them, sealed.
  virtual void on_sent(uint64_t bytes) = 0;
  virtual void on_send_error(int error) = 0;
  // Once a send has left: nothing is to be done before more comes to be sent, so that it needs no
  // flush.
  virtual bool settled() { return false; }
  // The peer hung up (poll(2) says how: POLLRDHUP alone is a FIN) while nothing was being received.
  virtual void on_hang_up(uint32_t /*events*/) {}
  // No operation is left and the fd is closed. The object is deleted at the turn's end.
  virtual void on_closed() = 0;
  // In the place of on_closed(), after leave().
  virtual void on_left(ConnStart /*start*/) {}
  // Before sends and receives of a flush.
  virtual void prepare_flush() {}

  // There is something to send: build_batch() describes it.
  virtual bool has_output() = 0;
  // What to send next (a new batch, or the rest of the one under way); the number of pieces, 0
  // where there is nothing. What they point at stays as it is until the send has completed.
  virtual size_t build_batch(std::span<iovec> pieces) = 0;
  // Nothing follows that batch, and the sending side is shut down once it has left.
  virtual bool batch_ends_sending() { return false; }
  // Bytes to receive now; 0 = leave the socket alone.
  virtual uint64_t receive_credit() = 0;
  virtual SlotPool& receive_pool() = 0;
  // Where a transform seals into: such a slot is held until the peer has taken what lies in it.
  virtual SlotPool& send_pool() { return memory_.http_message; }
  // poll(2) events to wait for while nothing is being received; 0 = none.
  virtual uint32_t watch_events() { return 0; }

  // Sends the transform's ending and a FIN, and drops what still arrives until the peer's FIN, but
  // no longer than `most_ms`, and than `silence_ms` without a byte; then closes.
  void linger(uint64_t most_ms, uint64_t silence_ms);
  // For on_timer() while lingering: closes if it is time, and comes back else.
  void check_linger();
  bool lingering() const { return state_ == State::kLingering; }
  bool receive_ended() const { return receive_ended_; }
  // The transform's ending is on its way or has left: no byte follows on this connection.
  bool sending_ended() const { return wire_ && wire_->ended(); }

  // Between the socket and the protocol stands a transform: what the two ends say is secret.
  bool secured() const { return wire_ != nullptr; }
  std::string peer_subject() const { return wire_ ? wire_->peer_subject() : std::string(); }
  // In a word, what was wrong with the peer's side of it, or "".
  const char* transform_failure() const { return wire_ ? wire_->failure() : ""; }

  bool receive_in_flight() const { return recv_in_flight_; }
  // The receive in flight ends, and the next one has the credit that there is by then.
  void renew_receive() {
    if (recv_in_flight_) cancel(OpKind::kRecv);
  }
  // Asks for the end of the send in flight, for good: no other follows.
  void cancel_send() {
    send_unwanted_ = true;
    cancel(OpKind::kSend);
  }
  // Since when the peer has kept us waiting; now, while it is we who do not listen.
  uint64_t waiting_since_ms() const {
    return recv_in_flight_ ? std::max(last_received_ms_, recv_armed_ms_) : loop().now_ms();
  }
  // Since when it has been heard, whatever it said; now, while it is not.
  uint64_t listening_since_ms() const {
    return recv_in_flight_ || receive_just_ended() ? recv_armed_ms_ : loop().now_ms();
  }
  // Since when the send in flight has made no progress; now, where there is none. Progress shows
  // only between two calls.
  uint64_t send_still_since_ms();
  // Accounts for bytes of the peer's that this connection keeps beside the slots, in the place of
  // those before. False: --pool-max has no room for them.
  bool charge(size_t bytes) {
    return memory_.http_message.memory_limit().charge(&charged_, static_cast<uint32_t>(bytes));
  }

  Loop& loop() const { return memory_.loop; }

  Memory& memory_;

 private:
  // kGreeting: connected, and the transform's handshake is not done.
  enum class State : uint8_t {
    kConnecting,
    kGreeting,
    kOpen,
    kLingering,
    kLeaving,
    kClosing,
    kClosed,
  };

  void on_recv(const Completion& completion);
  bool receive_just_ended() const {
    return recv_ended_ms_ == static_cast<uint32_t>(loop().now_ms());
  }
  void on_send(const Completion& completion);
  void try_send();
  size_t seal_batch(std::span<iovec> pieces, bool* last);
  void on_wire_sent(uint64_t bytes);
  void on_wire_send_error(int error);
  void try_receive();
  uint64_t bytes_to_receive();
  bool takes_bytes() const {
    return (state_ == State::kOpen || state_ == State::kGreeting) && !receive_ended_;
  }
  void open_wire(uint64_t after_ms);
  void end_receiving(int error);
  // States in which what the transform has to say leaves, and nothing else.
  bool sends_own() const { return state_ == State::kGreeting || state_ == State::kLingering; }
  void send_fin();
  bool send_farewell();
  void finish_leaving();
  void finish_close();
  void cancel(OpKind kind);
  void cancel_all();
  void cancel_again();
  SlotPool& recv_pool() const {
    return receives_events_ ? memory_.sse_event : memory_.http_message;
  }
  void choose_recv_pool() { receives_events_ = &receive_pool() == &memory_.sse_event; }
  // Without the cancels.
  unsigned in_flight() const { return recv_in_flight_ + send_in_flight_ + watch_in_flight_; }

  // Two connections for every stream: kept small.
  int fd_;
  uint32_t index_;
  State state_ = State::kOpen;
  bool recv_in_flight_ = false;
  bool send_in_flight_ = false;
  bool watch_in_flight_ = false;
  bool cancel_missed_ : 1 = false;  // an operation that may be in flight still
  bool send_unwanted_ : 1 = false;
  bool starved_ : 1 = false;       // waits for a slot
  bool slot_granted_ : 1 = false;  // has waited for one
  bool receive_ended_ : 1 = false;
  bool fin_due_ : 1 = false;          // once the transform's ending has left
  bool receives_events_ : 1 = false;  // the receive in flight, into that class of slots
  uint16_t linger_silence_ms_ = 0;
  uint32_t linger_until_ms_ = 0;  // the low bits
  uint32_t charged_ = 0;
  std::unique_ptr<WireQueue> wire_;  // null: plain
  uint64_t last_received_ms_;
  uint64_t recv_armed_ms_ = 0;
  uint64_t send_progress_ms_ = 0;
  uint32_t unacknowledged_ = 0;
  uint32_t recv_ended_ms_ = 0;  // the low bits

 protected:
  Timer timer_;
};

}  // namespace sluice

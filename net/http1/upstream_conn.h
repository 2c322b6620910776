// A connection to an upstream: carries one request after the other, parses responses, hands body
// bytes to its stream. Between streams it waits in its UpstreamPool, with a receive armed so that
// a close shows at once. Owned by that pool, used on its worker's thread; deletes itself once
// closed.
#pragma once

#include <memory>
#include <string_view>

#include "net/http1/parser.h"
#include "net/http1/writer.h"
#include "net/stream/stream.h"
#include "net/transport/conn.h"
#include "net/transport/connect_race.h"
#include "net/upstream/pool.h"

namespace sluice {

class UpstreamConn final : public Conn, public PooledConn, public ConnectRace::Owner {
 public:
  // Starts to connect.
  explicit UpstreamConn(UpstreamPool& pool, std::unique_ptr<WireQueue> wire = nullptr);
  ~UpstreamConn() override;

  // PooledConn
  bool usable() const override;
  bool is_closing() const override { return closing(); }
  void assign(Stream& stream, bool reused) override;
  void rest(uint64_t until_ms) override;
  void retire() override { close(CloseMode::kOrderly); }
  const Ip& peer() const override { return peer_; }
  uint16_t made_by() const override { return made_by_; }

  // UpstreamHalf
  void request_ready() override { wake(); }
  void read_on() override { wake(); }
  void cancel() override { close(CloseMode::kOrderly); }
  bool receiving() const override { return receive_in_flight(); }

  // ConnectRace::Owner
  void on_race_won(int fd, const Address& to) override;
  void on_race_lost() override;
  void on_address_failed(const Address& address) override { pool_.address_failed(address); }

  // TimerOwner
  void on_timer() override;

 private:
  void on_connected(int error) override;
  void on_bytes(const Lease& lease, std::string_view bytes, uint64_t after_ms) override;
  void on_receive_end(int error) override;
  void on_sent(uint64_t bytes) override;
  void on_send_error(int error) override;
  void on_closed() override;
  void prepare_flush() override;
  bool has_output() override { return stream_ && !sends_no_more_ && stream_->request_has_work(); }
  size_t build_batch(std::span<iovec> pieces) override { return stream_->request()->build(pieces); }
  uint64_t receive_credit() override;
  SlotPool& receive_pool() override;

  void grow();
  void delay_acks_if_quick(uint64_t after_ms);
  const char* tls_reason(int error) const;
  void end_of_bytes(int error);
  int reset_behind_fin() const;
  void finish_response(bool bytes_left_over);
  void lose(Ending ending, const char* reason);

  WorkerContext& context() const { return pool_.context(); }

  UpstreamPool& pool_;
  Http1Parser parser_;
  std::unique_ptr<ConnectRace> race_;  // null: it has a socket
  Stream* stream_ = nullptr;
  std::unique_ptr<Head> head_;
  bool in_message_ : 1 = false;     // the parser is between begin() and kEnd
  bool interim_ : 1 = false;        // the message is a 1xx
  bool head_done_ : 1 = false;      // of the final response
  bool fin_in_doubt_ : 1 = false;   // what read as a FIN may be a reset that the send has heard of
  bool sends_no_more_ : 1 = false;  // a send failed
  bool sent_some_ : 1 = false;      // of this stream's request
  bool asked_to_grow_ : 1 = false;  // the receive buffer
  bool grown_ : 1 = false;          // and it has
  Ip peer_;
  const uint16_t made_by_;
  int reset_heard_ = 0;       // its errno, where that may have cut what was to be received
  uint32_t quick_reads_ = 0;  // that came before a delayed ACK for the one before would have
};

}  // namespace sluice

// An HTTP/1 connection from a client: keep-alive, pipelining, one stream at a time. Parses
// requests, carries the stream's response, notices when the client leaves. Owned by the gateway,
// used on its worker's thread; deletes itself once closed.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "net/http1/body_run.h"
#include "net/http1/parser.h"
#include "net/http1/writer.h"
#include "net/stream/stream.h"
#include "net/stream/streams.h"
#include "net/transport/accepted_conn.h"

namespace sluice {

// Where client connections are kept, and get their streams from.
class ClientKeeper : public AcceptedKeeper {
 public:
  Streams& streams() const { return streams_; }
  // That client speaks HTTP/2: a connection that begins with `start` takes the other's place.
  // `first` has come already.
  virtual void http2_began(AcceptedConn& conn, ConnStart start, std::string_view first) = 0;

 protected:
  explicit ClientKeeper(Streams& streams) : streams_(streams) {}
  ~ClientKeeper() = default;

 private:
  Streams& streams_;
};

class ClientConn final : public AcceptedConn, public ClientHalf {
 public:
  // `first`: what has been read already.
  ClientConn(ClientKeeper& keeper, ConnStart start, std::string_view first = {});
  ~ClientConn() override;

  // AcceptedConn
  void drain() override;
  void shut_down() override;

  // ClientHalf
  void response_ready() override { wake(); }
  void fit_send_buffer() override;
  void request_window_opened() override { wake(); }
  void response_aborted() override { wake(); }
  void drop() override;
  std::string client_ip() override;
  bool client_trusted() override;
  bool client_secured() const override { return secured(); }
  uint16_t https_port() const override { return redirect_port(); }
  std::string client_subject() const override { return peer_subject(); }
  const ResponseWriter& writer() const override { return http1_response_writer(http10_ ? 0 : 1); }
  std::string_view protocol() const override { return http10_ ? "HTTP/1.0" : "HTTP/1.1"; }

  // TimerOwner
  void on_timer() override;

 private:
  // What of a route's settings lasts beyond its request, for the socket and the next head: of the
  // latest request's, at first of the default route. Copied, since that route's configuration may
  // be gone by then.
  struct RouteTraits {
    static RouteTraits of(const StreamSettings& settings);

    uint32_t header_timeout_ms;
    uint32_t keepalive_timeout_ms;
    uint32_t tcp_keepalive_ms;
    uint32_t sndbuf;
    uint32_t notsent_lowat;
  };

  enum class State : uint8_t {
    kIdle,        // between requests
    kHead,        // a request's head is arriving
    kBody,        // and its body
    kResponding,  // the request is complete, its response is not
    kRefused,     // nothing more is read: the request was not valid
    kLeaving,     // for HTTP/2
  };

  // A request, from its first byte to its last.
  struct Arriving {
    explicit Arriving(WorkerContext& context);

    Http1Parser parser;
    std::unique_ptr<Head> head;  // null: it is complete
  };
  // Requests that have come before their turn.
  struct ReadAhead {
    std::string bytes;
    size_t used = 0;

    std::string_view rest() const { return std::string_view(bytes).substr(used); }
  };

  void on_bytes(const Lease& lease, std::string_view bytes, uint64_t after_ms) override;
  void on_receive_end(int error) override;
  void on_sent(uint64_t bytes) override;
  void on_send_error(int error) override;
  bool settled() override;
  void on_hang_up(uint32_t events) override;
  void on_closed() override;
  void on_handed_over(ConnStart start) override;
  void prepare_flush() override;
  bool has_output() override { return stream_ && stream_->response().has_work(); }
  size_t build_batch(std::span<iovec> pieces) override { return stream_->response().build(pieces); }
  bool batch_ends_sending() override { return stream_->response().batch_is_last() && !reusable(); }
  uint64_t receive_credit() override;
  SlotPool& receive_pool() override;
  SlotPool& send_pool() override;
  uint32_t watch_events() override;

  Head* arriving_head() const { return arriving_ ? arriving_->head.get() : nullptr; }
  void release_head();
  bool reads_requests() const;
  bool reusable() const;
  size_t feed(const Lease& lease, std::string_view bytes, BodyRun body);
  void feed_ahead();
  void read_ahead(std::string_view bytes);
  bool may_become_http2() const;
  void become_http2();
  void account();
  void on_step(Http1Parser::Event event);
  void apply_route(const StreamSettings& settings);
  void refuse_bytes();
  void stop_reading();
  void refuse_late(Refusal refusal);
  void check_client();
  void finish_response();
  bool abort_due() const;
  void finish_aborted();
  void linger_after_response();
  void client_gone(Ending ending);
  void schedule(uint64_t deadline_ms);

  WorkerContext& context() const { return keeper_.streams().context(); }

  ClientKeeper& keeper_;
  Stream* stream_ = nullptr;
  State state_ = State::kIdle;
  bool served_ : 1 = false;      // has answered a request before
  bool lost_ahead_ : 1 = false;  // there was no room for what was read ahead
  bool http10_ : 1 = false;      // the request that is being answered came in HTTP/1.0
  bool grown_ : 1 = false;       // the send buffer, for a fast stream
  RouteTraits route_;
  uint64_t state_since_ms_;
  // A stream that is being answered has neither.
  std::unique_ptr<Arriving> arriving_;
  std::unique_ptr<ReadAhead> ahead_;
};

}  // namespace sluice

// One client of a Httpd: its socket, its parser, its unsent bytes and the state of its one
// exchange. Owned by the server's loop and used on its thread only. It decides what HTTP/1.1 asks
// of a connection; the loop decides when (readiness, timers, routes). A socket error or a broken
// bound makes it dead. The loop then destroys it; nothing else closes the socket.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "net/http/head.h"
#include "net/http1/parser.h"
#include "net/httpd/httpd.h"

namespace sluice {

class HttpdConnection {
 public:
  // The peer's next duty; each has its time-out.
  enum class Wait : uint8_t { kNothing, kFirstByte, kNextRequest, kHead, kBody, kRead, kClose };

  HttpdConnection(uint64_t id, int fd, const HttpdLimits& limits);
  ~HttpdConnection();
  HttpdConnection(const HttpdConnection&) = delete;
  HttpdConnection& operator=(const HttpdConnection&) = delete;

  uint64_t id() const { return id_; }
  int fd() const { return fd_; }
  bool dead() const { return state_ == State::kDead; }
  void kill() { state_ = State::kDead; }

  // Readiness: the events to ask epoll for, and those that it reports.
  uint32_t epoll_interest() const;
  void on_readiness(uint32_t events);
  void flush();
  // After flush() and next_request(): takes the due steps towards the close.
  void close_if_done();

  size_t unsent() const { return out_.size() - out_begin_; }

  Wait wait() const;
  uint64_t wait_ms() const;
  // True once each time that the peer has sent body bytes or taken ours.
  bool take_progress();
  void on_wait_over();

  // True: a whole request has arrived and nothing is unsent, so an exchange is open. If the bytes
  // are no request, it answers and closes by itself.
  bool next_request();
  HttpdRequest request() const;
  // Numbers the exchanges of this connection, from 1.
  uint64_t exchange() const { return exchange_; }
  bool exchange_open() const { return state_ == State::kAnswering; }

  // The answer, while the exchange is open; see HttpdResponder.
  void respond(int status, std::string_view content_type, std::string_view body,
               const HttpdResponder::Fields& fields);
  void begin_stream(std::string_view content_type, const HttpdResponder::Fields& fields);
  void write(std::string_view bytes);
  void end();
  void abort();
  bool stream_paused() const { return unsent() > limits_.stream_pause_bytes; }

 private:
  enum class State : uint8_t {
    kReceiving,  // a request, or nothing yet
    kAnswering,  // the handler has the request: the exchange is open
    kClosing,    // no further request; unsent bytes are left
    kLingering,  // all sent and shut down; input is discarded until the peer closes (RFC 9112 9.6)
    kDead,
  };
  struct Body final : BodySink {
    explicit Body(size_t max) : bytes_max(max) {}
    void on_body(std::string_view more) override;
    std::string bytes;
    size_t bytes_max;
    bool too_large = false;
    bool progress = false;
  };

  void receive();
  bool on_head();
  void refuse(int status, std::string_view detail);
  void write_head(int status, std::string_view content_type, std::string_view framing,
                  const HttpdResponder::Fields& fields);
  void finish_exchange();

  const uint64_t id_;
  const int fd_;
  const HttpdLimits& limits_;
  State state_ = State::kReceiving;
  uint64_t exchange_ = 0;
  Head head_;
  Http1Parser parser_;
  Body body_;
  std::string in_;
  std::string out_;
  size_t out_begin_ = 0;
  bool in_body_ = false;
  bool peer_closed_ = false;
  bool keep_alive_ = false;
  bool head_only_ = false;
  bool chunked_ = false;
  bool streaming_ = false;
  bool sent_some_ = false;
};

}  // namespace sluice

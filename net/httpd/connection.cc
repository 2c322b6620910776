#include "net/httpd/connection.h"

#include <cerrno>
#include <cstdio>
#include <ctime>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/check.h"
#include "core/clock.h"
#include "net/http/date.h"
#include "net/http/problem.h"
#include "net/http/status.h"
#include "net/http/target.h"

namespace sluice {
namespace {

constexpr size_t kReceiveBytes = 32 * 1024;
constexpr std::string_view kLastChunk = "0\r\n\r\n";

std::string hex(size_t value) {
  char text[20];
  return {text, static_cast<size_t>(std::snprintf(text, sizeof text, "%zx", value))};
}

bool has_no_body(int status) {
  return status < 200 || status == 204 || status == 304;
}

}  // namespace

HttpdConnection::HttpdConnection(uint64_t id, int fd, const HttpdLimits& limits)
    : id_(id),
      fd_(fd),
      limits_(limits),
      parser_(Http1Parser::Role::kRequest, {.head_bytes_max = limits.head_bytes_max}),
      body_(limits.body_bytes_max) {
  parser_.begin(&head_);
}

HttpdConnection::~HttpdConnection() {
  ::close(fd_);
}

void HttpdConnection::Body::on_body(std::string_view more) {
  progress = true;
  too_large = too_large || more.size() > bytes_max - bytes.size();
  if (!too_large) bytes.append(more);
}

// --- readiness

uint32_t HttpdConnection::epoll_interest() const {
  uint32_t events = unsent() > 0 ? static_cast<uint32_t>(EPOLLOUT) : 0U;
  if (peer_closed_ || state_ == State::kClosing) return events;
  // While the input is full, only a leaving client matters, and only to an open exchange.
  if (in_.size() < limits_.input_bytes_max) events |= EPOLLIN;
  if (state_ == State::kAnswering || (events & EPOLLIN) != 0) events |= EPOLLRDHUP;
  return events;
}

void HttpdConnection::on_readiness(uint32_t events) {
  if ((events & (EPOLLERR | EPOLLHUP)) != 0) {
    kill();
  } else if (in_.size() < limits_.input_bytes_max) {
    if ((events & (EPOLLIN | EPOLLRDHUP)) != 0) receive();
  } else if ((events & EPOLLRDHUP) != 0) {
    peer_closed_ = true;
  }
}

void HttpdConnection::receive() {
  char bytes[kReceiveBytes];
  ssize_t n = ::recv(fd_, bytes, sizeof bytes, MSG_DONTWAIT);
  if (n == 0) {
    peer_closed_ = true;
  } else if (n < 0) {
    if (errno != EAGAIN && errno != EINTR) kill();
  } else if (state_ == State::kReceiving || state_ == State::kAnswering) {
    in_.append(bytes, static_cast<size_t>(n));
  }
}

void HttpdConnection::flush() {
  while (!dead() && unsent() > 0) {
    ssize_t n = ::send(fd_, out_.data() + out_begin_, unsent(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) kill();
      break;
    }
    out_begin_ += static_cast<size_t>(n);
    sent_some_ = true;
  }
  if (unsent() == 0) {
    if (out_.capacity() > limits_.stream_pause_bytes) out_ = {};
    out_.clear();
    out_begin_ = 0;
  } else if (out_begin_ > out_.size() / 2) {
    out_.erase(0, out_begin_);
    out_begin_ = 0;
  }
}

void HttpdConnection::close_if_done() {
  if (dead()) return;
  if (peer_closed_) {
    // A client that shut down only its sending side looks like one that has gone. Complete answers
    // still go out; an open answer has lost its reader.
    if (state_ == State::kAnswering || unsent() == 0) kill();
  } else if (state_ == State::kClosing && unsent() == 0) {
    ::shutdown(fd_, SHUT_WR);
    state_ = State::kLingering;
  }
}

// --- time-outs

HttpdConnection::Wait HttpdConnection::wait() const {
  if (state_ == State::kLingering) return Wait::kClose;
  if (unsent() > 0) return Wait::kRead;
  if (state_ != State::kReceiving) return Wait::kNothing;
  if (in_body_) return Wait::kBody;
  if (!parser_.idle()) return Wait::kHead;
  return exchange_ == 0 ? Wait::kFirstByte : Wait::kNextRequest;
}

uint64_t HttpdConnection::wait_ms() const {
  switch (wait()) {
    case Wait::kNothing:
      return 0;
    case Wait::kFirstByte:
    case Wait::kHead:
      return limits_.head_timeout_ms;
    case Wait::kNextRequest:
      return limits_.idle_timeout_ms;
    case Wait::kBody:
      return limits_.body_timeout_ms;
    case Wait::kRead:
      return limits_.write_timeout_ms;
    case Wait::kClose:
      return limits_.linger_timeout_ms;
  }
  return 0;
}

bool HttpdConnection::take_progress() {
  bool progress = body_.progress || sent_some_;
  body_.progress = sent_some_ = false;
  return progress;
}

void HttpdConnection::on_wait_over() {
  if (wait() == Wait::kHead || wait() == Wait::kBody) {
    refuse(408, "The request did not arrive in time.");
  } else {
    kill();
  }
}

// --- requests

bool HttpdConnection::next_request() {
  if (state_ != State::kReceiving || unsent() > 0) return false;
  size_t consumed = 0;
  bool go_on = !in_.empty();
  bool complete = false;
  while (go_on) {
    Http1Parser::Step step = parser_.feed(std::string_view(in_).substr(consumed), body_);
    consumed += step.consumed;
    go_on = false;
    if (body_.too_large) {
      refuse(413, "The request body is too large.");
    } else if (step.event == Http1Parser::Event::kHead) {
      go_on = on_head();
    } else if (step.event == Http1Parser::Event::kEnd) {
      complete = true;
    } else if (step.event == Http1Parser::Event::kError) {
      refuse(parse_error_status(parser_.error()),
             std::string("The request was refused: ") + parse_error_name(parser_.error()) + ".");
    }
  }
  in_.erase(0, consumed);
  if (!complete) return false;
  state_ = State::kAnswering;
  ++exchange_;
  head_only_ = head_.method() == "HEAD";
  keep_alive_ = head_.version_minor() == 1 && parser_.keep_alive();
  return true;
}

// False: the request was refused.
bool HttpdConnection::on_head() {
  if (head_.body() == BodyKind::kLength && head_.content_length() > limits_.body_bytes_max) {
    refuse(413, "The request body is too large.");
    return false;
  }
  in_body_ = true;
  bool has_body = head_.body() == BodyKind::kChunked ||
                  (head_.body() == BodyKind::kLength && head_.content_length() > 0);
  if (has_body && head_.version_minor() == 1 && head_.lists_token("expect", "100-continue")) {
    out_.append("HTTP/1.1 100 Continue\r\n\r\n");
  }
  return true;
}

HttpdRequest HttpdConnection::request() const {
  HttpdRequest request{
      .head = head_, .path = target_path(head_.target()), .query = {}, .body = body_.bytes};
  size_t question = head_.target().find('?');
  if (question != std::string_view::npos) request.query = head_.target().substr(question + 1);
  return request;
}

void HttpdConnection::refuse(int status, std::string_view detail) {
  keep_alive_ = head_only_ = false;
  state_ = State::kAnswering;
  respond(status, "application/problem+json", problem_body(status, detail), {});
}

// --- the answer

void HttpdConnection::write_head(int status, std::string_view content_type,
                                 std::string_view framing, const HttpdResponder::Fields& fields) {
  out_.append("HTTP/1.1 ").append(std::to_string(status)).append(" ");
  out_.append(reason_phrase(status))
      .append("\r\nDate: ")
      .append(http_date(wall_clock_ms()))
      .append("\r\n");
  if (!content_type.empty()) out_.append("Content-Type: ").append(content_type).append("\r\n");
  for (const auto& [name, value] : fields) {
    out_.append(name).append(": ").append(value).append("\r\n");
  }
  if (!keep_alive_) out_.append("Connection: close\r\n");
  out_.append(framing).append("\r\n");
}

void HttpdConnection::respond(int status, std::string_view content_type, std::string_view body,
                              const HttpdResponder::Fields& fields) {
  SLUICE_CHECK(exchange_open() && !streaming_);
  std::string framing;
  if (!has_no_body(status)) framing = "Content-Length: " + std::to_string(body.size()) + "\r\n";
  write_head(status, content_type, framing, fields);
  if (!head_only_ && !has_no_body(status)) out_.append(body);
  finish_exchange();
}

void HttpdConnection::begin_stream(std::string_view content_type,
                                   const HttpdResponder::Fields& fields) {
  SLUICE_CHECK(exchange_open() && !streaming_);
  streaming_ = true;
  chunked_ = head_.version_minor() == 1;
  write_head(200, content_type, chunked_ ? "Transfer-Encoding: chunked\r\n" : "", fields);
  if (head_only_) finish_exchange();
}

void HttpdConnection::write(std::string_view bytes) {
  SLUICE_CHECK(exchange_open() && streaming_);
  if (bytes.empty()) return;  // an empty chunk would end the message
  if (unsent() + bytes.size() > limits_.stream_bytes_max) return kill();
  if (chunked_) out_.append(hex(bytes.size())).append("\r\n");
  out_.append(bytes);
  if (chunked_) out_.append("\r\n");
}

void HttpdConnection::end() {
  SLUICE_CHECK(exchange_open() && streaming_);
  if (chunked_) out_.append(kLastChunk);
  finish_exchange();
}

void HttpdConnection::abort() {
  SLUICE_CHECK(exchange_open());
  keep_alive_ = false;
  finish_exchange();
}

void HttpdConnection::finish_exchange() {
  body_.bytes = {};
  in_body_ = streaming_ = false;
  if (!keep_alive_) {
    state_ = State::kClosing;
    in_.clear();
    return;
  }
  state_ = State::kReceiving;
  parser_.begin(&head_);
}

}  // namespace sluice

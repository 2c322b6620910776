// A raw HTTP/1.1 client for the tests of httpd: one blocking loopback socket, every receive bounded
// by a deadline, so that what never comes fails a test instead of hanging it.
#pragma once

#include <arpa/inet.h>
#include <chrono>
#include <functional>
#include <netinet/in.h>
#include <poll.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace sluice {

class HttpdClient {
 public:
  explicit HttpdClient(uint16_t port, int receive_buffer_bytes = 0) {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receive_buffer_bytes > 0) {
      ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof receive_buffer_bytes);
    }
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    EXPECT_EQ(0, ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address));
  }
  ~HttpdClient() { leave(); }
  HttpdClient(const HttpdClient&) = delete;
  HttpdClient& operator=(const HttpdClient&) = delete;

  void leave() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

  void send(std::string_view bytes) {
    while (!bytes.empty()) {
      ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) {
        reset_ = true;
        return;
      }
      bytes.remove_prefix(static_cast<size_t>(n));
    }
  }
  void shut_down_sending() { ::shutdown(fd_, SHUT_WR); }

  // Receives until `text` is in what was received; returns everything up to its end, and keeps the
  // rest for the next call.
  std::string receive_through(std::string_view text) {
    size_t at;
    while ((at = received_.find(text)) == std::string::npos) {
      if (!receive_some()) {
        ADD_FAILURE() << "no \"" << text << "\" in: " << received_;
        return {};
      }
    }
    return take(at + text.size());
  }
  std::string receive_bytes(size_t count) {
    while (received_.size() < count) {
      if (!receive_some()) {
        ADD_FAILURE() << "only " << received_.size() << " of " << count << " bytes";
        return {};
      }
    }
    return take(count);
  }
  // Everything up to the server's close. closed_cleanly() then tells a FIN, with all
  // that was sent taken, from a reset.
  std::string receive_to_close() {
    while (receive_some()) {
    }
    EXPECT_TRUE(closed_) << "the server did not close";
    return take(received_.size());
  }
  bool closed_cleanly() const { return closed_ && !reset_; }

  bool has_input() const {
    pollfd readable{.fd = fd_, .events = POLLIN, .revents = 0};
    return ::poll(&readable, 1, 0) > 0;
  }

  // One response with a Content-Length: head and body.
  std::string receive_response() {
    std::string head = receive_through("\r\n\r\n");
    size_t at = head.find("Content-Length: ");
    size_t length = at == std::string::npos ? 0 : std::stoul(head.substr(at + 16));
    return head + receive_bytes(length);
  }
  // The payload of a chunked body, up to its end or to the server's close; *complete says which.
  std::string receive_chunked(bool* complete) {
    std::string body;
    *complete = false;
    while (true) {
      while (received_.find("\r\n") == std::string::npos) {
        if (!receive_some()) return body;
      }
      size_t size = std::stoul(receive_through("\r\n"), nullptr, 16);
      std::string chunk = receive_bytes(size + 2);
      body += chunk.substr(0, size);
      if (size == 0) {
        *complete = true;
        return body;
      }
    }
  }

 private:
  static constexpr int kDeadlineMs = 20'000;

  bool receive_some() {
    pollfd readable{.fd = fd_, .events = POLLIN, .revents = 0};
    if (closed_ || ::poll(&readable, 1, kDeadlineMs) != 1) return false;
    char bytes[16 * 1024];
    ssize_t n = ::recv(fd_, bytes, sizeof bytes, 0);
    closed_ = n <= 0;
    reset_ = reset_ || n < 0;
    if (n > 0) received_.append(bytes, static_cast<size_t>(n));
    return n > 0;
  }
  std::string take(size_t count) {
    std::string taken = received_.substr(0, count);
    received_.erase(0, count);
    return taken;
  }

  int fd_ = -1;
  bool closed_ = false;
  bool reset_ = false;
  std::string received_;
};

}  // namespace sluice

#include "core/socket.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <fcntl.h>
#include <linux/socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string>
#include <sys/ioctl.h>
#include <unistd.h>
#include <utility>

#include <gtest/gtest.h>

namespace sluice {
namespace {

class Fd {
 public:
  explicit Fd(int fd) : fd_(fd) {}
  ~Fd() {
    if (fd_ >= 0) close_socket(fd_);
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  operator int() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

sockaddr_in loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

int listen_at(uint16_t port, bool first, std::string* error) {
  sockaddr_in address = loopback(port);
  return open_listener(reinterpret_cast<sockaddr*>(&address), sizeof(address), first, error);
}

uint16_t port_of(int fd) {
  sockaddr_storage address{};
  EXPECT_GT(local_address(fd, &address), 0U);
  return ntohs(reinterpret_cast<sockaddr_in*>(&address)->sin_port);
}

int option_of(int fd, int level, int name) {
  int value = -1;
  socklen_t size = sizeof(value);
  EXPECT_EQ(getsockopt(fd, level, name, &value, &size), 0);
  return value;
}

// A connected pair of TCP sockets.
struct TcpPair {
  TcpPair()
      : listener(listen_at(0, true, &error)), client(open_stream_socket(AF_INET)), server(-1) {
    sockaddr_in address = loopback(port_of(listener));
    EXPECT_EQ(connect(client, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    server = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    EXPECT_GE(server, 0);
  }
  ~TcpPair() {
    if (server >= 0) close_socket(server);
  }

  std::string error;
  Fd listener;
  Fd client;
  int server;
};

// Waits for the peer's end: 0 for a FIN, else the errno.
int end_of(int fd) {
  std::array<char, 16> bytes{};
  ssize_t n = recv(fd, bytes.data(), bytes.size(), 0);
  return n < 0 ? errno : static_cast<int>(n);
}

TEST(Listener, TheFirstOfAPortTakesItAndFurtherOnesShareIt) {
  std::string error;
  Fd first(listen_at(0, true, &error));
  ASSERT_GE(first, 0) << error;
  uint16_t port = port_of(first);
  Fd second(listen_at(port, false, &error));
  EXPECT_GE(second, 0) << error;
  EXPECT_EQ(port_of(second), port);
}

// Whoever is in its backlog goes on, whoever begins gets no answer.
TEST(Listener, MayIgnoreNewClients) {
  std::string error;
  Fd listener(listen_at(0, true, &error));
  sockaddr_in address = loopback(port_of(listener));
  Fd waits(open_stream_socket(AF_INET));
  ASSERT_EQ(connect(waits, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ignore_new_clients(listener);
  Fd begins(open_stream_socket(AF_INET));
  fcntl(begins, F_SETFL, O_NONBLOCK);
  EXPECT_EQ(connect(begins, reinterpret_cast<sockaddr*>(&address), sizeof(address)), -1);
  pollfd connected{begins, POLLOUT, 0};
  EXPECT_EQ(poll(&connected, 1, 20), 0);
  Fd server(accept_waiting(listener));
  EXPECT_EQ(accept_waiting(listener), -1);
  char byte = 'x';
  EXPECT_EQ(send(waits, &byte, 1, 0), 1);
  EXPECT_EQ(recv(server, &byte, 1, 0), 1);
}

TEST(Listener, TheFirstOfAPortRefusesOneThatIsTaken) {
  std::string error;
  Fd other(listen_at(0, true, &error));  // would share: it has SO_REUSEPORT
  ASSERT_GE(other, 0) << error;
  EXPECT_EQ(listen_at(port_of(other), true, &error), -1);
  EXPECT_EQ(error, "Address already in use");
}

TEST(Listener, SaysWhatIsWrong) {
  std::string error;
  sockaddr_in address = loopback(0);
  address.sin_addr.s_addr = htonl(0xc0000201);  // 192.0.2.1, of nobody
  EXPECT_EQ(open_listener(reinterpret_cast<sockaddr*>(&address), sizeof(address), true, &error),
            -1);
  EXPECT_EQ(error, "Cannot assign requested address");
}

TEST(Listener, GivesAClientWithItsFirstBytes) {
  std::string error;
  Fd listener(listen_at(0, true, &error));
  ASSERT_GE(listener, 0) << error;
  accept_with_bytes(listener);
  Fd client(open_stream_socket(AF_INET));
  sockaddr_in address = loopback(port_of(listener));
  ASSERT_EQ(connect(client, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  EXPECT_EQ(accept_waiting(listener), -1);
  ASSERT_EQ(send(client, "x", 1, 0), 1);
  Fd server(accept_waiting(listener));
  ASSERT_GE(server, 0);
  EXPECT_FALSE(receive_would_wait(server));
}

TEST(Socket, IsCloseOnExecBlockingAndWithoutDelay) {
  Fd fd(open_stream_socket(AF_INET));
  ASSERT_GE(fd, 0);
  EXPECT_EQ(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
  EXPECT_EQ(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
  EXPECT_EQ(option_of(fd, IPPROTO_TCP, TCP_NODELAY), 1);
}

TEST(Socket, OfAnyOtherFamilyIsMadeToo) {
  Fd fd(open_stream_socket(AF_UNIX));
  ASSERT_GE(fd, 0);
  EXPECT_EQ(option_of(fd, SOL_SOCKET, SO_DOMAIN), AF_UNIX);
}

TEST(Socket, AcknowledgementsMayBeDelayed) {
  TcpPair pair;
  set_no_delay(pair.client);
  EXPECT_NE(option_of(pair.client, IPPROTO_TCP, TCP_QUICKACK), 0);
  delay_acks(pair.client);
  EXPECT_EQ(option_of(pair.client, IPPROTO_TCP, TCP_QUICKACK), 0);
}

TEST(Socket, BuffersAreSetAndZeroLeavesThem) {
  Fd fd(open_stream_socket(AF_INET));
  int receive = option_of(fd, SOL_SOCKET, SO_RCVBUF);
  int send = option_of(fd, SOL_SOCKET, SO_SNDBUF);
  set_receive_buffer(fd, 0);
  set_send_buffer(fd, 0);
  set_unsent_low_water(fd, 0);
  EXPECT_EQ(option_of(fd, SOL_SOCKET, SO_RCVBUF), receive);
  EXPECT_EQ(option_of(fd, SOL_SOCKET, SO_SNDBUF), send);
  set_receive_buffer(fd, 20'000);
  set_send_buffer(fd, 30'000);
  set_unsent_low_water(fd, 16'384);
  EXPECT_EQ(option_of(fd, SOL_SOCKET, SO_RCVBUF), 40'000);  // doubled, as socket(7) says
  EXPECT_EQ(option_of(fd, SOL_SOCKET, SO_SNDBUF), 60'000);
  EXPECT_EQ(option_of(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT), 16'384);
}

int window_scale_of(int fd) {
  tcp_info info{};
  socklen_t size = sizeof(info);
  EXPECT_EQ(getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size), 0);
  return info.tcpi_rcv_wscale;
}

// What arrives that nobody reads, at a socket whose buffer is small as it connects.
size_t unread_by_one_that(bool grows, uint64_t most) {
  std::string error;
  Fd listener(listen_at(0, true, &error));
  Fd receiver(open_stream_socket(AF_INET));
  set_receive_buffer(receiver, 8192);
  let_receive_buffer_grow(receiver, most);
  sockaddr_in address = loopback(port_of(listener));
  EXPECT_EQ(connect(receiver, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  hold_receive_buffer(receiver, most);
  EXPECT_EQ(option_of(receiver, SOL_SOCKET, SO_RCVBUF), 2 * 8192);
  EXPECT_EQ(option_of(receiver, SOL_SOCKET, SO_BUF_LOCK), SOCK_RCVBUF_LOCK);
  EXPECT_EQ(option_of(receiver, IPPROTO_TCP, TCP_WINDOW_CLAMP), static_cast<int>(most));
  EXPECT_EQ(window_scale_of(receiver), std::bit_width(most) - 16) << "no coarser than it takes";
  Fd sender(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
  const std::string much(1 << 20, 'x');
  // By then the kernel knows how large segments are, and may have fitted the clamp to the buffer.
  EXPECT_EQ(send(sender, much.data(), 4000, MSG_DONTWAIT), 4000);
  if (grows) {
    EXPECT_TRUE(grow_receive_buffer(receiver, most));
    EXPECT_GE(option_of(receiver, IPPROTO_TCP, TCP_WINDOW_CLAMP), static_cast<int>(most));
  }
  while (send(sender, much.data(), much.size(), MSG_DONTWAIT) > 0) {
  }
  int unread = 0;
  EXPECT_EQ(ioctl(receiver, FIONREAD, &unread), 0);
  return static_cast<size_t>(unread);
}

// What bounds a window is settled when the connection is made.
TEST(Socket, AReceiveBufferMayBeSmallAtFirstAndGrow) {
  constexpr uint64_t kLarge = 200'000;  // what an unprivileged process may have (rmem_max)
  EXPECT_LE(unread_by_one_that(/*grows=*/false, kLarge), 2 * 8192U);
  EXPECT_GT(unread_by_one_that(/*grows=*/true, kLarge), kLarge * 2 / 3);
}

// As a listener whose configuration changes.
TEST(Socket, ZeroLetsTheKernelSizeTheSendBufferAgain) {
  TcpPair pair;
  auto accepted_has = [&pair] {
    Fd client(open_stream_socket(AF_INET));
    sockaddr_in address = loopback(port_of(pair.listener));
    EXPECT_EQ(connect(client, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    Fd server(accept4(pair.listener, nullptr, nullptr, SOCK_CLOEXEC));
    return option_of(server, SOL_SOCKET, SO_SNDBUF);
  };
  int by_kernel = accepted_has();
  set_receive_buffer(pair.listener, 20'000);
  set_send_buffer(pair.listener, 4'000);
  EXPECT_EQ(accepted_has(), 8'000);
  set_send_buffer(pair.listener, 0);
  EXPECT_EQ(accepted_has(), by_kernel);
  EXPECT_EQ(option_of(pair.listener, SOL_SOCKET, SO_BUF_LOCK), SOCK_RCVBUF_LOCK);
}

TEST(Socket, ADeadPeerIsNoticedWithinTwiceTheTime) {
  Fd fd(open_stream_socket(AF_INET));
  EXPECT_EQ(option_of(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
  for (int seconds : {1, 2, 3, 5, 60, 61, 32'400}) {
    set_keepalive(fd, static_cast<uint64_t>(seconds) * 1000);
    EXPECT_EQ(option_of(fd, SOL_SOCKET, SO_KEEPALIVE), 1);
    EXPECT_EQ(option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE), seconds);
    int probes_s =
        option_of(fd, IPPROTO_TCP, TCP_KEEPINTVL) * option_of(fd, IPPROTO_TCP, TCP_KEEPCNT);
    EXPECT_LE(probes_s, seconds);
    EXPECT_GE(probes_s, seconds * 3 / 4 - 1);
  }
  set_keepalive(fd, 1500);
  EXPECT_EQ(option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE), 2) << "whole seconds";
  set_keepalive(fd, 0);
  EXPECT_EQ(option_of(fd, SOL_SOCKET, SO_KEEPALIVE), 0);
}

TEST(Socket, AnAcceptedOneHasTheListenersKeepalive) {
  TcpPair pair;
  EXPECT_EQ(option_of(pair.server, SOL_SOCKET, SO_KEEPALIVE), 0);
  set_keepalive(pair.listener, 60'000);
  Fd client(open_stream_socket(AF_INET));
  sockaddr_in address = loopback(port_of(pair.listener));
  ASSERT_EQ(connect(client, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  Fd server(accept4(pair.listener, nullptr, nullptr, SOCK_CLOEXEC));
  EXPECT_EQ(option_of(server, SOL_SOCKET, SO_KEEPALIVE), 1);
  EXPECT_EQ(option_of(server, IPPROTO_TCP, TCP_KEEPIDLE), 60);
}

TEST(Socket, KnowsBothAddresses) {
  TcpPair pair;
  sockaddr_storage peer{};
  ASSERT_GT(peer_address(pair.server, &peer), 0U);
  EXPECT_EQ(ntohs(reinterpret_cast<sockaddr_in*>(&peer)->sin_port), port_of(pair.client));
  EXPECT_EQ(peer_address(pair.listener, &peer), 0U);
}

TEST(Socket, EndsInOrderOrByAReset) {
  TcpPair orderly;
  close_socket(std::exchange(orderly.server, -1));
  EXPECT_EQ(end_of(orderly.client), 0);
  TcpPair reset;
  reset_on_close(reset.server);
  close_socket(std::exchange(reset.server, -1));
  EXPECT_EQ(end_of(reset.client), ECONNRESET);
}

TEST(Socket, ShutsDownOneDirectionOrBoth) {
  TcpPair pair;
  shutdown_sending(pair.server);
  EXPECT_EQ(end_of(pair.client), 0);
  ASSERT_EQ(send(pair.client, "x", 1, 0), 1);
  EXPECT_EQ(end_of(pair.server), 1);  // the byte: it still receives
  shutdown_socket(pair.server);
  EXPECT_EQ(end_of(pair.server), 0);
}

TEST(Socket, CountsUnacknowledgedBytes) {
  TcpPair pair;
  EXPECT_EQ(unacknowledged_bytes(pair.server), 0U);
  // More than the peer's buffer takes while it does not read.
  set_send_buffer(pair.server, 1 << 20);
  std::string bytes(size_t{8} << 20, 'x');
  ASSERT_GT(send(pair.server, bytes.data(), bytes.size(), MSG_DONTWAIT), 0);
  EXPECT_GT(unacknowledged_bytes(pair.server), 0U);
}

}  // namespace
}  // namespace sluice

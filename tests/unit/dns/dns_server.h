// A DNS server of a test: on UDP and TCP of one port of this host, it answers each question with
// what a function makes of it, byte by byte if need be.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <poll.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <utility>

#include <gtest/gtest.h>

#include "tests/unit/gateway/net_testing.h"

namespace sluice::test {

enum class DnsType : uint16_t { kA = 1, kCname = 5, kAaaa = 28 };

// RFC 1035 section 4.
class DnsMessage {
 public:
  static constexpr uint16_t kNoError = 0, kServFail = 2, kNxDomain = 3, kRefused = 5;

  struct Question {
    std::string id;  // two bytes
    std::string name;
    DnsType type;
    std::string section;  // as it came
    bool tcp;
  };

  explicit DnsMessage(const Question& question, uint16_t code = kNoError) : question_(question) {
    flags_ = static_cast<uint16_t>(0x8180 | code);
  }
  // Of the name that was asked for, unless told otherwise.
  DnsMessage& add(DnsType type, uint32_t ttl_s, std::string_view data,
                  std::string_view name = "\xc0\x0c") {
    answers_.append(name);
    answers_ += number(static_cast<uint16_t>(type)) + number(1);
    answers_ += number(static_cast<uint16_t>(ttl_s >> 16)) + number(static_cast<uint16_t>(ttl_s));
    answers_ += number(static_cast<uint16_t>(data.size()));
    answers_.append(data);
    ++count_;
    return *this;
  }
  DnsMessage& address(std::string_view text, uint32_t ttl_s = 60) {
    Ip ip = Ip::of(*parse_ip(text));
    bool v4 = text.find(':') == text.npos;
    std::string bytes(ip.bytes.begin() + (v4 ? 12 : 0), ip.bytes.end());
    return add(v4 ? DnsType::kA : DnsType::kAaaa, ttl_s, bytes);
  }
  DnsMessage& truncated() {
    flags_ |= 0x0200;
    return *this;
  }
  std::string bytes() const {
    return question_.id + number(flags_) + number(1) + number(count_) + number(0) + number(0) +
           question_.section + answers_;
  }

  static std::string number(unsigned value) {
    return {static_cast<char>(value >> 8), static_cast<char>(value)};
  }
  static std::string name(std::string_view text) {
    std::string labels;
    while (!text.empty()) {
      size_t dot = std::min(text.find('.'), text.size());
      labels += static_cast<char>(dot);
      labels.append(text.substr(0, dot));
      text.remove_prefix(std::min(dot + 1, text.size()));
    }
    return labels + '\0';
  }

 private:
  Question question_;
  uint16_t flags_;
  uint16_t count_ = 0;
  std::string answers_;
};

class DnsServer {
 public:
  // nullopt: no answer.
  using Answers = std::function<std::optional<std::string>(const DnsMessage::Question&)>;

  explicit DnsServer(Answers answers) : answers_(std::move(answers)) {
    tcp_ = listen_on_loopback(&port_);
    udp_ = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    Address address = loopback(port_);
    EXPECT_EQ(bind(udp_, address.sa(), address.size), 0);
    thread_ = std::thread([this] { serve(); });
  }
  ~DnsServer() {
    stop_ = true;
    thread_.join();
    close(udp_);
    close(tcp_);
  }
  DnsServer(const DnsServer&) = delete;
  DnsServer& operator=(const DnsServer&) = delete;

  Address address() const { return loopback(port_); }
  unsigned asked() const { return asked_; }

 private:
  void serve() {
    while (!stop_) {
      std::array<pollfd, 2> fds{{{udp_, POLLIN, 0}, {tcp_, POLLIN, 0}}};
      if (poll(fds.data(), fds.size(), 20) <= 0) continue;
      std::array<char, 4096> buffer{};
      if ((fds[0].revents & POLLIN) != 0) {
        Address from;
        from.size = sizeof(from.storage);
        ssize_t n = recvfrom(udp_, buffer.data(), buffer.size(), 0, from.sa(), &from.size);
        if (auto answer = answer_to({buffer.data(), static_cast<size_t>(n)}, false))
          sendto(udp_, answer->data(), answer->size(), 0, from.sa(), from.size);
      }
      if ((fds[1].revents & POLLIN) != 0) {
        int fd = accept4(tcp_, nullptr, nullptr, SOCK_CLOEXEC);
        ssize_t n = recv(fd, buffer.data(), buffer.size(), 0);
        // Behind the two bytes of its length.
        if (n > 2) {
          auto answer = answer_to({buffer.data() + 2, static_cast<size_t>(n - 2)}, true);
          std::string all =
              answer ? DnsMessage::number(static_cast<unsigned>(answer->size())) + *answer : "";
          (void)!::send(fd, all.data(), all.size(), MSG_NOSIGNAL);
        }
        close(fd);
      }
    }
  }
  std::optional<std::string> answer_to(std::string_view query, bool tcp) {
    ++asked_;
    constexpr size_t kHead = 12;
    DnsMessage::Question question{
        .id = std::string(query.substr(0, 2)), .name = {}, .type = {}, .section = {}, .tcp = tcp};
    size_t at = kHead;
    while (query[at] != 0) {
      auto size = static_cast<size_t>(query[at]);
      question.name += (question.name.empty() ? "" : ".") + std::string(query.substr(at + 1, size));
      at += 1 + size;
    }
    question.type = static_cast<DnsType>(static_cast<unsigned char>(query[at + 2]));
    question.section = query.substr(kHead, at + 5 - kHead);
    return answers_(question);
  }

  Answers answers_;
  uint16_t port_ = 0;
  int udp_ = -1;
  int tcp_ = -1;
  std::atomic<bool> stop_{false};
  std::atomic<unsigned> asked_{0};
  std::thread thread_;
};

}  // namespace sluice::test

// What tests of lean records share: a client that has the keys and may say anything, and what it
// reads of the answers.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "net/tls/lean_transform.h"
#include "tests/unit/tls/tls_testing.h"

namespace sluice::test {

// Alerts, RFC 8446 section 6.
inline constexpr uint8_t kCloseNotify = 0;
inline constexpr uint8_t kUnexpectedMessage = 10;
inline constexpr uint8_t kBadRecordMac = 20;
inline constexpr uint8_t kRecordOverflow = 22;
inline constexpr uint8_t kIllegalParameter = 47;
inline constexpr uint8_t kDecodeError = 50;
inline constexpr uint8_t kUserCanceled = 90;

using namespace std::string_view_literals;
inline constexpr std::string_view kUpdate = "\x18\0\0\1\0"sv;
inline constexpr std::string_view kUpdateRequested = "\x18\0\0\1\1"sv;

inline std::string text(size_t bytes) {
  std::string text;
  for (size_t i = 0; text.size() < bytes; ++i) text += std::to_string(i) + " ";
  return text.substr(0, bytes);
}

// In order: unlike those of a sum, the parts of a list are said one after the other.
inline std::string join(std::initializer_list<std::string> parts) {
  std::string all;
  for (const std::string& part : parts) all += part;
  return all;
}

inline std::string alert(uint8_t what, char level = 2) {
  return {level, static_cast<char>(what)};
}

// A record that our side says, opened.
struct Said {
  ContentType type;
  std::string content;
};

class LeanTransformTest : public TlsTest, public testing::WithParamInterface<CipherSuite> {
 protected:
  std::vector<uint8_t> secret(uint8_t salt) const {
    bool sha384 = GetParam() == CipherSuite::kAes256Gcm;
    std::vector<uint8_t> bytes(sha384 ? 48 : 32, salt);
    return bytes;
  }
  static std::string hex(const std::vector<uint8_t>& bytes) {
    std::string digits;
    for (uint8_t byte : bytes)
      for (int half : {byte >> 4, byte & 15}) digits += "0123456789abcdef"[half];
    return digits;
  }
  LeanStart start() const {
    auto secrets = std::make_unique<TrafficSecrets>();
    secrets->note("CLIENT_TRAFFIC_SECRET_0 00 " + hex(secret(1)));
    secrets->note("SERVER_TRAFFIC_SECRET_0 00 " + hex(secret(2)));
    return {.suite = GetParam(), .secrets = std::move(secrets)};
  }
  TlsEnd lean(uint64_t records_per_key = kRecordsPerKey) {
    return {make_lean_transform(start(), server_counters_, records_per_key), pool_};
  }

  // What the client says. `inner`: content, type, padding.
  static std::string record_of(RecordKeys& keys, std::string_view inner) {
    std::string record(kRecordHeaderBytes, '\0');
    record += inner;
    record.resize(kRecordHeaderBytes + inner.size() + kTagBytes);
    keys.seal_inner(inner.size(), record.data());
    return record;
  }
  std::string record(ContentType type, std::string_view content, size_t padding = 0) {
    return record_of(client_,
                     std::string(content) + static_cast<char>(type) + std::string(padding, '\0'));
  }
  std::string data(std::string_view content, size_t padding = 0) {
    return record(ContentType::kApplicationData, content, padding);
  }
  std::string handshake(std::string_view message) {
    return record(ContentType::kHandshake, message);
  }
  std::string says(std::string_view message) { return record(ContentType::kAlert, message); }
  // A whole update, with what it does.
  std::string update(std::string_view message = kUpdate) {
    std::string wire = handshake(message);
    client_.update();
    return wire;
  }
  void renew() {
    client_.~RecordKeys();
    new (&client_) RecordKeys(GetParam(), secret(1), 0);
    server_keys_.~RecordKeys();
    new (&server_keys_) RecordKeys(GetParam(), secret(2), 0);
  }

  // What the client reads.
  std::vector<Said> read(std::string wire) {
    std::vector<Said> all;
    for (std::span<char> left(wire); !left.empty();) {
      size_t size = kRecordHeaderBytes +
                    (size_t{static_cast<uint8_t>(left[3])} << 8 | static_cast<uint8_t>(left[4]));
      RecordKeys::Opened opened = server_keys_.open(left.first(size));
      EXPECT_FALSE(opened.wrong);
      all.push_back({opened.type, {opened.content.begin(), opened.content.end()}});
      left = left.subspan(size);
      if (opened.type == ContentType::kHandshake) {
        EXPECT_EQ(all.back().content, kUpdate);
        server_keys_.update();
      }
    }
    return all;
  }
  std::string read_bytes(std::string wire) {
    std::string bytes;
    for (const Said& said : read(std::move(wire))) {
      if (said.type == ContentType::kApplicationData) bytes += said.content;
    }
    return bytes;
  }
  static uint64_t count(const std::vector<Said>& all, ContentType type) {
    return static_cast<uint64_t>(
        std::ranges::count_if(all, [type](const Said& said) { return said.type == type; }));
  }
  uint64_t errors(RecordError error) const {
    return server_counters_.records.errors[static_cast<size_t>(error)];
  }

  // It is over, by that alert, and nothing else was told.
  void expect_refused(TlsEnd& server, uint8_t what, std::string_view why) {
    ASSERT_TRUE(server.broken) << why;
    EXPECT_FALSE(server.ended) << why;
    std::vector<Said> all = read(server.say());
    ASSERT_EQ(all.size(), 1U) << why;
    EXPECT_EQ(all[0].type, ContentType::kAlert) << why;
    EXPECT_EQ(all[0].content, alert(what)) << why;
    EXPECT_EQ(server.say("no more"), "") << why;
    EXPECT_TRUE(server.refused) << why;
    server.transform->end();
    EXPECT_FALSE(server.transform->has_output()) << why;
  }
  // A server of its own that hears these bytes of a client of its own.
  template <typename Make>
  void refuses(uint8_t what, std::string_view why, Make make) {
    renew();
    TlsEnd server = lean();
    uint64_t before = server_counters_.broken;
    server.hear(make());
    expect_refused(server, what, why);
    EXPECT_EQ(server_counters_.broken, before + 1) << why;
    EXPECT_EQ(server.plain, "") << why;
  }

  RecordKeys client_{GetParam(), secret(1), 0};
  RecordKeys server_keys_{GetParam(), secret(2), 0};
};

inline constexpr const char* kSuiteNames[] = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
                                              "TLS_CHACHA20_POLY1305_SHA256"};
inline const char* suite_name(CipherSuite suite) {
  return kSuiteNames[static_cast<size_t>(suite)];
}
inline const auto kAllSuites = testing::Values(CipherSuite::kAes128Gcm, CipherSuite::kAes256Gcm,
                                               CipherSuite::kChaCha20Poly1305);
inline std::string test_name(const testing::TestParamInfo<CipherSuite>& suite) {
  return suite_name(suite.param);
}
}  // namespace sluice::test

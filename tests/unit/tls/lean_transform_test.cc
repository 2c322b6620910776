// Lean records as a transform, rule by rule of RFC 8446: towards a client that has the keys and may
// say anything, and towards OpenSSL.
#include "net/tls/lean_transform.h"

#include <cstring>
#include <malloc.h>

#include "tests/unit/tls/tls_testing.h"

namespace sluice {
namespace {

using test::RawPeer;
using test::TlsEnd;
using test::TlsTest;

// Alerts, RFC 8446 section 6.
constexpr uint8_t kCloseNotify = 0;
constexpr uint8_t kUnexpectedMessage = 10;
constexpr uint8_t kBadRecordMac = 20;
constexpr uint8_t kRecordOverflow = 22;
constexpr uint8_t kIllegalParameter = 47;
constexpr uint8_t kDecodeError = 50;
constexpr uint8_t kUserCanceled = 90;

using namespace std::string_view_literals;
constexpr std::string_view kUpdate = "\x18\0\0\1\0"sv;
constexpr std::string_view kUpdateRequested = "\x18\0\0\1\1"sv;

std::string text(size_t bytes) {
  std::string text;
  for (size_t i = 0; text.size() < bytes; ++i) text += std::to_string(i) + " ";
  return text.substr(0, bytes);
}

// In order: unlike those of a sum, the parts of a list are said one after the other.
std::string join(std::initializer_list<std::string> parts) {
  std::string all;
  for (const std::string& part : parts) all += part;
  return all;
}

std::string alert(uint8_t what, char level = 2) {
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

constexpr const char* kSuiteNames[] = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
                                       "TLS_CHACHA20_POLY1305_SHA256"};
const char* suite_name(CipherSuite suite) {
  return kSuiteNames[static_cast<size_t>(suite)];
}
const auto kAllSuites = testing::Values(CipherSuite::kAes128Gcm, CipherSuite::kAes256Gcm,
                                        CipherSuite::kChaCha20Poly1305);
std::string test_name(const testing::TestParamInfo<CipherSuite>& suite) {
  return suite_name(suite.param);
}
INSTANTIATE_TEST_SUITE_P(Suites, LeanTransformTest, kAllSuites, test_name);

// --- section 5: the record protocol ---

TEST_P(LeanTransformTest, Section5ChangeCipherSpecIsOver) {
  refuses(kUnexpectedMessage, "from outside", [] { return "\x14\3\3\0\1\1"sv; });
  refuses(kUnexpectedMessage, "sealed",
          [this] { return record(ContentType::kChangeCipherSpec, "\1"); });
}

TEST_P(LeanTransformTest, Section5UnknownTypesAreRefused) {
  for (int type : {1, 19, 24, 25, 255}) {
    std::string outside = {static_cast<char>(type), 3, 3, 0, 1, 'x'};
    refuses(kUnexpectedMessage, "from outside", [&] { return outside; });
    refuses(kUnexpectedMessage, "sealed",
            [&] { return record(static_cast<ContentType>(type), "x"); });
  }
}

TEST_P(LeanTransformTest, Section5NothingIsReadUnsealed) {
  refuses(kUnexpectedMessage, "an alert", [] { return "\x15\3\3\0\2\1\0"sv; });
  refuses(kUnexpectedMessage, "a hello", [] { return "\x16\3\1\0\5\1\0\0\1\0"sv; });
  refuses(kUnexpectedMessage, "HTTP", [] { return "GET / HTTP/1.1\r\n\r\n"sv; });
  refuses(kBadRecordMac, "bytes", [] { return "\x17\3\3\0\x14GET / HTTP/1.1\r\n\r\n??"sv; });
}

TEST_P(LeanTransformTest, Section51AMessageMayBeSplitOverRecords) {
  for (size_t first = 1; first < kUpdate.size(); ++first) {
    for (size_t second = first; second < kUpdate.size(); ++second) {
      renew();
      TlsEnd server = lean();
      server.hear(handshake(kUpdate.substr(0, first)));
      if (second > first) server.hear(handshake(kUpdate.substr(first, second - first)));
      server.hear(handshake(kUpdate.substr(second)));
      client_.update();
      server.hear(data("then"));
      ASSERT_EQ(server.plain, "then") << first << ' ' << second;
    }
  }
}

TEST_P(LeanTransformTest, Section51NothingComesBetweenThePartsOfAMessage) {
  for (size_t part = 1; part < kUpdate.size(); ++part) {
    refuses(kUnexpectedMessage, "data", [&] {
      return join({handshake(kUpdate.substr(0, part)), data("x")});
    });
    refuses(kUnexpectedMessage, "an ending", [&] {
      return join({handshake(kUpdate.substr(0, part)), says(alert(kCloseNotify, 1))});
    });
  }
}

TEST_P(LeanTransformTest, Section51AKeyChangeIsTheEndOfItsRecord) {
  refuses(kUnexpectedMessage, "two",
          [&] { return handshake(std::string(kUpdate) + std::string(kUpdate)); });
  refuses(kUnexpectedMessage, "a beginning",
          [&] { return handshake(std::string(kUpdate) + "\x18"); });
  refuses(kUnexpectedMessage, "split before", [&] {
    return join({handshake(kUpdate.substr(0, 2)),
                 handshake(join({std::string(kUpdate.substr(2)), std::string(kUpdate)}))});
  });
}

TEST_P(LeanTransformTest, Section51EmptyHandshakesAndAlertsAreRefused) {
  refuses(kUnexpectedMessage, "handshake", [this] { return handshake(""); });
  refuses(kUnexpectedMessage, "padded", [this] { return record(ContentType::kHandshake, "", 9); });
  refuses(kUnexpectedMessage, "alert", [this] { return says(""); });
}

// Allowed "as they are potentially useful as a traffic analysis countermeasure", and bounded here.
TEST_P(LeanTransformTest, Section51EmptyDataIsAllowedAndBounded) {
  TlsEnd server = lean();
  for (int i = 0; i < 32; ++i) server.hear(data(""));
  server.hear(data("bytes"));
  for (int i = 0; i < 32; ++i) server.hear(data("", 100));
  EXPECT_FALSE(server.broken);
  EXPECT_EQ(server.plain, "bytes");
  server.hear(data(""));
  expect_refused(server, kUnexpectedMessage, "one too many");
  EXPECT_EQ(server_counters_.records.opened[0], 66U);
}

TEST_P(LeanTransformTest, Section51RecordsAreAsLongAsAllowed) {
  TlsEnd server = lean();
  std::string longest = text(16'384);
  server.hear(data(longest));
  EXPECT_TRUE(server.plain == longest);
  // Ours, whatever the slot would hold: large once there has been much.
  std::string wire = server.say(text(70'000), 40'000);
  wire += server.say(text(70'000), 40'000);
  std::string bytes;
  size_t most = 0;
  for (const Said& said : read(wire)) {
    bytes += said.content;
    most = std::max(most, said.content.size());
  }
  EXPECT_EQ(most, 16'384U);
  EXPECT_TRUE(bytes == text(70'000) + text(70'000));
}

TEST_P(LeanTransformTest, Section52TheVersionIsCoveredByTheTag) {
  refuses(kBadRecordMac, "not looked at before", [this] {
    std::string wire = data("x");
    wire[2] = 1;
    return wire;
  });
}

TEST_P(LeanTransformTest, Section52ALongerRecordIsRefusedByItsHeader) {
  refuses(kRecordOverflow, "16,641", [] { return "\x17\3\3\x41\1"sv; });
  refuses(kRecordOverflow, "65,535", [] { return "\x17\3\3\xff\xff"sv; });
  renew();
  TlsEnd server = lean();
  server.hear("\x17\3\3\x41\0"sv);
  EXPECT_FALSE(server.broken) << "16,640 may come";
  EXPECT_EQ(pool_.leased(), 0U);
}

TEST_P(LeanTransformTest, Section52ABadTagIsToldAndNothingElse) {
  for (size_t size : {size_t{0}, size_t{1}, size_t{50}}) {
    for (size_t at = kRecordHeaderBytes; at < size + kSealedOverheadBytes; ++at) {
      refuses(kBadRecordMac, "flipped", [&] {
        std::string wire = data(text(size));
        wire[at] = static_cast<char>(wire[at] ^ 0x40);
        return join({wire, data("more")});
      });
    }
  }
  for (size_t size = 0; size < kTagBytes; ++size) {
    refuses(kBadRecordMac, "no room for a tag", [&] {
      return std::string("\x17\3\3\0"sv) + static_cast<char>(size) + std::string(size, 'x');
    });
  }
  EXPECT_EQ(errors(RecordError::kBadRecordMac), server_counters_.broken);
}

TEST_P(LeanTransformTest, Section53RecordsComeInOrder) {
  refuses(kBadRecordMac, "one is missing", [this] {
    (void)data("missing");
    return data("x");
  });
  renew();
  TlsEnd server = lean();
  std::string wire = data("once");
  server.hear(wire + wire);
  EXPECT_EQ(server.plain, "once");
  expect_refused(server, kBadRecordMac, "again");
}

TEST_P(LeanTransformTest, Section54PaddingIsTakenOff) {
  TlsEnd server = lean();
  for (size_t padding : {1, 2, 15, 16, 1'000}) server.hear(data("abc\0"sv, padding));
  EXPECT_EQ(server.plain, "abc\0abc\0abc\0abc\0abc\0"sv);
  // Content, type and padding together.
  server.hear(data("x", 16'384 - 1));
  EXPECT_EQ(server.plain.back(), 'x');
  EXPECT_FALSE(server.broken);
}

TEST_P(LeanTransformTest, Section54ContentTypeAndPaddingAreBounded) {
  refuses(kRecordOverflow, "content", [this] { return data(text(16'385)); });
  refuses(kRecordOverflow, "padding", [this] { return data("x", 16'384); });
}

TEST_P(LeanTransformTest, Section54ARecordOfZerosHasNoType) {
  refuses(kUnexpectedMessage, "nothing at all", [this] { return record_of(client_, ""); });
  for (size_t size : {1, 2, 100, 16'385})
    refuses(kUnexpectedMessage, "zeros",
            [&] { return record_of(client_, std::string(size, '\0')); });
}

// Section 5.5: the update is sealed under the keys that it ends, so these serve as often as
// allowed.
TEST_P(LeanTransformTest, Section55OurKeysAreRenewedInTime) {
  TlsEnd server = lean(/*records_per_key=*/4);
  std::vector<Said> all;
  for (int i = 0; i < 10; ++i)
    for (const Said& said : read(server.say("event"))) all.push_back(said);
  ASSERT_EQ(all.size(), 13U);
  for (size_t i = 0; i < all.size(); ++i)
    EXPECT_EQ(all[i].type, i % 4 == 3 ? ContentType::kHandshake : ContentType::kApplicationData)
        << i;
  EXPECT_EQ(server_counters_.records.key_updates_sent, 3U);
  EXPECT_FALSE(server.transform->has_output());
}

TEST_P(LeanTransformTest, Section55AndInTheMidstOfABatch) {
  TlsEnd server = lean(/*records_per_key=*/4);
  std::vector<Said> all = read(server.say(text(50'000)));
  EXPECT_GT(count(all, ContentType::kHandshake), 8U);
  std::string bytes;
  for (const Said& said : all)
    if (said.type == ContentType::kApplicationData) bytes += said.content;
  EXPECT_TRUE(bytes == text(50'000));
}

TEST_P(LeanTransformTest, Section55TheLimitIsThatOfAesGcm) {
  LeanStart late = start();
  late.sealed = kRecordsPerKey - 2;
  new (&server_keys_) RecordKeys(GetParam(), secret(2), late.sealed);
  TlsEnd server{make_lean_transform(std::move(late), server_counters_), pool_};
  std::vector<Said> all = read(join({server.say("last"), server.say("first")}));
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0].content, "last");
  EXPECT_EQ(all[1].type, ContentType::kHandshake);
  EXPECT_EQ(all[2].content, "first");
}

// --- section 4.6.3: key updates ---

TEST_P(LeanTransformTest, Section463AnUpdateThatIsNotRequestedIsNotAnswered) {
  TlsEnd server = lean();
  for (int i = 0; i < 3; ++i) {
    server.hear(update());
    EXPECT_FALSE(server.transform->has_output());
    server.hear(data("under the next keys "));
  }
  EXPECT_EQ(server.plain, "under the next keys under the next keys under the next keys ");
  EXPECT_EQ(server_counters_.records.key_updates_received, 3U);
  EXPECT_EQ(read_bytes(server.say("as before")), "as before");
}

TEST_P(LeanTransformTest, Section463ARequestIsAnsweredBeforeTheNextData) {
  TlsEnd server = lean();
  server.hear(update(kUpdateRequested));
  EXPECT_TRUE(server.transform->has_output());
  std::vector<Said> all = read(join({server.say("event"), server.say("another")}));
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0].type, ContentType::kHandshake) << "and does not request one in return";
  EXPECT_EQ(all[1].content + all[2].content, "eventanother");
}

TEST_P(LeanTransformTest, Section463ManyRequestsHaveOneAnswer) {
  TlsEnd server = lean();
  for (int i = 0; i < 20; ++i) server.hear(update(kUpdateRequested));
  std::vector<Said> all = read(server.say("event"));
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].type, ContentType::kHandshake);
  EXPECT_EQ(all[1].content, "event");
}

TEST_P(LeanTransformTest, Section463FormerKeysAreOver) {
  refuses(kBadRecordMac, "sealed under them", [this] {
    std::string wire = handshake(kUpdate);
    return wire + data("x");
  });
}

TEST_P(LeanTransformTest, Section463WhatIsRequestedIsYesOrNo) {
  for (int request : {2, 3, 255}) {
    std::string message = std::string(kUpdate.substr(0, 4)) + static_cast<char>(request);
    refuses(kIllegalParameter, "neither", [&] { return handshake(message); });
  }
}

TEST_P(LeanTransformTest, Section463AnUpdateHasOneByte) {
  for (std::string_view message :
       {"\x18\0\0\0"sv, "\x18\0\0\2\0\0"sv, "\x18\0\1\0"sv, "\x18\1\0\1"sv, "\x18\xff\xff\xff"sv})
    refuses(kDecodeError, "another length", [&] { return handshake(message); });
}

// A stream that only reads may ask once for each 2^24 records that it gets, and for ever.
TEST_P(LeanTransformTest, Section463UpdatesAreBoundedByWhatTheClientGets) {
  TlsEnd server = lean();
  for (int i = 0; i < 100; ++i) {
    server.hear(update(kUpdateRequested));
    (void)read(server.say("event"));
  }
  EXPECT_FALSE(server.broken);
  for (int i = 0; i < 32; ++i) server.hear(update());
  EXPECT_FALSE(server.broken);
  server.hear(update());
  expect_refused(server, kUnexpectedMessage, "for nothing");
}

// --- section 4.6: other messages behind the handshake ---

TEST_P(LeanTransformTest, Section46AClientSaysNothingElse) {
  for (int type = 0; type < 256; ++type) {
    if (type == 24) continue;
    std::string message = {static_cast<char>(type), 0, 0, 1, 0};
    refuses(kUnexpectedMessage, std::to_string(type), [&] { return handshake(message); });
  }
  refuses(kUnexpectedMessage, "a beginning is enough", [this] { return handshake("\1"); });
}

// --- section 6: alerts ---

TEST_P(LeanTransformTest, Section61CloseNotifyIsTheEnd) {
  for (char level : {1, 2, 77}) {
    renew();
    TlsEnd server = lean();
    server.hear(join({data("bytes"), says(alert(kCloseNotify, level)), data("ignored")}));
    EXPECT_TRUE(server.ended);
    EXPECT_EQ(server.plain, "bytes");
    server.ended = false;
    server.hear(data("and again"));
    EXPECT_TRUE(server.ended && server.plain == "bytes");
    // It has ended its direction only.
    EXPECT_EQ(read_bytes(server.say("the rest")), "the rest");
    server.transform->end();
    std::vector<Said> all = read(server.say());
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all[0].content, alert(kCloseNotify, 1));
  }
  EXPECT_EQ(server_counters_.broken, 0U);
}

// A FIN is then a cut (Conn's kCutShort, tests/e2e/test_tls_records.py).
TEST_P(LeanTransformTest, Section61WithoutCloseNotifyThereIsNoEnd) {
  TlsEnd server = lean();
  std::string wire = join({data("bytes"), data("more")});
  server.hear(wire.substr(0, wire.size() - 1));
  EXPECT_EQ(server.plain, "bytes");
  EXPECT_FALSE(server.ended || server.broken);
}

TEST_P(LeanTransformTest, Section61NothingFollowsOurs) {
  TlsEnd server = lean();
  std::string events = server.say("events");
  server.hear(update(kUpdateRequested));
  server.transform->end();
  server.transform->end();
  std::vector<Said> all = read(events + server.say());
  ASSERT_EQ(all.size(), 2U) << "not the answer that was due either";
  EXPECT_EQ(all[1].content, alert(kCloseNotify, 1));
  server.hear(join({data("it may go on"), update(kUpdateRequested), data(" and on")}));
  EXPECT_EQ(server.plain, "it may go on and on");
  EXPECT_FALSE(server.transform->has_output());
  server.hear("\x14\3\3\0\1\1"sv);
  EXPECT_TRUE(server.broken);
  EXPECT_EQ(server.say(), "");
}

TEST_P(LeanTransformTest, Section61UserCanceledWaitsForTheEnd) {
  TlsEnd server = lean();
  server.hear(join({says(alert(kUserCanceled, 1)), says(alert(kUserCanceled, 2))}));
  EXPECT_FALSE(server.ended || server.broken);
  server.hear(says(alert(kCloseNotify, 1)));
  EXPECT_TRUE(server.ended);
  renew();
  TlsEnd patient = lean();
  for (int i = 0; i < 33; ++i) patient.hear(says(alert(kUserCanceled, 1)));
  expect_refused(patient, kUnexpectedMessage, "for ever");
}

TEST_P(LeanTransformTest, Section62AllOthersAreErrorsAndAreNotAnswered) {
  uint64_t broken = 0;
  for (int what = 1; what < 256; ++what) {
    if (what == kUserCanceled) continue;
    renew();
    TlsEnd server = lean();
    server.hear(update(kUpdateRequested));
    server.hear(join({says(alert(static_cast<uint8_t>(what), what % 2 == 0 ? 1 : 2)), data("x")}));
    ASSERT_TRUE(server.broken && !server.ended) << what;
    EXPECT_EQ(server.plain, "");
    EXPECT_FALSE(server.transform->has_output()) << what;
    server.transform->end();
    EXPECT_EQ(server.say("no more"), "");
    EXPECT_STREQ(server.transform->failure(), "alert");
    ++broken;
  }
  EXPECT_EQ(errors(RecordError::kByPeer), broken);
}

TEST_P(LeanTransformTest, Section6AnAlertIsOneWholeRecord) {
  for (std::string_view content : {"\1"sv, "\1\0\0"sv, "\1\0\1\0"sv})
    refuses(kDecodeError, "not two bytes", [&] { return says(content); });
}

// Each direction's keys go when it is over, not only with the connection.
TEST_P(LeanTransformTest, KeysAreWipedAsSoonAsTheyAreOfNoUse) {
  auto holds = [this](const TlsEnd& server, uint8_t salt) {
    const std::vector<uint8_t> bytes = secret(salt);
    void* object = server.transform.get();
    return memmem(object, malloc_usable_size(object), bytes.data(), bytes.size()) != nullptr;
  };
  auto expect_held = [&](const TlsEnd& server, bool clients, bool servers) {
    EXPECT_EQ(holds(server, 1), clients);
    EXPECT_EQ(holds(server, 2), servers);
  };
  TlsEnd ends = lean();
  expect_held(ends, true, true);
  ends.hear(says(alert(kCloseNotify)));
  expect_held(ends, false, true);
  ends.transform->end();
  (void)ends.say();
  expect_held(ends, false, false);

  renew();
  TlsEnd is_told = lean();
  is_told.hear(says(alert(kBadRecordMac)));
  expect_held(is_told, false, false);

  TlsEnd tells = lean();
  tells.hear("nonsense");
  expect_held(tells, false, true);
  (void)tells.say();
  expect_held(tells, false, false);
}

TEST_P(LeanTransformTest, AnErrorIsSaidBehindWhatTheHandshakeSays) {
  LeanStart begun = start();
  begun.said = record_of(server_keys_, "a ticket\x16");
  begun.sealed = 1;
  TlsEnd server{make_lean_transform(std::move(begun), server_counters_), pool_};
  server.hear("nonsense");
  std::string wire = server.say("", 30);
  RecordKeys reads(GetParam(), secret(2), 0);
  size_t ticket = 8 + kSealedOverheadBytes;
  ASSERT_GT(wire.size(), ticket);
  EXPECT_FALSE(reads.open({wire.data(), ticket}).wrong);
  RecordKeys::Opened last = reads.open({wire.data() + ticket, wire.size() - ticket});
  EXPECT_EQ(std::string(last.content.begin(), last.content.end()), alert(kUnexpectedMessage));
}

// --- bytes ---

TEST_P(LeanTransformTest, TheWireMayBeCutAnywhere) {
  auto say_all = [this] {
    renew();
    return join({data(text(100)), handshake(kUpdate.substr(0, 3)), update(kUpdate.substr(3)),
                 data(""), data(text(60), 30), update(kUpdateRequested), data(text(70)),
                 says(alert(kCloseNotify, 1))});
  };
  size_t size = say_all().size();
  auto expect_all = [&](TlsEnd& server, size_t cut) {
    ASSERT_EQ(server.plain, text(100) + text(60) + text(70)) << cut;
    ASSERT_TRUE(server.ended) << cut;
  };
  for (size_t cut = 0; cut <= size; ++cut) {
    std::string wire = say_all();
    TlsEnd server = lean();
    server.hear(wire.substr(0, cut));
    ASSERT_TRUE(cut == size || !server.ended) << cut;
    server.hear(wire.substr(cut));
    expect_all(server, cut);
  }
  for (size_t piece : {1, 2, 3, 7}) {
    std::string wire = say_all();
    TlsEnd server = lean();
    server.hear(wire, piece);
    expect_all(server, piece);
  }
}

TEST_P(LeanTransformTest, OneRecordCanBePutTogetherInTheSmallestRoom) {
  TlsEnd server = lean(/*records_per_key=*/3);
  std::vector<Said> all;
  server.hear(update(kUpdateRequested));
  for (size_t slot : {28, 30, 64, 512}) {
    for (const Said& said : read(server.say(text(200), slot))) all.push_back(said);
    EXPECT_FALSE(server.refused) << slot;
  }
  std::string bytes;
  for (const Said& said : all)
    if (said.type == ContentType::kApplicationData) bytes += said.content;
  EXPECT_EQ(bytes, text(200) + text(200) + text(200) + text(200));
}

TEST_P(LeanTransformTest, ASlotWithoutRoomTakesNothing) {
  TlsEnd server = lean();
  server.hear(update(kUpdateRequested));
  for (size_t slot = 0; slot < kUpdate.size() + kSealedOverheadBytes; ++slot) {
    std::string room(slot, '\0');
    EXPECT_EQ(server.transform->seal({}, room).wire, 0U);
    EXPECT_TRUE(server.transform->has_output());
  }
}

TEST_P(LeanTransformTest, RecordsAreCountedByKind) {
  TlsEnd server = lean();
  server.hear(join({data("a"), data("b"), update(kUpdateRequested)}));
  (void)read(server.say("event"));
  server.hear(says(alert(kCloseNotify)));
  server.transform->end();
  (void)read(server.say());
  const RecordCounters& counters = server_counters_.records;
  EXPECT_EQ(counters.opened, (std::array<uint64_t, kRecordKinds>{2, 1, 1}));
  EXPECT_EQ(counters.sealed, (std::array<uint64_t, kRecordKinds>{1, 1, 1}));
  EXPECT_EQ(counters.connections, 1U);
}

// --- OpenSSL at the other end ---

class LeanWithOpenSsl : public LeanTransformTest {
 protected:
  LeanWithOpenSsl() {
    server_ = server_of({"server"}, /*lean=*/true);
    lean_ = std::make_unique<TlsEnd>(accept_tls(server_, server_counters_), pool_);
    SSL_CTX_set_ciphersuites(peer_.context, suite_name(GetParam()));
  }
  void shake_hands() {
    peer_.begin(false);
    talk(peer_, *lean_);
    ASSERT_TRUE(SSL_is_init_finished(peer_.ssl));
    ASSERT_EQ(server_counters_.records.connections, 1U);
  }

  RawPeer peer_{TLS_client_method()};
  std::unique_ptr<TlsEnd> lean_;
};

INSTANTIATE_TEST_SUITE_P(Suites, LeanWithOpenSsl, kAllSuites, test_name);

TEST_P(LeanWithOpenSsl, BytesPassBothWays) {
  shake_hands();
  for (size_t size : {size_t{1}, size_t{220}, size_t{16'384}, size_t{200'000}}) {
    peer_.plain.clear();
    lean_->plain.clear();
    peer_.hear(lean_->say(text(size)));
    lean_->hear(peer_.say(text(size)));
    EXPECT_TRUE(peer_.plain == text(size)) << size;
    EXPECT_TRUE(lean_->plain == text(size)) << size;
  }
}

TEST_P(LeanWithOpenSsl, WhatComesWithTheFinishedIsNotLost) {
  size_t size = 1;
  for (size_t cut = 0; cut <= size; ++cut) {
    RawPeer client(TLS_client_method());
    SSL_CTX_set_ciphersuites(client.context, suite_name(GetParam()));
    client.begin(false);
    TlsEnd server = accept();
    server.hear(client.say());
    client.hear(server.say());
    std::string wire =
        join({client.say(), client.say("GET / HTTP/1.1\r\n\r\n"), client.say("more")});
    size = wire.size();
    server.hear(wire.substr(0, cut));
    server.hear(wire.substr(cut));
    ASSERT_EQ(server.plain, "GET / HTTP/1.1\r\n\r\nmore") << cut;
    client.hear(server.say("answer"));
    ASSERT_EQ(client.plain, "answer") << cut;
  }
}

TEST_P(LeanWithOpenSsl, TicketsArriveAndServe) {
  shake_hands();
  peer_.hear(lean_->say("x"));
  SSL_SESSION* session = SSL_get1_session(peer_.ssl);
  ASSERT_TRUE(SSL_SESSION_is_resumable(session));
  TlsEnd again = accept();
  SSL_set_shutdown(peer_.ssl, SSL_SENT_SHUTDOWN);
  SSL_free(peer_.ssl);
  peer_.ssl = SSL_new(peer_.context);
  SSL_set_bio(peer_.ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  SSL_set_connect_state(peer_.ssl);
  SSL_set_session(peer_.ssl, session);
  SSL_SESSION_free(session);
  peer_.plain.clear();
  peer_.hear("");
  talk(peer_, again);
  EXPECT_EQ(SSL_session_reused(peer_.ssl), 1);
  EXPECT_EQ(server_counters_.records.connections, 2U);
  again.hear(peer_.say("ping"));
  peer_.hear(again.say("pong"));
  EXPECT_EQ(again.plain + peer_.plain, "pingpong");
}

// However many records the last step of the handshake has sealed.
TEST_P(LeanWithOpenSsl, TheOtherEndOfKeyUpdatesIsOpenSsl) {
  shake_hands();
  for (int i = 0; i < 10; ++i) {
    SSL_key_update(peer_.ssl, i % 2 == 0 ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED);
    lean_->hear(peer_.say("up"), static_cast<size_t>(1 + i * 7));
    peer_.hear(lean_->say("down"));
  }
  EXPECT_EQ(lean_->plain, "upupupupupupupupupup");
  EXPECT_EQ(peer_.plain, "downdowndowndowndowndowndowndowndowndown");
  EXPECT_EQ(server_counters_.records.key_updates_received, 10U);
  EXPECT_EQ(server_counters_.records.key_updates_sent, 5U);
}

// The peer logs its secrets, so that a transform with a lower limit can take over.
TEST_P(LeanWithOpenSsl, OurUpdatesAreReadByOpenSsl) {
  static TrafficSecrets* noted;
  LeanStart from{.suite = GetParam(), .secrets = nullptr, .sealed = 0};
  auto secrets = std::make_unique<TrafficSecrets>();
  noted = secrets.get();
  SSL_CTX_set_keylog_callback(peer_.context,
                              [](const SSL*, const char* line) { noted->note(line); });
  server_ = server_of({"server"});
  TlsEnd server = accept();
  peer_.begin(false);
  talk(peer_, server);
  from.secrets = std::move(secrets);
  from.sealed = 1;  // the ticket
  server.transform = make_lean_transform(std::move(from), server_counters_, 5);
  std::string expected;
  for (int i = 0; i < 50; ++i) {
    peer_.hear(server.say(text(1'000)));
    expected += text(1'000);
  }
  peer_.hear(server.say(text(60'000)));
  EXPECT_TRUE(peer_.plain == expected + text(60'000)) << peer_.plain.size();
  EXPECT_GT(server_counters_.records.key_updates_sent, 20U);
}

TEST_P(LeanWithOpenSsl, PaddingIsTakenOff) {
  shake_hands();
  SSL_set_block_padding(peer_.ssl, 512);
  lean_->hear(join({peer_.say("short"), peer_.say(text(1'000))}));
  EXPECT_EQ(lean_->plain, "short" + text(1'000));
}

TEST_P(LeanWithOpenSsl, EachEndsForItself) {
  shake_hands();
  EXPECT_EQ(SSL_shutdown(peer_.ssl), 0);
  lean_->hear(peer_.say());
  EXPECT_TRUE(lean_->ended);
  peer_.hear(lean_->say("the rest"));
  EXPECT_EQ(peer_.plain, "the rest");
  lean_->transform->end();
  peer_.hear(lean_->say());
  EXPECT_EQ(peer_.error, SSL_ERROR_ZERO_RETURN);
}

TEST_P(LeanWithOpenSsl, OurAlertsAreUnderstood) {
  shake_hands();
  lean_->hear("\x14\3\3\0\1\1"sv);
  peer_.hear(lean_->say());
  EXPECT_EQ(peer_.reason, SSL_R_SSLV3_ALERT_UNEXPECTED_MESSAGE);
}

TEST_P(LeanWithOpenSsl, ItsAlertsAreUnderstood) {
  shake_hands();
  std::string wire = lean_->say("x");
  wire.back() = static_cast<char>(wire.back() ^ 1);
  peer_.hear(wire);
  EXPECT_EQ(peer_.reason, SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC);
  lean_->hear(peer_.say());
  EXPECT_TRUE(lean_->broken);
  EXPECT_EQ(errors(RecordError::kByPeer), 1U);
}

}  // namespace
}  // namespace sluice

// TLS as a transform, against itself and against OpenSSL: the bytes, at every cut, and the endings.
#include "net/tls/tls_transform.h"

#include <array>

#include "tests/unit/tls/tls_testing.h"

namespace sluice {
namespace {

using test::RawPeer;
using test::TlsEnd;
using test::TlsTest;

constexpr size_t kHeader = 5;
constexpr size_t kOverhead13 = 22;

std::string text(size_t bytes) {
  std::string text;
  for (size_t i = 0; text.size() < bytes; ++i) text += std::to_string(i) + " ";
  return text.substr(0, bytes);
}

// OpenSSL's objects of connections that are alive.
int ssl_objects = 0;
void count_made(void*, void*, CRYPTO_EX_DATA*, int, long, void*) {
  ++ssl_objects;
}
void count_freed(void*, void*, CRYPTO_EX_DATA*, int, long, void*) {
  --ssl_objects;
}
const int kCounts = SSL_get_ex_new_index(0, nullptr, count_made, nullptr, count_freed);

// The sizes of a wire's records, without their headers.
std::vector<size_t> records(std::string_view wire) {
  std::vector<size_t> sizes;
  while (wire.size() >= kHeader) {
    size_t size =
        static_cast<size_t>(static_cast<uint8_t>(wire[3])) << 8 | static_cast<uint8_t>(wire[4]);
    sizes.push_back(size);
    wire.remove_prefix(kHeader + size);
  }
  EXPECT_TRUE(wire.empty());
  return sizes;
}

// Each test once with OpenSSL's records, and once with lean ones at the server.
class TlsTransformTest : public TlsTest, public testing::WithParamInterface<bool> {
 protected:
  TlsTransformTest() { server_ = server_of({"server"}, GetParam()); }
  void expect_open(TlsEnd& end) {
    EXPECT_TRUE(end.told_ready || end.transform->ready());
    EXPECT_FALSE(end.broken || end.ended);
  }
  // Bytes of all sizes pass both ways.
  void expect_bytes(TlsEnd& from, TlsEnd& to, size_t piece = SIZE_MAX) {
    for (size_t size : {size_t{1}, size_t{200}, size_t{16'384}, size_t{50'000}}) {
      to.plain.clear();
      to.hear(from.say(text(size)), piece);
      EXPECT_TRUE(to.plain == text(size)) << to.plain.size() << " of " << size;
    }
  }
};

INSTANTIATE_TEST_SUITE_P(Records, TlsTransformTest, testing::Values(false, true),
                         [](const auto& test) { return test.param ? "lean" : "openssl"; });

TEST_P(TlsTransformTest, ShakesHandsAndCarriesBytes) {
  TlsEnd client = connect();
  TlsEnd server = accept();
  EXPECT_FALSE(server.transform->has_output()) << "a client speaks first";
  talk(client, server);
  expect_open(client);
  expect_open(server);
  EXPECT_EQ(client.transform->protocol(), "http/1.1");
  EXPECT_EQ(server.transform->protocol(), "http/1.1");
  expect_bytes(client, server);
  expect_bytes(server, client);
  EXPECT_EQ(server_count(TlsResult::kFull, TlsVersion::k13), 1U);
  EXPECT_EQ(client_count(TlsResult::kFull, TlsVersion::k13), 1U);
  EXPECT_EQ(server_counters_.records.connections, GetParam() ? 1U : 0U);
}

TEST_P(TlsTransformTest, AClientThatHasSaidNothingCostsNoObject) {
  ASSERT_GE(kCounts, 0);
  RawPeer client(TLS_client_method());
  client.begin(false);
  {
    TlsEnd server = accept();
    std::string hello = client.say();
    server.hear(std::string_view(hello).substr(0, hello.size() - 1));
    EXPECT_EQ(ssl_objects, 1) << "the client's own";
    server.hear(std::string_view(hello).substr(hello.size() - 1));
    EXPECT_EQ(ssl_objects, 2);
    talk(client, server);
    EXPECT_EQ(ssl_objects, GetParam() ? 1 : 2);
    accept();  // and leaves
  }
  EXPECT_EQ(ssl_objects, 1);
  EXPECT_EQ(server_count(TlsResult::kFull, TlsVersion::k13), 1U);
  EXPECT_EQ(server_count(TlsResult::kAbandoned), 1U);
}

TEST_P(TlsTransformTest, AHandshakeMayBeCutAnywhere) {
  for (size_t cut = 1; cut < 1'500; cut += cut < 64 ? 1 : 7) {
    TlsEnd client = connect();
    TlsEnd server = accept();
    for (int i = 0; i < 3; ++i) {
      std::string hello = client.say();
      server.hear(std::string_view(hello).substr(0, cut));
      if (hello.size() > cut) server.hear(std::string_view(hello).substr(cut));
      std::string answer = server.say();
      client.hear(std::string_view(answer).substr(0, cut));
      if (answer.size() > cut) client.hear(std::string_view(answer).substr(cut));
    }
    ASSERT_TRUE(client.transform->ready() && server.transform->ready()) << cut;
    server.hear(client.say("ping"));
    client.hear(server.say("pong"));
    ASSERT_EQ(server.plain + client.plain, "pingpong") << cut;
  }
}

TEST_P(TlsTransformTest, BytesMayComeOneByOne) {
  TlsEnd client = connect();
  TlsEnd server = accept();
  talk(client, server, 1);
  server.hear(client.say(text(3'000)), 1);
  client.hear(server.say(text(20'000)), 1);
  EXPECT_TRUE(server.plain == text(3'000)) << server.plain.size();
  EXPECT_TRUE(client.plain == text(20'000)) << client.plain.size();
}

TEST_P(TlsTransformTest, ARecordMayBeCutAnywhere) {
  TlsEnd client = connect();
  TlsEnd server = accept();
  talk(client, server);
  for (size_t cut = 1; cut < 400; ++cut) {
    std::string wire;
    for (size_t size : {100, 120, 90}) wire += server.say(text(size));
    client.plain.clear();
    client.hear(std::string_view(wire).substr(0, cut));
    if (cut < wire.size()) client.hear(std::string_view(wire).substr(cut));
    ASSERT_EQ(client.plain, text(100) + text(120) + text(90)) << cut;
  }
}

// A peer may announce 18 KB with five bytes, on many connections.
TEST_P(TlsTransformTest, ARecordThatIsOnlyAnnouncedTakesNothing) {
  TlsEnd server = accept();
  server.hear(std::string_view("\x16\x03\x01\x48\x00", 5));
  server.hear("x");
  EXPECT_FALSE(server.broken);
  EXPECT_EQ(pool_.leased(), 0U);
  EXPECT_EQ(memory_limit_.heap, 0U);
}

TEST_P(TlsTransformTest, AWholeRecordIsOpenedInItsPlace) {
  TlsEnd client = connect();
  TlsEnd server = accept();
  talk(client, server);
  std::string wire = server.say(text(1'000));
  client.hear(wire + server.say(text(900)));
  EXPECT_EQ(client.opened_in_place, 2U);
}

// It needs no send of its own.
TEST_P(TlsTransformTest, ATicketLeavesWithTheFirstResponse) {
  for (bool responds : {true, false}) {
    RawPeer client(TLS_client_method());
    client.begin(false);
    TlsEnd server = accept();
    talk(client, server);
    Handle<SSL_SESSION> session(SSL_get1_session(client.ssl));
    EXPECT_FALSE(server.transform->has_output() || SSL_SESSION_is_resumable(session.get()));
    if (!responds) server.transform->end();
    std::string wire = server.say(responds ? "response" : "");
    EXPECT_EQ(records(wire).size(), 2U);
    client.hear(wire);
    EXPECT_EQ(client.plain, responds ? "response" : "");
    session.reset(SSL_get1_session(client.ssl));
    EXPECT_TRUE(SSL_SESSION_is_resumable(session.get()));
  }
}

TEST_P(TlsTransformTest, WhatLeavesTogetherSharesARecord) {
  TlsEnd client = connect();
  TlsEnd server = accept();
  talk(client, server);
  client.hear(server.say("x"));  // and a ticket
  client.plain.clear();
  std::string size = "64\r\n";
  std::string event = text(100);
  std::vector<iovec> pieces;
  for (int i = 0; i < 12; ++i) {
    pieces.push_back({size.data(), size.size()});
    pieces.push_back({event.data(), event.size()});
  }
  std::string wire = server.say_pieces(pieces);
  EXPECT_EQ(wire.size(), 12 * (size.size() + event.size()) + kOverhead13);
  client.hear(wire);
  std::string expected;
  for (int i = 0; i < 12; ++i) expected += size + event;
  EXPECT_EQ(client.plain, expected);
}

TEST_P(TlsTransformTest, RecordsAreSmallAtFirstAndLargeInBulk) {
  TlsEnd client = connect();
  TlsEnd server = accept();
  talk(client, server);
  std::string first = server.say(text(60'000));
  for (size_t size : records(first)) EXPECT_LE(size, 1'448U) << "fits a segment";
  std::string bulk = server.say(text(32'000));
  bulk += server.say(text(32'000));
  EXPECT_GT(records(bulk).back(), 14'000U);
  std::string pause = server.say(text(100));
  std::string again = server.say(text(10'000));
  for (size_t size : records(again)) EXPECT_LE(size, 1'448U);
  client.hear(first + bulk + pause + again);
  EXPECT_TRUE(client.plain ==
              text(60'000) + text(32'000) + text(32'000) + text(100) + text(10'000));
}

TEST_P(TlsTransformTest, TheSmallestSlotTakesSomething) {
  TlsEnd client = connect();
  TlsEnd server = accept();
  talk(client, server);
  client.hear(server.say(text(5'000), 512));
  EXPECT_TRUE(client.plain == text(5'000)) << client.plain.size();
  EXPECT_FALSE(server.refused);
}

TEST_P(TlsTransformTest, EachEndsForItself) {
  TlsEnd client = connect();
  TlsEnd server = accept();
  talk(client, server);
  client.transform->end();
  server.hear(client.say());
  EXPECT_TRUE(server.ended);
  client.hear(server.say("the rest"));
  EXPECT_EQ(client.plain, "the rest");
  server.transform->end();
  client.hear(server.say());
  EXPECT_TRUE(client.ended);
}

TEST_P(TlsTransformTest, AnEndBeforeTheHandshakeIsDoneSaysNothing) {
  {
    TlsEnd server = accept();
    server.transform->end();
    EXPECT_EQ(server.say(), "");
  }
  EXPECT_EQ(server_count(TlsResult::kAbandoned), 1U);
}

TEST_P(TlsTransformTest, AClientWithoutAConnectionHasAbandonedNothing) {
  { TlsEnd never_connected = connect(); }
  EXPECT_EQ(client_count(TlsResult::kAbandoned), 0U);
  {
    TlsEnd left_alone = connect();
    (void)left_alone.say();
  }
  EXPECT_EQ(client_count(TlsResult::kAbandoned), 1U);
}

TEST_P(TlsTransformTest, AFlippedBitBreaksTheConnection) {
  for (size_t at = 0; at < 100 + kOverhead13; ++at) {
    TlsEnd client = connect();
    TlsEnd server = accept();
    talk(client, server);
    std::string wire = server.say(text(100));
    wire[at] = static_cast<char>(wire[at] ^ 1);
    client.hear(wire + server.say("more"));
    ASSERT_EQ(client.plain, "") << at;
    ASSERT_FALSE(client.ended) << at;
    if (!client.broken) continue;  // it waits for the rest of a record that is longer now
    std::string alert = client.say();
    server.hear(alert);
    ASSERT_TRUE(server.broken) << at << ": is told by an alert of " << alert.size();
    server.refused = false;
    EXPECT_EQ(client.say("not any more"), "");
    EXPECT_TRUE(client.refused);
  }
  EXPECT_GT(client_counters_.broken, 100U);
}

TEST_P(TlsTransformTest, WhatIsNoTlsIsTold) {
  for (std::string_view bytes :
       {std::string_view("\x16\x03\x01\xff\xff and more"), std::string_view("hello, world"),
        std::string_view("\x80\x2e\x01\x03\x01\x00\x15\x00\x00\x00\x10", 11),
        std::string_view("\x17\x03\x03\x00\x03xyz", 8), std::string_view("\0\0\0\0\0\0", 6)}) {
    TlsEnd server = accept();
    server.hear(bytes);
    EXPECT_TRUE(server.broken) << bytes;
    server.hear(bytes);
    EXPECT_EQ(server.plain, "");
  }
  EXPECT_GE(server_count(TlsResult::kInvalid) + server_count(TlsResult::kVersion), 5U);
}

TEST_P(TlsTransformTest, PlainHttpIsAnsweredInPlainText) {
  constexpr std::array kLines{"GET / HTTP/1.1",     "POST / HTTP/1.1",      "HEAD / HTTP/1.1",
                              "PUT / HTTP/1.1",     "DELETE / HTTP/1.1",    "PATCH / HTTP/1.1",
                              "OPTIONS * HTTP/1.1", "CONNECT a:1 HTTP/1.1", "PRI * HTTP/2.0"};
  for (std::string line : kLines) {
    for (size_t piece : {size_t{1}, SIZE_MAX}) {
      TlsEnd server = accept();
      server.hear(line + "\r\nHost: a\r\n\r\n", piece);
      EXPECT_TRUE(server.broken);
      std::string answer = server.say();
      EXPECT_EQ(answer.find("HTTP/1.1 400 Bad Request\r\n"), 0U) << answer;
      std::string body = answer.substr(answer.find("\r\n\r\n") + 4);
      EXPECT_NE(answer.find("Content-Length: " + std::to_string(body.size())), answer.npos);
    }
  }
  EXPECT_EQ(server_count(TlsResult::kPlainHttp), 2 * kLines.size());
}

// --- against OpenSSL itself ---

TEST_P(TlsTransformTest, SpeaksTls12) {
  RawPeer client(TLS_client_method());
  SSL_CTX_set_max_proto_version(client.context, TLS1_2_VERSION);
  client.begin(false);
  TlsEnd server = accept();
  talk(client, server);
  ASSERT_TRUE(server.transform->ready());
  EXPECT_EQ(server.transform->protocol(), "") << "it offered none";
  server.hear(client.say(text(5'000)));
  EXPECT_TRUE(server.plain == text(5'000)) << server.plain.size();
  client.hear(server.say(text(30'000), 4'096));
  EXPECT_TRUE(client.plain == text(30'000)) << client.plain.size();
  EXPECT_EQ(server_count(TlsResult::kFull, TlsVersion::k12), 1U);
  server.transform->end();
  client.hear(server.say());
  EXPECT_EQ(client.error, SSL_ERROR_ZERO_RETURN);
}

// What comes before the handshake is done may be a replay of another's.
TEST_P(TlsTransformTest, EarlyDataIsOff) {
  RawPeer client(TLS_client_method());
  client.begin(false);
  TlsEnd server = accept();
  talk(client, server);
  client.hear(server.say("x"));  // and a ticket
  Handle<SSL_SESSION> session(SSL_get1_session(client.ssl));
  ASSERT_TRUE(SSL_SESSION_is_resumable(session.get()));
  EXPECT_EQ(SSL_SESSION_get_max_early_data(session.get()), 0U);

  SSL_SESSION_set_max_early_data(session.get(), 1'000);
  RawPeer hasty(TLS_client_method());
  hasty.ssl = SSL_new(hasty.context);
  SSL_set_bio(hasty.ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  SSL_set_connect_state(hasty.ssl);
  SSL_set_session(hasty.ssl, session.get());
  size_t written = 0;
  EXPECT_EQ(SSL_write_early_data(hasty.ssl, "early", 5, &written), 1);
  TlsEnd second = accept();
  talk(hasty, second);
  EXPECT_EQ(SSL_get_early_data_status(hasty.ssl), SSL_EARLY_DATA_REJECTED);
  second.hear(hasty.say("in time"));
  EXPECT_EQ(second.plain, "in time");
}

TEST_P(TlsTransformTest, RefusesFormerVersionsAndOtherProtocols) {
  RawPeer old(TLS_client_method());
  SSL_CTX_set_security_level(old.context, 0);
  SSL_CTX_set_min_proto_version(old.context, TLS1_VERSION);
  SSL_CTX_set_max_proto_version(old.context, TLS1_1_VERSION);
  SSL_CTX_set_cipher_list(old.context, "ALL:@SECLEVEL=0");
  old.begin(false);
  TlsEnd server = accept();
  talk(old, server);
  EXPECT_TRUE(server.broken);
  EXPECT_EQ(old.reason, SSL_R_TLSV1_ALERT_PROTOCOL_VERSION);
  EXPECT_EQ(server_count(TlsResult::kVersion), 1U);

  RawPeer other(TLS_client_method());
  SSL_CTX_set_alpn_protos(other.context, reinterpret_cast<const unsigned char*>("\3foo"), 4);
  other.begin(false);
  TlsEnd second = accept();
  talk(other, second);
  EXPECT_EQ(other.reason, SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL);
  EXPECT_EQ(server_count(TlsResult::kProtocol), 1U);

  RawPeer weak(TLS_client_method());
  SSL_CTX_set_max_proto_version(weak.context, TLS1_2_VERSION);
  SSL_CTX_set_cipher_list(weak.context, "ECDHE-ECDSA-AES128-SHA");
  weak.begin(false);
  TlsEnd third = accept();
  talk(weak, third);
  EXPECT_TRUE(third.broken);
  EXPECT_EQ(server_count(TlsResult::kCipher), 1U);
}

TEST_P(TlsTransformTest, KeysMayBeUpdatedInMidStream) {
  RawPeer client(TLS_client_method());
  client.begin(false);
  TlsEnd server = accept();
  talk(client, server);
  for (int i = 0; i < 5; ++i) {
    SSL_key_update(client.ssl, SSL_KEY_UPDATE_REQUESTED);
    server.hear(client.say("up"));
    client.hear(server.say("down", 64));
    client.hear(server.say("again"));
  }
  EXPECT_EQ(server.plain, "upupupupup");
  EXPECT_EQ(client.plain, "downagaindownagaindownagaindownagaindownagain");
}

// As OpenSSL does not by itself (RFC 8446 section 5.5).
TEST_P(TlsTransformTest, KeysAreRenewedInTime) {
  int updates = 0;
  auto note = [](int sent, int /*version*/, int type, const void* bytes, size_t /*size*/, SSL*,
                 void* count) {
    bool update = sent == 0 && type == SSL3_RT_HANDSHAKE &&
                  *static_cast<const unsigned char*>(bytes) == SSL3_MT_KEY_UPDATE;
    if (update) ++*static_cast<int*>(count);
  };
  RawPeer client(TLS_client_method());
  SSL_CTX_set_msg_callback(client.context, note);
  SSL_CTX_set_msg_callback_arg(client.context, &updates);
  client.begin(false);
  TlsEnd server = accept(/*records_per_key=*/4);
  talk(client, server);
  for (int i = 0; i < 12; ++i) client.hear(server.say("x"));
  EXPECT_EQ(client.plain, "xxxxxxxxxxxx");
  EXPECT_GE(updates, 2);
  EXPECT_LE(updates, 4);
  client.plain.clear();
  client.hear(server.say(text(50'000)));
  EXPECT_TRUE(client.plain == text(50'000)) << "in the midst of a batch";
  EXPECT_GE(updates, 8);
}

TEST_P(TlsTransformTest, KeysAreRenewedTowardsUpstreamsToo) {
  TlsEnd client = connect(/*records_per_key=*/2);
  TlsEnd server = accept();
  talk(client, server);
  server.hear(client.say(text(20'000)));
  EXPECT_TRUE(server.plain == text(20'000)) << server.plain.size();
  if (GetParam()) {
    EXPECT_GE(server_counters_.records.key_updates_received, 6U);
  }
}

// There is no other way: renegotiation is off.
TEST_P(TlsTransformTest, AConnectionWithTls12EndsWithItsKey) {
  RawPeer client(TLS_client_method());
  SSL_CTX_set_max_proto_version(client.context, TLS1_2_VERSION);
  client.begin(false);
  TlsEnd server = accept(/*records_per_key=*/4);
  talk(client, server);
  for (int i = 0; i < 10 && !server.refused; ++i) client.hear(server.say("x"));
  EXPECT_TRUE(server.refused);
  EXPECT_STREQ(server.transform->failure(), "key_used_up");
  EXPECT_EQ(server_counters_.broken, 1U);
  EXPECT_LE(client.plain.size(), 4U);
  EXPECT_GE(client.plain.size(), 3U);
}

// Each costs 7 us and 27 bytes.
TEST_P(TlsTransformTest, UpdatesOfKeysAloneDoNotGoOnForEver) {
  RawPeer client(TLS_client_method());
  client.begin(false);
  TlsEnd server = accept();
  talk(client, server);
  for (int i = 0; i < 100 && !server.broken; ++i) {
    SSL_key_update(client.ssl, SSL_KEY_UPDATE_NOT_REQUESTED);
    SSL_do_handshake(client.ssl);
    server.hear(client.say());
    EXPECT_EQ(server.broken, i >= 32) << i;
  }
  EXPECT_TRUE(server.broken);
}

TEST_P(TlsTransformTest, RenegotiationIsRefusedAndDoesNotPileUp) {
  RawPeer client(TLS_client_method());
  SSL_CTX_set_max_proto_version(client.context, TLS1_2_VERSION);
  client.begin(false);
  TlsEnd server = accept();
  talk(client, server);
  SSL_renegotiate(client.ssl);
  SSL_do_handshake(client.ssl);
  server.hear(client.say());
  EXPECT_FALSE(server.broken);
  client.hear(server.say());
  EXPECT_EQ(client.reason, SSL_R_NO_RENEGOTIATION);
  EXPECT_EQ(server_counters_.renegotiations_refused, 1U);
}

TEST_P(TlsTransformTest, AnUpstreamThatAsksForRenegotiationIsRefused) {
  int hellos = 0;
  auto note = [](int sent, int /*version*/, int type, const void* bytes, size_t /*size*/, SSL*,
                 void* count) {
    bool hello = sent == 0 && type == SSL3_RT_HANDSHAKE &&
                 *static_cast<const unsigned char*>(bytes) == SSL3_MT_CLIENT_HELLO;
    if (hello) ++*static_cast<int*>(count);
  };
  RawPeer server(TLS_server_method());
  SSL_CTX_set_max_proto_version(server.context, TLS1_2_VERSION);
  SSL_CTX_use_certificate_file(server.context, pki_.cert_file("server").c_str(), SSL_FILETYPE_PEM);
  SSL_CTX_use_PrivateKey_file(server.context, pki_.key_file("server").c_str(), SSL_FILETYPE_PEM);
  SSL_CTX_set_msg_callback(server.context, note);
  SSL_CTX_set_msg_callback_arg(server.context, &hellos);
  server.begin(true);
  TlsEnd client = connect();
  talk(client, server);
  ASSERT_TRUE(client.transform->ready());
  EXPECT_EQ(hellos, 1);
  SSL_renegotiate(server.ssl);
  SSL_do_handshake(server.ssl);
  std::string request = server.say();
  EXPECT_EQ(records(request).size(), 1U);
  client.hear(request);
  EXPECT_FALSE(client.broken);
  server.hear(client.say());
  EXPECT_EQ(server.reason, SSL_R_NO_RENEGOTIATION);
  EXPECT_EQ(client_counters_.renegotiations_refused, 1U);
  EXPECT_EQ(hellos, 1) << "no second handshake";
}

TEST_P(TlsTransformTest, AnUpstreamWithoutTlsIsFoundOut) {
  TlsEnd client = connect();
  (void)client.say();
  client.hear("HTTP/1.1 400 Bad Request\r\n\r\n");
  EXPECT_TRUE(client.broken);
  EXPECT_STREQ(client.transform->failure(), "invalid");
}

}  // namespace
}  // namespace sluice

// Lean records with OpenSSL at the other end: bytes, tickets, key updates, endings, alerts.
#include "tests/unit/tls/lean_testing.h"

namespace sluice {
namespace {

using namespace sluice::test;
using namespace std::string_view_literals;

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
  peer_.hear(server.say("x"));
  from.secrets = std::move(secrets);
  from.sealed = 2;  // the ticket, and the x
  server.transform = make_lean_transform(std::move(from), server_counters_, 5);
  std::string expected = "x";
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

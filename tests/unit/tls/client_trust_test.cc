#include "net/tls/client_trust.h"

#include <fstream>

#include "tests/unit/tls/tls_testing.h"

namespace sluice::test {
namespace {

class TrustOfClients : public TlsTest {
 protected:
  TrustOfClients() {
    pki_.make("clients", {.names = "", .ca = true});
    pki_.make("alice", {.names = "", .issuer = "clients"});
    pki_.make("others", {.names = "", .ca = true});
    pki_.make("mallory", {.names = "", .issuer = "others"});
    server_ = trusting("clients", true);
  }
  std::shared_ptr<const TlsServer> trusting(const std::string& ca, bool required) {
    std::vector<Credentials> all(1);
    EXPECT_EQ(read_credentials(pki_.cert_file("server"), pki_.key_file("server"), &all[0]), "");
    std::string wrong;
    auto server = TlsServer::make(std::move(all), tickets_, true, false, &wrong,
                                  {.ca_file = pki_.cert_file(ca), .required = required});
    EXPECT_EQ(wrong, "");
    return server;
  }
  // A client that shows that certificate, or "".
  std::unique_ptr<RawPeer> client(const std::string& name, int version,
                                  SSL_SESSION* session = nullptr) {
    auto peer = std::make_unique<RawPeer>(TLS_client_method());
    SSL_CTX_set_min_proto_version(peer->context, version);
    SSL_CTX_set_max_proto_version(peer->context, version);
    if (!name.empty()) {
      SSL_CTX_use_certificate_file(peer->context, pki_.cert_file(name).c_str(), SSL_FILETYPE_PEM);
      SSL_CTX_use_PrivateKey_file(peer->context, pki_.key_file(name).c_str(), SSL_FILETYPE_PEM);
    }
    peer->begin(/*server=*/false);
    if (session) {
      SSL_free(peer->ssl);
      peer->ssl = SSL_new(peer->context);
      SSL_set_session(peer->ssl, session);
      SSL_set_bio(peer->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
      SSL_set_connect_state(peer->ssl);
      peer->hear("");
    }
    return peer;
  }
  static constexpr int kVersions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
};

TEST_F(TrustOfClients, TellsTheSubjectOfWhomItTrusts) {
  for (int version : kVersions) {
    TlsEnd end = accept();
    auto peer = client("alice", version);
    talk(*peer, end);
    EXPECT_TRUE(end.told_ready);
    EXPECT_EQ(end.transform->peer_subject(), "CN=alice");
  }
}

TEST_F(TrustOfClients, RefusesOthersAndCountsThem) {
  for (int version : kVersions) {
    for (const char* name : {"", "mallory"}) {
      TlsEnd end = accept();
      auto peer = client(name, version);
      talk(*peer, end);
      EXPECT_FALSE(end.told_ready);
      EXPECT_TRUE(end.broken);
      EXPECT_EQ(end.transform->peer_subject(), "");
      int none = version == TLS1_3_VERSION ? SSL_AD_CERTIFICATE_REQUIRED : SSL_AD_HANDSHAKE_FAILURE;
      int alert = *name == '\0' ? none : SSL_AD_UNKNOWN_CA;
      EXPECT_EQ(peer->reason, SSL_AD_REASON_OFFSET + alert) << "what it was told";
    }
  }
  EXPECT_EQ(server_count(TlsResult::kNoCertificate), 2U);
  EXPECT_EQ(server_count(TlsResult::kCertificate), 2U);
}

TEST_F(TrustOfClients, IsOptionalForThoseWhoShowNone) {
  server_ = trusting("clients", false);
  for (int version : kVersions) {
    TlsEnd end = accept();
    auto peer = client("", version);
    talk(*peer, end);
    EXPECT_TRUE(end.told_ready);
    EXPECT_EQ(end.transform->peer_subject(), "");
    TlsEnd another = accept();
    auto mallory = client("mallory", version);
    talk(*mallory, another);
    EXPECT_TRUE(another.broken);
  }
}

// Whoever names a certificate trusts it, be it a CA below the root or a client's own.
TEST_F(TrustOfClients, ACertificateInTheFileCountsWithoutItsIssuer) {
  pki_.make("below", {.names = "", .issuer = "clients", .ca = true});
  pki_.make("carol", {.names = "", .issuer = "below"});
  struct Case {
    const char* file;
    const char* client;
    bool trusted;
  };
  for (const Case& one : {Case{"alice", "alice", true},
                          {"below", "carol", true},
                          {"alice", "carol", false},
                          {"below", "alice", false}}) {
    server_ = trusting(one.file, true);
    for (int version : kVersions) {
      TlsEnd end = accept();
      auto peer = client(one.client, version);
      talk(*peer, end);
      EXPECT_EQ(end.told_ready, one.trusted) << one.client << " by " << one.file;
      EXPECT_EQ(end.broken, !one.trusted) << one.client << " by " << one.file;
    }
  }
}

// The same ticket keys open all tickets: whether a session counts is another matter.
TEST_F(TrustOfClients, SessionsAreGoodOnlyWhereTheSameCertificatesCount) {
  struct Server {
    std::shared_ptr<const TlsServer> server;
    const char* client;
  };
  const Server servers[] = {{server_of({"server"}), "alice"},
                            {trusting("clients", true), "alice"},
                            {trusting("clients", false), "alice"},
                            {trusting("others", false), ""}};
  for (int version : kVersions) {
    for (const Server& before : servers) {
      server_ = before.server;
      TlsEnd end = accept();
      auto first = client(before.client, version);
      talk(*first, end);
      ASSERT_TRUE(end.told_ready);
      first->hear(end.say("x"));  // a ticket comes with it
      std::string subject = end.transform->peer_subject();
      Handle<SSL_SESSION> session(SSL_get1_session(first->ssl));
      for (const Server& after : servers) {
        server_ = after.server;
        TlsEnd next = accept();
        auto second = client(after.client, version, session.get());
        talk(*second, next);
        EXPECT_TRUE(next.told_ready);
        EXPECT_EQ(SSL_session_reused(second->ssl) == 1, before.server == after.server);
        if (before.server == after.server) {
          EXPECT_EQ(next.transform->peer_subject(), subject);
        }
      }
    }
  }
}

TEST_F(TrustOfClients, ASessionEndsWithItsCertificate) {
  pki_.make("brief", {.names = "", .ends_s = 2, .issuer = "clients"});
  std::vector<Handle<SSL_SESSION>> sessions;
  for (int version : kVersions) {
    TlsEnd end = accept();
    auto first = client("brief", version);
    talk(*first, end);
    ASSERT_TRUE(end.told_ready);
    sessions.emplace_back(SSL_get1_session(first->ssl));
  }
  Credentials brief;
  ASSERT_EQ(read_credentials(pki_.cert_file("brief"), pki_.key_file("brief"), &brief), "");
  while (X509_cmp_current_time(X509_get0_notAfter(brief.certificate.get())) > 0) usleep(10'000);
  for (size_t i = 0; i < sessions.size(); ++i) {
    TlsEnd next = accept();
    auto second = client("brief", kVersions[i], sessions[i].get());
    talk(*second, next);
    EXPECT_FALSE(next.told_ready);
    EXPECT_TRUE(next.broken);
  }
}

TEST_F(TrustOfClients, SaysWhatIsWrongWithItsFile) {
  auto wrong_with = [](const std::string& file) {
    Handle<SSL_CTX> context{SSL_CTX_new(TLS_server_method())};
    return trust_clients(context.get(), {.ca_file = file});
  };
  EXPECT_NE(wrong_with(pki_.folder() + "/none").find("cannot be read"), std::string::npos);
  EXPECT_NE(wrong_with(pki_.key_file("ca")).find("holds no certificates"), std::string::npos);
  std::string half = pki_.folder() + "/half";
  std::ofstream(half) << std::ifstream(pki_.cert_file("ca")).rdbuf()
                      << "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
  EXPECT_NE(wrong_with(half).find("holds no certificates"), std::string::npos);
  EXPECT_EQ(wrong_with(pki_.cert_file("ca")), "");
}

// --- keys of tickets ---

TEST(GivenTicketKeys, TheFirstSealsAndAllOpen) {
  TicketKeys::Key one{};
  TicketKeys::Key other{};
  one.name.fill(1);
  other.name.fill(2);
  TicketKeys keys({one, other});
  for (uint64_t now_ms : {uint64_t{0}, 100 * TicketKeys::kKeyLastsMs}) {
    EXPECT_EQ(keys.current(now_ms)->name, one.name);
    EXPECT_TRUE(keys.find(one.name, now_ms)->current);
    EXPECT_FALSE(keys.find(other.name, now_ms)->current);
  }
  std::array<unsigned char, 16> unknown{};
  EXPECT_FALSE(keys.find(unknown, 0));
}

TEST(GivenTicketKeys, AreNameThenMacThenCipher) {
  std::string file = testing::TempDir() + "sluice_ticket_keys";
  std::string bytes = std::string(16, 'n') + std::string(32, 'm') + std::string(32, 'c');
  std::ofstream(file) << bytes << bytes;
  std::vector<TicketKeys::Key> keys;
  ASSERT_EQ(read_ticket_keys(file, &keys), "");
  ASSERT_EQ(keys.size(), 2U);
  EXPECT_EQ(keys[1].name[15], 'n');
  EXPECT_EQ(keys[1].mac[31], 'm');
  EXPECT_EQ(keys[1].cipher[31], 'c');
}

}  // namespace
}  // namespace sluice::test

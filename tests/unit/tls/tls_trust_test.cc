// Whom to trust, which certificate to show, and sessions that are resumed.
#include <cstdlib>

#include <gmock/gmock.h>

#include "tests/unit/tls/tls_testing.h"

namespace sluice {
namespace {

using test::Pki;
using test::RawPeer;
using test::TlsEnd;
using test::TlsTest;
using testing::HasSubstr;

class TlsTrustTest : public TlsTest {
 protected:
  // What an upstream that shows that certificate is to a client for `host`: "" or why not.
  std::string refusal(const std::string& certificate, const std::string& host,
                      const std::string& options) {
    server_ = server_of({certificate});
    client_ = client_of(host, options);
    TlsEnd client = connect();
    TlsEnd server = accept();
    talk(client, server);
    EXPECT_EQ(client.broken, !client.transform->ready());
    if (client.broken) {
      EXPECT_TRUE(server.broken) << "it is told by an alert";
    }
    return client.transform->failure();
  }
  // How the next handshake of the two goes, and that bytes follow.
  TlsResult next_handshake() {
    uint64_t resumed = server_count(TlsResult::kResumed, TlsVersion::k13);
    uint64_t full = server_count(TlsResult::kFull, TlsVersion::k13);
    TlsEnd client = connect();
    TlsEnd server = accept();
    talk(client, server);
    server.hear(client.say("ping"));
    client.hear(server.say("pong"));
    EXPECT_EQ(server.plain + client.plain, "pingpong");
    EXPECT_EQ(server_count(TlsResult::kResumed, TlsVersion::k13) +
                  server_count(TlsResult::kFull, TlsVersion::k13),
              resumed + full + 1);
    return server_count(TlsResult::kResumed, TlsVersion::k13) > resumed ? TlsResult::kResumed
                                                                        : TlsResult::kFull;
  }
};

TEST_F(TlsTrustTest, CertificatesAreVerified) {
  pki_.make("expired", {.begins_s = -1'000, .ends_s = -10, .issuer = "ca"});
  pki_.make("early", {.begins_s = 1'000, .issuer = "ca"});
  pki_.make("self", {});
  pki_.make("other_ca", {.names = "", .ca = true});
  pki_.make("stranger", {.issuer = "other_ca"});
  pki_.make("unnamed", {.names = "", .issuer = "ca"});
  pki_.make("localhost", {.names = "", .issuer = "ca"});  // in its CN only
  EXPECT_EQ(refusal("server", "localhost", trusted()), "");
  EXPECT_EQ(refusal("server", "LOCALHOST.", trusted()), "");
  EXPECT_EQ(refusal("server", "127.0.0.1", trusted()), "");
  EXPECT_EQ(refusal("server", "127.0.0.2", trusted()), "certificate_of_another_name");
  EXPECT_EQ(refusal("server", "other.test", trusted()), "certificate_of_another_name");
  EXPECT_EQ(refusal("server", "other.test", trusted() + ";sni=localhost"), "");
  EXPECT_EQ(refusal("expired", "localhost", trusted()), "certificate_expired");
  EXPECT_EQ(refusal("early", "localhost", trusted()), "certificate_not_yet_valid");
  EXPECT_EQ(refusal("self", "localhost", trusted()), "certificate_self_signed");
  EXPECT_EQ(refusal("stranger", "localhost", trusted()), "certificate_of_unknown_ca");
  EXPECT_EQ(refusal("unnamed", "localhost", trusted()), "certificate_of_another_name");
  EXPECT_EQ(refusal("localhost", "localhost", trusted()), "certificate_of_another_name");
  EXPECT_EQ(refusal("server", "localhost", ""), "certificate_of_unknown_ca") << "the system's CAs";
  EXPECT_EQ(refusal("self", "localhost", ";ca=" + pki_.cert_file("self")), "") << "as it is";
  for (const char* any : {"expired", "self", "stranger", "unnamed"})
    EXPECT_EQ(refusal(any, "localhost", ";insecure=on"), "") << any;
  EXPECT_EQ(client_count(TlsResult::kCertificate), 9U);
  EXPECT_EQ(server_count(TlsResult::kAlert), 9U);
}

// RFC 9525 section 6.3 knows no other wildcard than a whole label.
TEST_F(TlsTrustTest, AWildcardStandsForAWholeLabelOnly) {
  pki_.make("part", {.names = "DNS:a*.wild.test", .issuer = "ca"});
  pki_.make("whole", {.names = "DNS:*.wild.test", .issuer = "ca"});
  EXPECT_EQ(refusal("part", "ab.wild.test", trusted()), "certificate_of_another_name");
  EXPECT_EQ(refusal("whole", "ab.wild.test", trusted()), "");
  EXPECT_EQ(refusal("whole", "a.b.wild.test", trusted()), "certificate_of_another_name");
}

// RFC 6066 section 3 allows no address there.
TEST_F(TlsTrustTest, AnUpstreamIsAskedForByNameAndNeverByAddress) {
  struct Case {
    const char* host;
    const char* options;
    const char* asked_for;  // null: nothing
  };
  for (const Case& one : {Case{"localhost", "", "localhost"},
                          {"localhost.", "", "localhost"},
                          {"127.0.0.1", ";sni=up.test", "up.test"},
                          {"127.0.0.1", "", nullptr},
                          {"[::1]", "", nullptr}}) {
    RawPeer server(TLS_server_method());
    SSL_CTX_use_certificate_file(server.context, pki_.cert_file("server").c_str(),
                                 SSL_FILETYPE_PEM);
    SSL_CTX_use_PrivateKey_file(server.context, pki_.key_file("server").c_str(), SSL_FILETYPE_PEM);
    server.begin(true);
    client_ = client_of(one.host, std::string(one.options) + ";insecure=on");
    TlsEnd client = connect();
    talk(client, server);
    ASSERT_TRUE(client.transform->ready()) << one.host;
    EXPECT_STREQ(SSL_get_servername(server.ssl, TLSEXT_NAMETYPE_host_name), one.asked_for)
        << one.host;
  }
}

TEST_F(TlsTrustTest, TheNameChoosesTheCertificate) {
  pki_.make("one", {.names = "DNS:one.test,DNS:*.wild.test"});
  pki_.make("two", {.names = "DNS:two.test,DNS:exact.wild.test,DNS:one.test"});
  auto server = server_of({"server", "one", "two"});
  EXPECT_EQ(server->choose("localhost"), 0U);
  EXPECT_EQ(server->choose("one.test"), 1U) << "the first that has it";
  EXPECT_EQ(server->choose("ONE.Test."), 1U);
  EXPECT_EQ(server->choose("two.test"), 2U);
  EXPECT_EQ(server->choose("a.wild.test"), 1U);
  EXPECT_EQ(server->choose("exact.wild.test"), 2U);
  for (const char* none :
       {"", ".", ".wild.test", "wild.test", "a.b.wild.test", "*.wild.test.x", "three.test", "test"})
    EXPECT_EQ(server->choose(none), 0U) << none;

  for (auto [name, certificate] : {std::pair{"b.wild.test", "one"}, {"two.test", "two"}}) {
    server_ = server;
    client_ = client_of(name, ";ca=" + pki_.cert_file(certificate));
    TlsEnd client = connect();
    TlsEnd end = accept();
    talk(client, end);
    EXPECT_TRUE(client.transform->ready()) << client.transform->failure();
  }
}

TEST_F(TlsTrustTest, AClientShowsItsOwnCertificate) {
  pki_.make("me", {.names = "DNS:me.test", .issuer = "ca"});
  RawPeer server(TLS_server_method());
  SSL_CTX_use_certificate_chain_file(server.context, pki_.cert_file("server").c_str());
  SSL_CTX_use_PrivateKey_file(server.context, pki_.key_file("server").c_str(), SSL_FILETYPE_PEM);
  SSL_CTX_load_verify_file(server.context, pki_.cert_file("ca").c_str());
  SSL_CTX_set_verify(server.context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  server.begin(true);
  client_ = client_of("localhost",
                      trusted() + ";cert=" + pki_.cert_file("me") + ";key=" + pki_.key_file("me"));
  TlsEnd client = connect();
  talk(client, server);
  EXPECT_TRUE(client.transform->ready());
  server.hear(client.say("it is me"));
  EXPECT_EQ(server.plain, "it is me");
}

TEST_F(TlsTrustTest, SessionsAreResumedOnceEach) {
  EXPECT_EQ(next_handshake(), TlsResult::kFull);
  EXPECT_EQ(next_handshake(), TlsResult::kResumed);
  EXPECT_EQ(next_handshake(), TlsResult::kResumed) << "by the ticket of the one before";
  TlsEnd first = connect();
  TlsEnd second = connect();  // no ticket is left for it
  TlsEnd server = accept();
  talk(second, server);
  EXPECT_EQ(client_count(TlsResult::kFull, TlsVersion::k13), 2U);
}

TEST_F(TlsTrustTest, ATicketIsGoodBeyondAReload) {
  EXPECT_EQ(next_handshake(), TlsResult::kFull);
  server_ = server_of({"server"});
  EXPECT_EQ(next_handshake(), TlsResult::kResumed);
  tickets_ = std::make_shared<TicketKeys>();
  server_ = server_of({"server"});
  EXPECT_EQ(next_handshake(), TlsResult::kFull) << "keys of another process";
}

TEST_F(TlsTrustTest, ASessionIsNotResumedUnderOtherTrust) {
  EXPECT_EQ(next_handshake(), TlsResult::kFull);
  client_ = client_of("localhost", trusted());
  EXPECT_EQ(next_handshake(), TlsResult::kFull);
}

TEST_F(TlsTrustTest, AHandshakeOutlivesItsConfiguration) {
  TlsEnd client = connect();
  TlsEnd server = accept();
  server.hear(client.say());
  client_.reset();
  server_.reset();
  talk(client, server);
  EXPECT_TRUE(client.transform->ready() && server.transform->ready());
}

TEST(TicketKeys, AreReplacedAndForgotten) {
  TicketKeys keys;
  TicketKeys::Key first = *keys.current(1'000);
  EXPECT_EQ(keys.current(1'000 + TicketKeys::kKeyLastsMs - 1)->name, first.name);
  TicketKeys::Key second = *keys.current(1'000 + TicketKeys::kKeyLastsMs);
  EXPECT_NE(second.name, first.name);
  EXPECT_NE(second.cipher, first.cipher);
  auto found = keys.find(first.name, 1'001 + TicketKeys::kKeyLastsMs);
  ASSERT_TRUE(found);
  EXPECT_FALSE(found->current);
  EXPECT_EQ(found->key.cipher, first.cipher);
  EXPECT_TRUE(keys.find(second.name, 1'001 + TicketKeys::kKeyLastsMs)->current);
  EXPECT_FALSE(keys.find(first.name, 1'000 + 2 * TicketKeys::kKeyLastsMs));
  EXPECT_FALSE(keys.find(second.name, 1'000 + 9 * TicketKeys::kKeyLastsMs)) << "nobody had asked";
}

// --- files ---

class LoadTlsTest : public TlsTest {
 protected:
  std::string error(const std::string& cert, const std::string& key) {
    Config config;
    config.tls_keys = {{cert, key}};
    return load(config);
  }
  std::string upstream_error(const std::string& options) {
    ConfigResult read = read_upstream("https://localhost" + options);
    return read.config ? load(*read.config) : read.message;
  }
  std::string load(Config& config) { return load_tls(config, tickets_, clients_, warnings_); }
  std::string write(const std::string& name, const std::string& text) {
    std::string path = pki_.folder() + "/" + name;
    std::FILE* file = std::fopen(path.c_str(), "we");
    (void)std::fputs(text.c_str(), file);
    (void)std::fclose(file);
    return path;
  }

  // What the upstream is given by a reading of the configuration, now.
  std::shared_ptr<const TlsClient> read(const std::string& options) {
    ConfigResult read = read_upstream("https://localhost" + options);
    EXPECT_EQ(load(*read.config), "");
    return read.config->routes[0].upstreams[0].tls;
  }

  // Where the kernel's clock of files is coarse, they are told apart by a tick of it.
  void renew(const std::string& name, const Pki::Wish& wish) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    pki_.make(name, wish);
  }

  TlsClients clients_;
  std::vector<std::string> warnings_;
};

TEST_F(LoadTlsTest, SaysWhatIsWrong) {
  pki_.make("other", {});
  std::string cert = pki_.cert_file("server");
  std::string key = pki_.key_file("server");
  EXPECT_EQ(error(cert, key), "");
  EXPECT_EQ(error("/nowhere.pem", key),
            "tls-cert: /nowhere.pem cannot be read (No such file or directory); name a PEM file "
            "that this user may read");
  EXPECT_THAT(error(key, key), HasSubstr(" holds no certificate (no start line)"));
  EXPECT_THAT(error(cert, cert), HasSubstr(" holds no private key in PEM form ("));
  EXPECT_THAT(error(cert, pki_.key_file("other")),
              HasSubstr(" is not that of the certificate in "));
  std::string begins = "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n";
  EXPECT_THAT(error(write("cut.pem", begins), key), HasSubstr(" holds no certificate ("));
  std::string encrypted =
      "-----BEGIN ENCRYPTED PRIVATE KEY-----\n"
      "MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgAAAAAAAAAAAICCAAw\n"
      "-----END ENCRYPTED PRIVATE KEY-----\n";
  EXPECT_THAT(error(cert, write("enc.key", encrypted)), HasSubstr(" holds no private key"));
  EXPECT_TRUE(warnings_.empty());
}

TEST_F(LoadTlsTest, AnExpiredCertificateIsAWarning) {
  pki_.make("expired", {.begins_s = -1'000, .ends_s = -10});
  Config config;
  config.tls_keys = {{pki_.cert_file("server"), pki_.key_file("server")},
                     {pki_.cert_file("expired"), pki_.key_file("expired")}};
  EXPECT_EQ(load(config), "");
  EXPECT_TRUE(config.tls_server);
  EXPECT_NEAR(static_cast<double>(config.tls_keys[0].expires_s),
              static_cast<double>(time(nullptr)) + 86'400, 60);
  ASSERT_EQ(warnings_.size(), 1U);
  EXPECT_THAT(warnings_[0], HasSubstr("expired.pem has expired"));
}

TEST_F(LoadTlsTest, UpstreamsSayWhatIsWrong) {
  EXPECT_EQ(upstream_error(trusted()), "");
  EXPECT_EQ(upstream_error(";ca=/nowhere.pem").find("upstream https://localhost;ca=/nowhere.pem: "),
            0U);
  EXPECT_THAT(upstream_error(trusted() + ";cert=/nowhere;key=/nowhere"),
              HasSubstr("/nowhere cannot be read"));
  EXPECT_TRUE(warnings_.empty());
  EXPECT_EQ(upstream_error(";insecure=on"), "");
  ASSERT_EQ(warnings_.size(), 1U);
  EXPECT_THAT(warnings_[0], HasSubstr("https://localhost;insecure=on is not verified"));
}

TEST_F(LoadTlsTest, AnUpstreamKeepsItsClientUntilItsFilesChange) {
  pki_.make("me", {.issuer = "ca"});
  std::string options = trusted() + ";cert=" + pki_.cert_file("me") + ";key=" + pki_.key_file("me");
  auto first = read(options);
  EXPECT_EQ(read(options), first);
  renew("me", {.issuer = "ca"});
  auto second = read(options);
  EXPECT_NE(second, first) << "shows another certificate";
  EXPECT_EQ(read(options), second);
  renew("ca", {.names = "", .ca = true});
  auto third = read(options);
  EXPECT_NE(third, second) << "trusts another CA";
}

// What runs may be named again, by a reading that does not come to nothing.
TEST_F(LoadTlsTest, AClientIsKeptAsLongAsSomebodyHasIt) {
  auto running = read(trusted());
  auto other = read(";insecure=on");
  EXPECT_EQ(read(trusted()), running);
  std::weak_ptr<const TlsClient> former = std::exchange(running, nullptr);
  EXPECT_EQ(read(";insecure=on"), other);
  EXPECT_TRUE(former.expired());
}

TEST_F(LoadTlsTest, ARefusedReadingKeepsClients) {
  auto first = read(trusted());
  EXPECT_NE(upstream_error(";ca=/nowhere.pem"), "");
  EXPECT_EQ(read(trusted()), first);
}

TEST_F(LoadTlsTest, AChangeOfTheSystemsCasIsNoticed) {
  std::string folder = pki_.folder() + "/system";
  std::filesystem::create_directory(folder);
  std::filesystem::copy(pki_.cert_file("ca"), folder + "/one");
  setenv("SSL_CERT_FILE", pki_.cert_file("ca").c_str(), 1);
  setenv("SSL_CERT_DIR", ("/nowhere:" + folder).c_str(), 1);
  auto first = read("");
  EXPECT_EQ(read(""), first);
  std::filesystem::copy(pki_.cert_file("ca"), folder + "/two");
  auto second = read("");
  EXPECT_NE(second, first);
  renew("ca", {.names = "", .ca = true});
  EXPECT_NE(read(""), second);
  unsetenv("SSL_CERT_FILE");
  unsetenv("SSL_CERT_DIR");
}

TEST_F(LoadTlsTest, UpstreamsThatAreNotVerifiedAreWarnedOfAtEachReading) {
  auto first = read(";insecure=on");
  EXPECT_EQ(read(";insecure=on"), first);
  EXPECT_EQ(warnings_.size(), 2U);
}

}  // namespace
}  // namespace sluice

// What is handed over at the end of a handshake, however that went, and what of the keys stays
// behind.
#include <cstdio>
#include <functional>

#include "net/tls/traffic_secrets.h"
#include "tests/unit/tls/lean_testing.h"

namespace sluice {
namespace {

using namespace sluice::test;

class LeanHandover : public LeanTransformTest {
 protected:
  using Wish = std::function<void(SSL_CTX*)>;

  void trust_clients(const std::string& ca) {
    std::vector<Credentials> all(1);
    EXPECT_EQ(read_credentials(pki_.cert_file("server"), pki_.key_file("server"), all.data()), "");
    std::string wrong;
    server_ = TlsServer::make(std::move(all), tickets_, true, /*lean=*/true, &wrong,
                              {.ca_file = pki_.cert_file(ca), .required = true});
    EXPECT_EQ(wrong, "");
  }
  // Begins where the session is another one's, if one is given.
  std::unique_ptr<RawPeer> client(const Wish& wish, SSL_SESSION* session = nullptr) {
    auto peer = std::make_unique<RawPeer>(TLS_client_method());
    SSL_CTX_set_ciphersuites(peer->context, suite_name(GetParam()));
    if (wish) wish(peer->context);
    peer->begin(false);
    if (session == nullptr) return peer;
    SSL_free(peer->ssl);
    peer->ssl = SSL_new(peer->context);
    SSL_set_session(peer->ssl, session);
    SSL_set_bio(peer->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(peer->ssl);
    peer->hear("");
    return peer;
  }
  // Bytes in both directions, and keys renewed. Returns the session, to be freed.
  SSL_SESSION* serves(const Wish& wish, SSL_SESSION* session = nullptr) {
    std::unique_ptr<RawPeer> peer = client(wish, session);
    TlsEnd server = accept();
    talk(*peer, server);
    EXPECT_TRUE(server.told_ready);
    EXPECT_EQ(SSL_session_reused(peer->ssl), session != nullptr ? 1 : 0);
    for (size_t size : {size_t{1}, size_t{1'400}, size_t{100'000}}) {
      peer->plain.clear();
      server.plain.clear();
      peer->hear(server.say(text(size)));
      server.hear(peer->say(text(size)));
      EXPECT_TRUE(peer->plain == text(size)) << size << ", " << peer->reason;
      EXPECT_TRUE(server.plain == text(size)) << size;
      SSL_key_update(peer->ssl, SSL_KEY_UPDATE_REQUESTED);
    }
    SSL_set_shutdown(peer->ssl, SSL_SENT_SHUTDOWN);
    return SSL_get1_session(peer->ssl);
  }
  uint64_t handed_over() const { return server_counters_.records.connections; }
};

INSTANTIATE_TEST_SUITE_P(Suites, LeanHandover, kAllSuites, test_name);

TEST_P(LeanHandover, AClientMayWantNoTicket) {
  server_ = server_of({"server"}, true);
  SSL_SESSION_free(
      serves([](SSL_CTX* context) { SSL_CTX_set_options(context, SSL_OP_NO_TICKET); }));
  EXPECT_EQ(handed_over(), 1U);
}

// RFC 6066 section 4: OpenSSL agrees to it by itself, and keeps to it.
TEST_P(LeanHandover, AClientThatWantsSmallRecordsKeepsTheObject) {
  server_ = server_of({"server"}, true);
  SSL_SESSION_free(serves([](SSL_CTX* context) {
    SSL_CTX_set_tlsext_max_fragment_length(context, TLSEXT_max_fragment_length_512);
  }));
  EXPECT_EQ(handed_over(), 0U);
}

// A ticket holds the client's certificate, so one may be of several records.
TEST_P(LeanHandover, ATicketMayBeAsLargeAsACertificate) {
  pki_.make("clients", {.names = "", .ca = true});
  std::string names = "DNS:0.example";
  for (int i = 1; i < 1'500; ++i) names += ",DNS:" + std::to_string(i) + ".example";
  pki_.make("large", {.names = names, .issuer = "clients"});
  trust_clients("clients");
  auto shows = [this](SSL_CTX* context) {
    SSL_CTX_use_certificate_file(context, pki_.cert_file("large").c_str(), SSL_FILETYPE_PEM);
    SSL_CTX_use_PrivateKey_file(context, pki_.key_file("large").c_str(), SSL_FILETYPE_PEM);
  };
  SSL_SESSION* session = serves(shows);
  EXPECT_EQ(handed_over(), 1U);
  const unsigned char* ticket = nullptr;
  size_t ticket_bytes = 0;
  SSL_SESSION_get0_ticket(session, &ticket, &ticket_bytes);
  EXPECT_GT(ticket_bytes, 16'384U);
  SSL_SESSION_free(serves(shows, session));
  EXPECT_EQ(handed_over(), 2U);
  SSL_SESSION_free(session);
}

// --- memory ---

// What is looked for, in a form that is not found itself.
std::vector<std::array<uint8_t, 12>> hidden;
constexpr uint8_t kMask = 0x5a;

void hide_secrets(const SSL* /*ssl*/, const char* line) {
  TrafficSecrets secrets;
  if (!secrets.note(line)) return;
  for (std::span<const uint8_t> secret : {secrets.client(), secrets.server()}) {
    if (secret.empty()) continue;
    std::array<uint8_t, 12>& mask = hidden.emplace_back();
    for (size_t i = 0; i < mask.size(); ++i) mask[i] = secret[i] ^ kMask;
  }
}

// By their first eight bytes, so that it is quick in a sanitized build, too.
__attribute__((no_sanitize("address", "undefined"))) unsigned found_between(const char* begin,
                                                                            const char* end) {
  unsigned found = 0;
  constexpr size_t kSize = sizeof hidden[0];
  constexpr uint64_t kMasks = 0x0101010101010101 * uint64_t{kMask};
  const auto* secrets = hidden.data();
  const size_t count = hidden.size();
  for (; begin + kSize <= end; ++begin) {
    uint64_t here = 0;
    __builtin_memcpy(&here, begin, sizeof here);
    for (size_t i = 0; i < count; ++i) {
      uint64_t first = 0;
      __builtin_memcpy(&first, secrets + i, sizeof first);
      if ((here ^ kMasks) == first) ++found;
    }
  }
  return found;
}

// In all memory that this process can write to: heap, stacks, and a sanitizer's graveyard.
unsigned found_in_process() {
  constexpr uintptr_t kShadowBytes = 256 << 20;  // a sanitizer's own maps are larger
  std::FILE* maps = std::fopen("/proc/self/maps", "re");
  char line[512];
  unsigned found = 0;
  while (std::fgets(line, sizeof line, maps) != nullptr) {
    uintptr_t begin = 0;
    uintptr_t end = 0;
    char rights[5] = {};
    if (std::sscanf(line, "%lx-%lx %4s", &begin, &end, rights) != 3) continue;
    if (std::string_view(rights) != "rw-p" || end - begin > kShadowBytes) continue;
    found +=
        found_between(reinterpret_cast<const char*>(begin), reinterpret_cast<const char*>(end));
  }
  (void)std::fclose(maps);
  return found;
}

TEST_P(LeanHandover, NothingOfTheSecretsStaysWithOpenSsl) {
  hidden.clear();
  server_ = server_of({"server"}, true);
  std::unique_ptr<RawPeer> peer =
      client([](SSL_CTX* context) { SSL_CTX_set_keylog_callback(context, hide_secrets); });
  TlsEnd server = accept();
  talk(*peer, server);
  ASSERT_EQ(handed_over(), 1U);
  ASSERT_EQ(hidden.size(), 2U);
  EXPECT_GE(found_in_process(), 4U);  // both ends have both
  {
    WipesWhatIsFreed wipes;
    peer.reset();
  }
  EXPECT_EQ(found_in_process(), 2U);  // those of the lean transform
  server.transform.reset();
  EXPECT_EQ(found_in_process(), 0U);
}

}  // namespace
}  // namespace sluice

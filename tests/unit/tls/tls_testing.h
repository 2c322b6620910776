// What tests of TLS share: certificates made on the spot, the two ends of a connection with memory
// between them, and a peer that is OpenSSL itself, so that either end can be one that is not ours.
#pragma once

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string>
#include <string_view>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "net/base/tls_results.h"
#include "net/tls/load_tls.h"
#include "net/tls/tls_client.h"
#include "net/tls/tls_server.h"
#include "net/tls/trust_stores.h"
#include "net/tls/wiped_free.h"
#include "net/transport/transform.h"
#include "tests/unit/core/kernel_testing.h"

namespace sluice::test {

// As main() does it, before OpenSSL is used.
inline const bool kWipes = install_wiping_free();

// A folder of PEM files, gone with the test: those of a CA, and what others it makes.
class Pki {
 public:
  struct Wish {
    std::string names = "DNS:localhost";
    long begins_s = -60;  // from now
    long ends_s = 86'400;
    std::string issuer = {};  // empty: signed by itself
    bool ca = false;
  };

  Pki() {
    std::string path = testing::TempDir() + "sluice_pki_XXXXXX";
    EXPECT_NE(mkdtemp(path.data()), nullptr);
    folder_ = path;
    make("ca", {.names = "", .ca = true});
    make("server", {.names = "DNS:localhost,IP:127.0.0.1", .issuer = "ca"});
  }
  ~Pki() { std::filesystem::remove_all(folder_); }
  Pki(const Pki&) = delete;
  Pki& operator=(const Pki&) = delete;

  // NAME.pem and NAME.key.
  void make(const std::string& name, const Wish& wish) {
    EVP_PKEY* key = EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256");
    X509* cert = X509_new();
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), ++serial_);
    X509_gmtime_adj(X509_getm_notBefore(cert), wish.begins_s);
    X509_gmtime_adj(X509_getm_notAfter(cert), wish.ends_s);
    X509_set_pubkey(cert, key);
    X509_NAME* subject = X509_get_subject_name(cert);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
    add_extension(cert, NID_basic_constraints, wish.ca ? "critical,CA:TRUE" : "CA:FALSE");
    if (!wish.names.empty()) add_extension(cert, NID_subject_alt_name, wish.names);
    EVP_PKEY* signer = key;
    if (wish.issuer.empty()) {
      X509_set_issuer_name(cert, subject);
    } else {
      X509* issuer = read<X509>(cert_file(wish.issuer), PEM_read_X509);
      X509_set_issuer_name(cert, X509_get_subject_name(issuer));
      X509_free(issuer);
      signer = read<EVP_PKEY>(key_file(wish.issuer), PEM_read_PrivateKey);
    }
    EXPECT_GT(X509_sign(cert, signer, EVP_sha256()), 0);
    if (signer != key) EVP_PKEY_free(signer);
    std::FILE* file = std::fopen(cert_file(name).c_str(), "we");
    PEM_write_X509(file, cert);
    (void)std::fclose(file);
    file = std::fopen(key_file(name).c_str(), "we");
    PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
    (void)std::fclose(file);
    X509_free(cert);
    EVP_PKEY_free(key);
  }
  std::string cert_file(const std::string& name) const { return folder_ + "/" + name + ".pem"; }
  std::string key_file(const std::string& name) const { return folder_ + "/" + name + ".key"; }
  const std::string& folder() const { return folder_; }

 private:
  static void add_extension(X509* cert, int id, const std::string& value) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, id, value.c_str());
    X509_add_ext(cert, extension, -1);
    X509_EXTENSION_free(extension);
  }
  template <typename T, typename Read>
  static T* read(const std::string& path, Read read) {
    std::FILE* file = std::fopen(path.c_str(), "re");
    T* object = read(file, nullptr, nullptr, nullptr);
    (void)std::fclose(file);
    return object;
  }

  std::string folder_;
  long serial_ = 0;
};

// One end: a transform, and what has become of it.
class TlsEnd {
 public:
  using Kind = Transform::Opened::Kind;

  TlsEnd(std::unique_ptr<Transform> its_transform, SlotPool& pool)
      : transform(std::move(its_transform)), pool_(pool) {}

  // The wire's bytes, received `piece` at a time.
  void hear(std::string_view wire, size_t piece = SIZE_MAX) {
    piece = std::min(piece, size_t{pool_.slot_bytes()});
    for (; !wire.empty(); wire.remove_prefix(std::min(wire.size(), piece)))
      hear_piece(wire.substr(0, piece));
  }
  // What it has to say, and these plain bytes, sealed into slots of that size.
  std::string say(std::string_view text = "", size_t slot_bytes = 16'384) {
    std::string bytes(text);
    std::vector<iovec> pieces{{bytes.data(), bytes.size()}};
    if (text.empty()) pieces.clear();
    return say_pieces(pieces, slot_bytes);
  }
  std::string say_pieces(std::vector<iovec> pieces, size_t slot_bytes = 16'384) {
    std::string wire;
    size_t left = 0;
    for (const iovec& piece : pieces) left += piece.iov_len;
    while (left > 0 || transform->has_output()) {
      std::string slot(slot_bytes, '\0');
      Transform::Sealed sealed = transform->seal(pieces, slot);
      if (sealed.wire == 0) {
        refused = true;
        break;
      }
      wire.append(slot, 0, sealed.wire);
      left -= sealed.plain;
      for (uint64_t gone = sealed.plain; gone > 0;) {
        iovec& first = pieces.front();
        size_t part = std::min<uint64_t>(gone, first.iov_len);
        first.iov_base = static_cast<char*>(first.iov_base) + part;
        first.iov_len -= part;
        gone -= part;
        if (first.iov_len == 0) pieces.erase(pieces.begin());
      }
    }
    return wire;
  }

  std::unique_ptr<Transform> transform;
  std::string plain;
  bool told_ready = false;
  bool ended = false;
  bool broken = false;
  bool refused = false;          // to seal plain bytes
  unsigned opened_in_place = 0;  // pieces of plain bytes in the slot that they came in

 private:
  void hear_piece(std::string_view bytes) {
    Lease lease = pool_.take_block(static_cast<uint32_t>(bytes.size()), true);
    std::ranges::copy(bytes, lease.data());
    std::span<char> wire(lease.data(), bytes.size());
    while (!ended && !broken) {
      Transform::Opened opened = transform->open(lease, &wire, pool_);
      if (opened.kind == Kind::kBytes) {
        plain += opened.bytes;
        bool here = opened.bytes.data() >= lease.data() &&
                    opened.bytes.data() + opened.bytes.size() <= lease.data() + bytes.size();
        opened_in_place += here ? 1 : 0;
      }
      told_ready = told_ready || opened.kind == Kind::kReady;
      if (opened.kind == Kind::kReady)
        if (auto next = transform->successor()) transform = std::move(next);
      ended = opened.kind == Kind::kEnd;
      broken = opened.kind == Kind::kBroken;
      if (opened.kind == Kind::kNeedMore) break;
    }
  }

  SlotPool& pool_;
};

// OpenSSL with memory before and behind it.
class RawPeer {
 public:
  explicit RawPeer(const SSL_METHOD* method) : context(SSL_CTX_new(method)) {}
  ~RawPeer() {
    SSL_free(ssl);
    SSL_CTX_free(context);
    ERR_clear_error();
  }
  RawPeer(const RawPeer&) = delete;
  RawPeer& operator=(const RawPeer&) = delete;

  void begin(bool server) {
    ssl = SSL_new(context);
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    if (server)
      SSL_set_accept_state(ssl);
    else
      SSL_set_connect_state(ssl);
    hear("");
  }
  void hear(std::string_view wire) {
    if (!wire.empty()) BIO_write(SSL_get_rbio(ssl), wire.data(), static_cast<int>(wire.size()));
    char buffer[4096];
    int n = 1;
    if (!SSL_is_init_finished(ssl)) n = SSL_do_handshake(ssl);
    while (SSL_is_init_finished(ssl) && (n = SSL_read(ssl, buffer, sizeof buffer)) > 0)
      plain.append(buffer, static_cast<size_t>(n));
    error = SSL_get_error(ssl, n);
    if (error == SSL_ERROR_SSL) reason = ERR_GET_REASON(ERR_peek_error());
    ERR_clear_error();
  }
  std::string say(std::string_view bytes = "") {
    if (!bytes.empty()) {
      EXPECT_EQ(SSL_write(ssl, bytes.data(), static_cast<int>(bytes.size())),
                static_cast<int>(bytes.size()));
    }
    std::string wire;
    char buffer[4096];
    int n = 0;
    while ((n = BIO_read(SSL_get_wbio(ssl), buffer, sizeof buffer)) > 0)
      wire.append(buffer, static_cast<size_t>(n));
    return wire;
  }

  SSL_CTX* context;
  SSL* ssl = nullptr;
  std::string plain;
  int error = 0;
  int reason = 0;
};

class TlsTest : public testing::Test {
 protected:
  ~TlsTest() override { EXPECT_EQ(pool_.leased(), 0U); }

  Upstream upstream(const std::string& url) {
    Upstream upstream;
    Config config;
    config.routes.push_back({.path = "/", .upstreams = {}, .settings = {}});
    ConfigResult read = read_upstream(url);
    EXPECT_TRUE(read.config) << read.message;
    return read.config ? read.config->routes[0].upstreams[0] : upstream;
  }
  static ConfigResult read_upstream(const std::string& url) {
    const char* argv[] = {"sluice", "--upstream", url.c_str()};
    return read_config(3, argv);
  }
  std::shared_ptr<const TlsServer> server_of(std::vector<std::string> names, bool lean = false) {
    std::vector<Credentials> all;
    for (const std::string& name : names)
      EXPECT_EQ(read_credentials(pki_.cert_file(name), pki_.key_file(name), &all.emplace_back()),
                "");
    std::string wrong;
    auto server = TlsServer::make(std::move(all), tickets_, true, lean, &wrong);
    EXPECT_EQ(wrong, "");
    return server;
  }
  // Of an upstream "https://HOST" with such options.
  std::shared_ptr<const TlsClient> client_of(const std::string& host, const std::string& options) {
    std::string wrong;
    Upstream named = upstream("https://" + host + options);
    bool verified = !named.tls_settings->insecure;
    auto* trusted = verified ? stores_.find(named.tls_settings->ca, &wrong) : nullptr;
    auto client = TlsClient::make(named, trusted, &wrong);
    EXPECT_EQ(wrong, "");
    return client;
  }
  std::string trusted() const { return ";ca=" + pki_.cert_file("ca"); }

  TlsEnd accept(uint64_t records_per_key = kRecordsPerKey) {
    return {accept_tls(server_, server_counters_, records_per_key), pool_};
  }
  TlsEnd connect(uint64_t records_per_key = kRecordsPerKey) {
    return {connect_tls(client_, client_counters_, records_per_key), pool_};
  }
  // All that the two have to say to each other, until nobody has more.
  template <typename One, typename Other>
  static void talk(One& one, Other& other, size_t piece = SIZE_MAX) {
    for (int quiet = 0; quiet < 2;) {
      std::string there = one.say();
      hear(other, there, piece);
      std::string back = other.say();
      hear(one, back, piece);
      quiet = there.empty() && back.empty() ? quiet + 1 : 0;
    }
  }
  static void hear(TlsEnd& end, std::string_view wire, size_t piece) { end.hear(wire, piece); }
  static void hear(RawPeer& peer, std::string_view wire, size_t /*piece*/) { peer.hear(wire); }
  uint64_t server_count(TlsResult result, TlsVersion version = TlsVersion::kNone) {
    return server_counters_.of(result, version);
  }
  uint64_t client_count(TlsResult result, TlsVersion version = TlsVersion::kNone) {
    return client_counters_.of(result, version);
  }

  Pki pki_;
  std::unique_ptr<Ring> ring_ = make_ring();
  Loop loop_{*ring_};
  MemoryLimit memory_limit_{.bytes_max = 4 << 20, .heap_max = 1 << 20};
  SlotPool pool_{loop_, memory_limit_, {"test", 1, 16'384, 64}};
  TlsCounters server_counters_;
  TlsCounters client_counters_;
  TrustStores stores_;
  std::shared_ptr<TicketKeys> tickets_ = std::make_shared<TicketKeys>();
  std::shared_ptr<const TlsServer> server_ = server_of({"server"});
  std::shared_ptr<const TlsClient> client_ = client_of("localhost", trusted());
};

}  // namespace sluice::test

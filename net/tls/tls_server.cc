#include "net/tls/tls_server.h"

#include <algorithm>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <utility>

#include "core/check.h"
#include "core/clock.h"
#include "core/text.h"
#include "net/tls/tls_settings.h"
#include "net/tls/tls_transform.h"

namespace sluice {

namespace {

// What clients are offered, best first, as RFC 7301 writes it. What a connection then speaks is
// decided where it is made, by Transform::protocol().
constexpr std::string_view kHttp2AndHttp1 = "\x02h2\x08http/1.1";
constexpr std::string_view kHttp1 = "\x08http/1.1";

// A client that knows none of them is refused, as RFC 7301 has it.
int choose_protocol(SSL* /*ssl*/, const unsigned char** chosen, unsigned char* chosen_size,
                    const unsigned char* offered, unsigned offered_size, void* protocols) {
  const auto& ours = *static_cast<const std::string_view*>(protocols);
  unsigned char* found = nullptr;
  if (SSL_select_next_proto(
          &found, chosen_size, reinterpret_cast<const unsigned char*>(ours.data()),
          static_cast<unsigned>(ours.size()), offered, offered_size) != OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  *chosen = found;
  return SSL_TLSEXT_ERR_OK;
}

bool set_mac_key(EVP_MAC_CTX* mac, TicketKeys::Key& key) {
  char digest[] = "SHA256";
  OSSL_PARAM params[] = {
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key.mac.data(), key.mac.size()),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
      OSSL_PARAM_construct_end(),
  };
  return EVP_MAC_CTX_set_params(mac, params) == 1;
}

// SSL_CTX_set_tlsext_ticket_key_evp_cb(3): below 0 an error, 0 no ticket, 1 fine, 2 fine, and the
// client is to get another ticket.
int ticket_key(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
               EVP_MAC_CTX* mac, int sealing) {
  auto& keys = *static_cast<TicketKeys*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  uint64_t now_ms = monotonic_ns() / kNsPerMs;
  if (sealing == 1) {
    std::optional<TicketKeys::Key> key = keys.current(now_ms);
    if (!key || RAND_bytes(iv, EVP_MAX_IV_LENGTH) != 1) return -1;
    std::ranges::copy(key->name, name);
    bool ok = EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), nullptr, key->cipher.data(), iv) == 1 &&
              set_mac_key(mac, *key);
    OPENSSL_cleanse(&*key, sizeof *key);
    return ok ? 1 : -1;
  }
  std::optional<TicketKeys::Found> found = keys.find({name, 16}, now_ms);
  if (!found) return 0;
  bool ok =
      EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), nullptr, found->key.cipher.data(), iv) == 1 &&
      set_mac_key(mac, found->key);
  OPENSSL_cleanse(&found->key, sizeof found->key);
  if (!ok) return -1;
  // With TLS 1.3 a ticket serves once (RFC 8446 appendix C.4), so there is another one each time.
  return found->current && SSL_version(ssl) < TLS1_3_VERSION ? 1 : 2;
}

STACK_OF(X509) * chain_of(const Credentials& credentials) {
  STACK_OF(X509)* chain = sk_X509_new_null();
  SLUICE_CHECK(chain != nullptr);
  for (const Handle<X509>& one : credentials.chain) sk_X509_push(chain, one.get());
  return chain;
}

}  // namespace

TlsServer::TlsServer(std::vector<Credentials> certificates, std::shared_ptr<TicketKeys> ticket_keys,
                     bool http2)
    : certificates_(std::move(certificates)),
      ticket_keys_(std::move(ticket_keys)),
      protocols_(http2 ? kHttp2AndHttp1 : kHttp1) {
  for (size_t i = 0; i < certificates_.size(); ++i) {
    for (const std::string& name : certificates_[i].names) {
      bool wildcard = name.starts_with("*.");
      (wildcard ? by_wildcard_ : by_name_).try_emplace(name.substr(wildcard ? 2 : 0), i);
    }
  }
}

std::shared_ptr<const TlsServer> TlsServer::make(std::vector<Credentials> certificates,
                                                 std::shared_ptr<TicketKeys> ticket_keys,
                                                 bool http2, bool lean, std::string* wrong,
                                                 const ClientTrust& trust) {
  std::shared_ptr<TlsServer> server(
      new TlsServer(std::move(certificates), std::move(ticket_keys), http2));
  *wrong = server->set_up();
  if (wrong->empty()) *wrong = trust_clients(server->context_.get(), trust);
  if (lean && wrong->empty()) let_go_after_handshakes(server->context_.get());
  return wrong->empty() ? server : nullptr;
}

size_t TlsServer::choose(std::string_view asked) const {
  std::string name = lower_case(asked);
  if (name.ends_with('.')) name.pop_back();
  if (auto found = by_name_.find(name); found != by_name_.end()) return found->second;
  size_t dot = name.find('.');
  if (dot == std::string::npos || dot == 0) return 0;
  auto found = by_wildcard_.find(name.substr(dot + 1));
  return found == by_wildcard_.end() ? 0 : found->second;
}

// A connection that is not resumed gets its certificate here, in place of contexts that are
// swapped: those would each have ticket keys and options of their own.
int TlsServer::use_certificate(SSL* ssl) const {
  const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  const Credentials& chosen = certificates_[choose(name ? name : "")];
  STACK_OF(X509)* chain = chain_of(chosen);
  int result = SSL_use_cert_and_key(ssl, chosen.certificate.get(), chosen.key.get(), chain, 1);
  sk_X509_free(chain);
  return result;
}

// The response for the certificate that was chosen, where it has not expired.
int TlsServer::staple(SSL* ssl) const {
  const X509* shown = SSL_get_certificate(ssl);
  auto chosen = std::ranges::find_if(
      certificates_, [shown](const Credentials& one) { return one.certificate.get() == shown; });
  if (chosen == certificates_.end() || chosen->ocsp.empty()) return SSL_TLSEXT_ERR_NOACK;
  if (chosen->ocsp_expires_s <= static_cast<int64_t>(wall_clock_ms() / 1000))
    return SSL_TLSEXT_ERR_NOACK;
  void* copy = OPENSSL_memdup(chosen->ocsp.data(), chosen->ocsp.size());  // OpenSSL's from here on
  if (!copy) return SSL_TLSEXT_ERR_NOACK;
  SSL_set_tlsext_status_ocsp_resp(ssl, copy, static_cast<long>(chosen->ocsp.size()));
  return SSL_TLSEXT_ERR_OK;
}

// "" or what is wrong.
std::string TlsServer::set_up() {
  context_.reset(SSL_CTX_new(TLS_server_method()));
  SSL_CTX* context = context_.get();
  if (!context) return "TLS cannot be set up: " + openssl_error();
  for (const Credentials& one : certificates_) {
    STACK_OF(X509)* chain = chain_of(one);
    // What is too weak would otherwise be found out by clients. It stays in a context of its own.
    Handle<SSL_CTX> trial{SSL_CTX_new(TLS_server_method())};
    bool ok = trial && SSL_CTX_use_cert_and_key(trial.get(), one.certificate.get(), one.key.get(),
                                                chain, 1) == 1;
    sk_X509_free(chain);
    if (!ok) return "the certificate is refused: " + openssl_error();
  }
  set_up_versions(context);
  count_renegotiations(context);
  SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
  // Tickets alone: nothing is kept here for clients that may never come back.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context, 1);
  constexpr unsigned char kSessions[] = "sluice";
  SSL_CTX_set_session_id_context(context, kSessions, sizeof kSessions - 1);
  SSL_CTX_set_app_data(context, ticket_keys_.get());
  SSL_CTX_set_tlsext_ticket_key_evp_cb(context, ticket_key);
  SSL_CTX_set_alpn_select_cb(context, choose_protocol, &protocols_);
  SSL_CTX_set_cert_cb(
      context,
      [](SSL* ssl, void* server) {
        return static_cast<const TlsServer*>(server)->use_certificate(ssl);
      },
      this);
  int (*status)(SSL*, void*) = [](SSL* ssl, void* server) {
    return static_cast<const TlsServer*>(server)->staple(ssl);
  };
  SSL_CTX_callback_ctrl(context, SSL_CTRL_SET_TLSEXT_STATUS_REQ_CB,
                        reinterpret_cast<void (*)()>(status));
  SSL_CTX_set_tlsext_status_arg(context, this);
  return "";
}

std::unique_ptr<Transform> accept_tls(std::shared_ptr<const TlsServer> server,
                                      TlsCounters& counters, uint64_t records_per_key) {
  SSL_CTX& context = *server->context_;
  return make_tls_server(context, std::move(server), counters, records_per_key);
}

}  // namespace sluice

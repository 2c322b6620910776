#include "net/tls/tls_client.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <utility>

#include "core/check.h"
#include "net/base/address.h"
#include "net/tls/credentials.h"
#include "net/tls/tls_settings.h"
#include "net/tls/tls_transform.h"

namespace sluice {

namespace {

// What upstreams are offered, as RFC 7301 writes it.
constexpr std::string_view kProtocols = "\x08http/1.1";
// For that many connections at once. Those of TLS 1.3 serve once each.
constexpr size_t kSessionsMax = 16;

}  // namespace

TlsClient::~TlsClient() = default;

std::shared_ptr<const TlsClient> TlsClient::make(const Upstream& upstream, X509_STORE* trusted,
                                                 std::string* wrong) {
  std::shared_ptr<TlsClient> client(new TlsClient);
  *wrong = client->set_up(*upstream.tls_settings, trusted);
  return wrong->empty() ? client : nullptr;
}

// "" or what is wrong.
std::string TlsClient::set_up(const UpstreamTls& settings, X509_STORE* trusted) {
  name_ = settings.name;
  if (name_.ends_with('.')) name_.pop_back();  // certificates have none
  is_ip_ = parse_ip(name_).has_value();
  context_.reset(SSL_CTX_new(TLS_client_method()));
  SSL_CTX* context = context_.get();
  if (!context) return "TLS cannot be set up: " + openssl_error();
  set_up_versions(context);
  count_renegotiations(context);
  if (!settings.insecure) {
    SLUICE_CHECK(trusted);
    SSL_CTX_set1_cert_store(context, trusted);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
    X509_VERIFY_PARAM* rules = SSL_CTX_get0_param(context);
    X509_VERIFY_PARAM_set_hostflags(
        rules, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    bool named = is_ip_ ? X509_VERIFY_PARAM_set1_ip_asc(rules, name_.c_str()) == 1
                        : X509_VERIFY_PARAM_set1_host(rules, name_.c_str(), name_.size()) == 1;
    if (!named) return "no certificate can carry the name '" + name_ + "': " + openssl_error();
  }
  if (!settings.cert.empty()) {
    Credentials own;
    std::string wrong = read_credentials(settings.cert, settings.key, &own);
    if (!wrong.empty()) return wrong;
    STACK_OF(X509)* chain = sk_X509_new_null();
    for (const Handle<X509>& one : own.chain) sk_X509_push(chain, one.get());
    bool ok =
        SSL_CTX_use_cert_and_key(context, own.certificate.get(), own.key.get(), chain, 1) == 1;
    sk_X509_free(chain);
    if (!ok) return "cert=" + settings.cert + " is refused: " + openssl_error();
  }
  SSL_CTX_set_alpn_protos(context, reinterpret_cast<const unsigned char*>(kProtocols.data()),
                          static_cast<unsigned>(kProtocols.size()));
  SSL_CTX_set_app_data(context, this);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
  SSL_CTX_sess_set_new_cb(context, [](SSL* ssl, SSL_SESSION* session) {
    auto* client = static_cast<const TlsClient*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
    return client->keep(session) ? 1 : 0;
  });
  return "";
}

// True: it is ours now.
bool TlsClient::keep(SSL_SESSION* session) const {
  if (SSL_SESSION_is_resumable(session) != 1) return false;
  std::lock_guard guard(lock_);
  if (sessions_.size() == kSessionsMax) sessions_.erase(sessions_.begin());
  sessions_.emplace_back(session);
  return true;
}

// Null: there is none. One of TLS 1.3 goes with it (RFC 8446 appendix C.4).
Handle<SSL_SESSION> TlsClient::take_session() const {
  std::lock_guard guard(lock_);
  if (sessions_.empty()) return nullptr;
  SSL_SESSION* newest = sessions_.back().get();
  if (SSL_SESSION_get_protocol_version(newest) != TLS1_3_VERSION) {
    SSL_SESSION_up_ref(newest);
    return Handle<SSL_SESSION>(newest);
  }
  Handle<SSL_SESSION> taken = std::move(sessions_.back());
  sessions_.pop_back();
  return taken;
}

std::unique_ptr<Transform> connect_tls(std::shared_ptr<const TlsClient> client,
                                       TlsCounters& counters, uint64_t records_per_key) {
  Handle<SSL> ssl(SSL_new(client->context_.get()));
  SLUICE_CHECK(ssl);
  // SSL_set_tlsext_host_name(), but for its old cast. The name is copied.
  if (!client->is_ip_)
    SSL_ctrl(ssl.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
             const_cast<char*>(client->name_.c_str()));
  if (Handle<SSL_SESSION> session = client->take_session())
    SSL_set_session(ssl.get(), session.get());
  return make_tls_client(std::move(ssl), std::move(client), counters, records_per_key);
}

}  // namespace sluice

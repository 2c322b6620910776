#include "net/tls/client_trust.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "net/base/file.h"
#include "net/tls/credentials.h"

namespace sluice {

namespace {

// It has to fit in a request's head, and is never cut: that could make it somebody else's.
constexpr size_t kSubjectBytesMax = 2'048;

using Bio = std::unique_ptr<BIO, int (*)(BIO*)>;

// Escaped: what is no visible ASCII is written in hex digits.
std::string subject_of(const X509* certificate) {
  Bio bio(BIO_new(BIO_s_mem()), BIO_free);
  if (!bio ||
      X509_NAME_print_ex(bio.get(), X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253) < 0)
    return "";
  char* text = nullptr;
  long size = BIO_get_mem_data(bio.get(), &text);
  return {text, static_cast<size_t>(size)};
}

bool can_be_told(std::string_view subject) {
  return subject.size() <= kSubjectBytesMax &&
         std::ranges::all_of(subject, [](char c) { return c >= ' ' && c < '\x7f'; });
}

int check_subject(int valid, X509_STORE_CTX* verified) {
  bool own = X509_STORE_CTX_get_error_depth(verified) == 0;
  if (valid != 1 || !own || can_be_told(subject_of(X509_STORE_CTX_get_current_cert(verified))))
    return valid;
  X509_STORE_CTX_set_error(verified, X509_V_ERR_APPLICATION_VERIFICATION);
  return 0;
}

// A certificate that has expired since is not resumed: the client shows what it has now.
SSL_TICKET_RETURN ticket_opened(SSL* /*ssl*/, SSL_SESSION* session, const unsigned char* /*name*/,
                                size_t /*name_size*/, SSL_TICKET_STATUS status, void* /*unused*/) {
  const X509* shown = session ? SSL_SESSION_get0_peer(session) : nullptr;
  bool stale = shown && X509_cmp_current_time(X509_get0_notAfter(shown)) <= 0;
  switch (status) {
    case SSL_TICKET_SUCCESS:
      return stale ? SSL_TICKET_RETURN_IGNORE_RENEW : SSL_TICKET_RETURN_USE;
    case SSL_TICKET_SUCCESS_RENEW:
      return stale ? SSL_TICKET_RETURN_IGNORE_RENEW : SSL_TICKET_RETURN_USE_RENEW;
    default:
      return SSL_TICKET_RETURN_IGNORE_RENEW;
  }
}

}  // namespace

std::string trust_clients(SSL_CTX* context, const ClientTrust& trust) {
  if (trust.ca_file.empty()) return "";
  std::string text;
  if (!read_file(trust.ca_file.c_str(), &text))
    return "tls-client-ca: " + trust.ca_file + " cannot be read (" + std::strerror(errno) +
           "); name a PEM file that this user may read";
  ERR_clear_error();
  Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), BIO_free);
  Handle<X509_STORE> store{X509_STORE_new()};
  unsigned count = 0;
  while (Handle<X509> one{PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)}) {
    X509_STORE_add_cert(store.get(), one.get());
    SSL_CTX_add_client_CA(context, one.get());  // so that clients know which certificate is meant
    ++count;
  }
  bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  std::string why = openssl_error();
  if (count == 0 || !at_end)
    return "tls-client-ca: " + trust.ca_file + " holds no certificates that can be read (" + why +
           "); name a PEM file";
  // Whoever names a certificate trusts it, also where it is not the root.
  X509_STORE_set_flags(store.get(), X509_V_FLAG_PARTIAL_CHAIN);
  SSL_CTX_set1_verify_cert_store(context, store.get());
  SSL_CTX_set_verify(context,
                     SSL_VERIFY_PEER | (trust.required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                     check_subject);
  text += trust.required ? 'r' : 'o';
  std::array<unsigned char, SHA256_DIGEST_LENGTH> name{};
  static_assert(name.size() <= SSL_MAX_SID_CTX_LENGTH);
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), name.data());
  SSL_CTX_set_session_id_context(context, name.data(), name.size());
  SSL_CTX_set_session_ticket_cb(context, nullptr, ticket_opened, nullptr);
  return "";
}

std::string client_subject(SSL* ssl) {
  const X509* shown = SSL_get0_peer_certificate(ssl);
  if (!shown || SSL_get_verify_result(ssl) != X509_V_OK) return "";
  std::string subject = subject_of(shown);
  return can_be_told(subject) ? subject : "";
}

}  // namespace sluice

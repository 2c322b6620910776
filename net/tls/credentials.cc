#include "net/tls/credentials.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "core/text.h"
#include "net/tls/secret_file.h"

namespace sluice {

namespace {

struct CloseFile {
  void operator()(std::FILE* file) const { (void)std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

File open_file(const std::string& path, std::string* wrong) {
  ERR_clear_error();
  File file(std::fopen(path.c_str(), "rbe"));
  if (!file)
    *wrong = path + " cannot be read (" + std::strerror(errno) +
             "); name a PEM file that this user may read";
  return file;
}

// OpenSSL would ask at the terminal.
int no_passphrase(char* /*into*/, int /*size*/, int /*writing*/, void* asked) {
  *static_cast<bool*>(asked) = true;
  return 0;
}

std::string read_certificates(const std::string& path, Credentials* into) {
  std::string wrong;
  File file = open_file(path, &wrong);
  if (!file) return wrong;
  into->certificate.reset(PEM_read_X509_AUX(file.get(), nullptr, nullptr, nullptr));
  if (!into->certificate)
    return path + " holds no certificate (" + openssl_error() +
           "); it is to begin with one in PEM form, and the CA's between follow";
  while (Handle<X509> next{PEM_read_X509(file.get(), nullptr, nullptr, nullptr)})
    into->chain.push_back(std::move(next));
  bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  std::string why = openssl_error();
  return at_end ? "" : path + " holds a certificate of its chain that is broken (" + why + ")";
}

// Unbuffered, into memory that is wiped: no copy of the key stays behind.
std::string read_key(const std::string& path, Credentials* into) {
  SecretText text;
  std::string wrong = read_secret(path, &text);
  if (!wrong.empty()) return wrong;
  ERR_clear_error();
  std::unique_ptr<BIO, int (*)(BIO*)> bio(
      BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), BIO_free);
  bool asked = false;
  into->key.reset(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, &asked));
  if (into->key) return "";
  std::string why = openssl_error();
  if (asked) return path + " is encrypted; write it without a passphrase (openssl pkey)";
  return path + " holds no private key in PEM form (" + why + ")";
}

std::vector<std::string> names_of(X509* certificate) {
  std::vector<std::string> names;
  std::unique_ptr<GENERAL_NAMES, void (*)(GENERAL_NAMES*)> all(
      static_cast<GENERAL_NAMES*>(
          X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)),
      GENERAL_NAMES_free);
  for (int i = 0; i < sk_GENERAL_NAME_num(all.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(all.get(), i);
    if (name->type != GEN_DNS) continue;
    const ASN1_IA5STRING* text = name->d.dNSName;
    names.push_back(lower_case({reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                                static_cast<size_t>(ASN1_STRING_length(text))}));
  }
  return names;
}

}  // namespace

int64_t seconds_since_1970(const ASN1_TIME* time) {
  std::unique_ptr<ASN1_TIME, void (*)(ASN1_TIME*)> epoch(ASN1_TIME_set(nullptr, 0),
                                                         ASN1_STRING_free);
  int days = 0;
  int seconds = 0;
  if (ASN1_TIME_diff(&days, &seconds, epoch.get(), time) != 1) return 0;
  return int64_t{days} * 86'400 + seconds;
}

std::string openssl_error() {
  unsigned long error = ERR_peek_last_error();
  const char* reason = error == 0 ? nullptr : ERR_reason_error_string(error);
  std::string text = reason ? reason : "no reason given";
  ERR_clear_error();
  return text;
}

std::string read_credentials(const std::string& certificate_file, const std::string& key_file,
                             Credentials* into) {
  std::string wrong = read_certificates(certificate_file, into);
  if (wrong.empty()) wrong = read_key(key_file, into);
  if (!wrong.empty()) return wrong;
  if (X509_check_private_key(into->certificate.get(), into->key.get()) != 1) {
    ERR_clear_error();
    return "the key in " + key_file + " is not that of the certificate in " + certificate_file +
           "; name the two that belong together";
  }
  into->names = names_of(into->certificate.get());
  into->expires_s = seconds_since_1970(X509_get0_notAfter(into->certificate.get()));
  return "";
}

}  // namespace sluice

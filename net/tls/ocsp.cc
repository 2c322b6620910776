#include "net/tls/ocsp.h"

#include <cerrno>
#include <cstring>
#include <memory>
#include <openssl/evp.h>
#include <openssl/ocsp.h>
#include <openssl/x509.h>

#include "net/base/file.h"

namespace sluice {

namespace {

using Response = std::unique_ptr<OCSP_RESPONSE, void (*)(OCSP_RESPONSE*)>;
using Basic = std::unique_ptr<OCSP_BASICRESP, void (*)(OCSP_BASICRESP*)>;
using CertificateId = std::unique_ptr<OCSP_CERTID, void (*)(OCSP_CERTID*)>;

const X509* issuer_of(const Credentials& one) {
  for (const Handle<X509>& other : one.chain)
    if (X509_check_issued(other.get(), one.certificate.get()) == X509_V_OK) return other.get();
  const X509* itself = one.certificate.get();
  return X509_check_issued(one.certificate.get(), one.certificate.get()) == X509_V_OK ? itself
                                                                                      : nullptr;
}

// By serial number and issuer. Where the chain leaves the issuer out its key is not known: then by
// its name.
bool is_for(OCSP_CERTID* id, const Credentials& one) {
  ASN1_OBJECT* hash = nullptr;
  ASN1_OCTET_STRING* issuer_name = nullptr;
  ASN1_INTEGER* serial = nullptr;
  OCSP_id_get0_info(&issuer_name, &hash, nullptr, &serial, id);
  const EVP_MD* digest = EVP_get_digestbyobj(hash);
  if (!digest) return false;
  if (const X509* issuer = issuer_of(one)) {
    CertificateId own(OCSP_cert_to_id(digest, one.certificate.get(), issuer), OCSP_CERTID_free);
    return own && OCSP_id_cmp(own.get(), id) == 0;
  }
  unsigned char name[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  return ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(one.certificate.get())) == 0 &&
         X509_NAME_digest(X509_get_issuer_name(one.certificate.get()), digest, name, &size) == 1 &&
         ASN1_STRING_length(issuer_name) == static_cast<int>(size) &&
         std::memcmp(ASN1_STRING_get0_data(issuer_name), name, size) == 0;
}

}  // namespace

std::string read_ocsp(const std::string& file, std::vector<Credentials>& all, size_t* which) {
  std::string der;
  if (!read_file(file.c_str(), &der))
    return file + " cannot be read (" + std::strerror(errno) +
           "); name a DER file that this user may read";
  const auto* bytes = reinterpret_cast<const unsigned char*>(der.data());
  Response response(d2i_OCSP_RESPONSE(nullptr, &bytes, static_cast<long>(der.size())),
                    OCSP_RESPONSE_free);
  bool whole = response && bytes == reinterpret_cast<const unsigned char*>(der.data()) + der.size();
  std::string why = openssl_error();
  if (!whole) return file + " is no OCSP response in DER form (" + why + ")";
  int status = OCSP_response_status(response.get());
  if (status != OCSP_RESPONSE_STATUS_SUCCESSFUL)
    return file + " says that its responder failed (" + OCSP_response_status_str(status) +
           "); ask it again";
  Basic basic(OCSP_response_get1_basic(response.get()), OCSP_BASICRESP_free);
  for (int i = 0; basic && i < OCSP_resp_count(basic.get()); ++i) {
    OCSP_SINGLERESP* single = OCSP_resp_get0(basic.get(), i);
    // Its type says nothing of const, and nothing changes it.
    auto* id = const_cast<OCSP_CERTID*>(OCSP_SINGLERESP_get0_id(single));
    for (size_t k = 0; k < all.size(); ++k) {
      if (!is_for(id, all[k])) continue;
      ASN1_GENERALIZEDTIME* next = nullptr;
      OCSP_single_get0_status(single, nullptr, nullptr, nullptr, &next);
      all[k].ocsp = std::move(der);
      // Without such a time newer information is there at any time: as long as the certificate.
      all[k].ocsp_expires_s = next ? seconds_since_1970(next) : all[k].expires_s;
      *which = k;
      return "";
    }
  }
  return file + " is for none of the certificates; name one that is, or its certificate";
}

}  // namespace sluice

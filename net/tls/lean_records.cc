#include "net/tls/lean_records.h"

#include <algorithm>
#include <memory>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <string_view>

#include "core/check.h"

namespace sluice {

namespace {

struct SuiteFacts {
  unsigned number;     // RFC 8446 appendix B.4
  const char* cipher;  // as OpenSSL calls it
  const char* digest;
  size_t key_bytes;
};
constexpr std::array<SuiteFacts, kCipherSuites> kSuites{{
    {0x1301, "AES-128-GCM", "SHA256", 16},
    {0x1302, "AES-256-GCM", "SHA384", 32},
    {0x1303, "ChaCha20-Poly1305", "SHA256", 32},
}};
const SuiteFacts& facts_of(CipherSuite suite) {
  return kSuites[static_cast<size_t>(suite)];
}

enum class Task : int { kOpen = 0, kSeal = 1 };  // as EVP_CipherInit_ex() has it

// What a thread needs of OpenSSL, looked up once: that costs as much as to seal a record.
class Ciphers {
 public:
  static Ciphers& of_this_thread() {
    thread_local Ciphers ciphers;
    return ciphers;
  }

  bool has(CipherSuite suite) const { return hkdf_ && contexts_[static_cast<size_t>(suite)]; }
  EVP_KDF* hkdf() { return hkdf_.get(); }
  EVP_CIPHER_CTX* keyed(CipherSuite suite, const uint8_t* key, const uint8_t* nonce, Task task) {
    EVP_CIPHER_CTX* context = contexts_[static_cast<size_t>(suite)].get();
    SLUICE_CHECK(context != nullptr);  // has() was asked on the thread that shook hands: this one
    SLUICE_CHECK(EVP_CipherInit_ex(context, nullptr, nullptr, key, nonce, static_cast<int>(task)) ==
                 1);
    return context;
  }
  // A context keeps the key that it had last.
  void forget(CipherSuite suite) {
    constexpr std::array<uint8_t, 32> kNothing{};
    keyed(suite, kNothing.data(), kNothing.data(), Task::kSeal);
  }

 private:
  struct Free {
    void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
    void operator()(EVP_CIPHER* cipher) const { EVP_CIPHER_free(cipher); }
    void operator()(EVP_KDF* kdf) const { EVP_KDF_free(kdf); }
  };

  Ciphers() {
    for (size_t i = 0; i < kSuites.size(); ++i) {
      std::unique_ptr<EVP_CIPHER, Free> cipher(
          EVP_CIPHER_fetch(nullptr, kSuites[i].cipher, nullptr));
      std::unique_ptr<EVP_CIPHER_CTX, Free> context(EVP_CIPHER_CTX_new());
      if (cipher && context &&
          EVP_CipherInit_ex(context.get(), cipher.get(), nullptr, nullptr, nullptr, 1) == 1)
        contexts_[i] = std::move(context);  // holds the cipher
    }
    hkdf_.reset(EVP_KDF_fetch(nullptr, "HKDF", nullptr));
    ERR_clear_error();
  }

  std::array<std::unique_ptr<EVP_CIPHER_CTX, Free>, kCipherSuites> contexts_;
  std::unique_ptr<EVP_KDF, Free> hkdf_;
};

// Section 7.1, with an empty context.
void expand_label(CipherSuite suite, std::span<uint8_t> secret, std::string_view label,
                  std::span<uint8_t> into) {
  constexpr std::string_view kPrefix = "tls13 ";
  std::array<uint8_t, 32> info{};
  size_t size = 0;
  info[size++] = 0;
  info[size++] = static_cast<uint8_t>(into.size());
  info[size++] = static_cast<uint8_t>(kPrefix.size() + label.size());
  for (std::string_view part : {kPrefix, label})
    for (char c : part) info[size++] = static_cast<uint8_t>(c);
  info[size++] = 0;
  EVP_KDF_CTX* context = EVP_KDF_CTX_new(Ciphers::of_this_thread().hkdf());
  int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
  OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST,
                                       const_cast<char*>(facts_of(suite).digest), 0),
      OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, secret.data(), secret.size()),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info.data(), size),
      OSSL_PARAM_construct_end(),
  };
  SLUICE_CHECK(context != nullptr &&
               EVP_KDF_derive(context, into.data(), into.size(), params) == 1);
  EVP_KDF_CTX_free(context);  // wipes what it holds of the secret
}

uint8_t* bytes_of(char* at) {
  return reinterpret_cast<uint8_t*>(at);
}

}  // namespace

std::optional<CipherSuite> cipher_suite(unsigned number) {
  for (size_t i = 0; i < kSuites.size(); ++i) {
    auto suite = static_cast<CipherSuite>(i);
    if (kSuites[i].number == number && Ciphers::of_this_thread().has(suite)) return suite;
  }
  return {};
}

RecordKeys::RecordKeys(CipherSuite suite, std::span<const uint8_t> secret, uint64_t records)
    : records_(records), secret_bytes_(static_cast<uint8_t>(secret.size())), suite_(suite) {
  SLUICE_CHECK(secret.size() <= secret_.size());
  std::ranges::copy(secret, secret_.begin());
  derive();
}

// Section 7.3.
void RecordKeys::derive() {
  expand_label(suite_, secret(), "key", {key_.data(), facts_of(suite_).key_bytes});
  expand_label(suite_, secret(), "iv", iv_);
}

void RecordKeys::update() {
  std::array<uint8_t, TrafficSecrets::kBytesMax> next{};
  expand_label(suite_, secret(), "traffic upd", {next.data(), secret_bytes_});
  OPENSSL_cleanse(key_.data(), key_.size());
  secret_ = next;
  OPENSSL_cleanse(next.data(), next.size());
  derive();
  records_ = 0;
  Ciphers::of_this_thread().forget(suite_);
}

void RecordKeys::wipe() {
  if (wiped_) return;
  wiped_ = true;
  OPENSSL_cleanse(secret_.data(), secret_.size());
  OPENSSL_cleanse(key_.data(), key_.size());
  OPENSSL_cleanse(iv_.data(), iv_.size());
  Ciphers::of_this_thread().forget(suite_);
}

// Section 5.3: each serves once, for keys are renewed or given up before the number wraps.
RecordKeys::Nonce RecordKeys::next_nonce() {
  SLUICE_CHECK(!wiped_ && records_ < UINT64_MAX);
  Nonce nonce = iv_;
  for (size_t i = 0; i < sizeof records_; ++i)
    nonce[nonce.size() - 1 - i] ^= static_cast<uint8_t>(records_ >> (8 * i));
  ++records_;
  return nonce;
}

size_t RecordKeys::seal(ContentType type, size_t content_bytes, char* record) {
  record[kRecordHeaderBytes + content_bytes] = static_cast<char>(type);
  return seal_inner(content_bytes + 1, record);
}

size_t RecordKeys::seal_inner(size_t inner_bytes, char* record) {
  const size_t size = inner_bytes + kTagBytes;
  record[0] = static_cast<char>(ContentType::kApplicationData);
  record[1] = record[2] = 3;  // always that of TLS 1.2 (section 5.2)
  record[3] = static_cast<char>(size >> 8);
  record[4] = static_cast<char>(size);
  const Nonce nonce = next_nonce();
  EVP_CIPHER_CTX* context =
      Ciphers::of_this_thread().keyed(suite_, key_.data(), nonce.data(), Task::kSeal);
  uint8_t* header = bytes_of(record);
  uint8_t* inner = header + kRecordHeaderBytes;
  int written = 0;
  bool ok =
      EVP_EncryptUpdate(context, nullptr, &written, header, kRecordHeaderBytes) == 1 &&
      EVP_EncryptUpdate(context, inner, &written, inner, static_cast<int>(inner_bytes)) == 1 &&
      EVP_EncryptFinal_ex(context, inner + inner_bytes, &written) == 1 &&
      EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kTagBytes, inner + inner_bytes) == 1;
  SLUICE_CHECK(ok);
  return kRecordHeaderBytes + size;
}

RecordKeys::Opened RecordKeys::open(std::span<char> record) {
  const size_t size = record.size() - kRecordHeaderBytes;
  if (size > kSealedBytesMax) return {.wrong = RecordError::kRecordOverflow};
  if (size < kTagBytes) return {.wrong = RecordError::kBadRecordMac};
  if (records_ == UINT64_MAX) return {.wrong = RecordError::kInternalError};  // section 5.3
  const Nonce nonce = next_nonce();
  EVP_CIPHER_CTX* context =
      Ciphers::of_this_thread().keyed(suite_, key_.data(), nonce.data(), Task::kOpen);
  size_t inner_bytes = size - kTagBytes;
  uint8_t* header = bytes_of(record.data());
  uint8_t* inner = header + kRecordHeaderBytes;
  int written = 0;
  // OpenSSL compares the tag, in constant time.
  bool valid =
      EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kTagBytes, inner + inner_bytes) == 1 &&
      EVP_DecryptUpdate(context, nullptr, &written, header, kRecordHeaderBytes) == 1 &&
      EVP_DecryptUpdate(context, inner, &written, inner, static_cast<int>(inner_bytes)) == 1 &&
      EVP_DecryptFinal_ex(context, inner + inner_bytes, &written) == 1;
  if (!valid) {
    OPENSSL_cleanse(inner, inner_bytes);  // it was written before the tag was compared
    ERR_clear_error();
    return {.wrong = RecordError::kBadRecordMac};
  }
  if (inner_bytes > kInnerBytesMax) {
    OPENSSL_cleanse(inner, inner_bytes);
    return {.wrong = RecordError::kRecordOverflow};
  }
  // Section 5.4: the type is the last byte that is not zero.
  while (inner_bytes > 0 && inner[inner_bytes - 1] == 0) --inner_bytes;
  if (inner_bytes == 0) return {.wrong = RecordError::kUnexpectedMessage};
  --inner_bytes;
  return {.type = static_cast<ContentType>(inner[inner_bytes]),
          .content = record.subspan(kRecordHeaderBytes, inner_bytes)};
}

}  // namespace sluice

// Records of TLS 1.3 (RFC 8446 section 5) over OpenSSL's ciphers, without its SSL object: the keys
// of one direction, sealing and opening with them, and their renewal (sections 7.2 and 7.3). Pure:
// no I/O, and no memory beyond the 112 bytes of RecordKeys. The cipher contexts are the thread's,
// one for each cipher, keyed anew for each record: keys that lie in the connection cost fewer
// cache misses than a context of its own would. Keys are wiped when they are renewed and when they
// go, from the thread's context, too.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "net/base/record_counters.h"
#include "net/tls/record_reader.h"
#include "net/tls/traffic_secrets.h"

namespace sluice {

enum class CipherSuite : uint8_t { kAes128Gcm, kAes256Gcm, kChaCha20Poly1305 };
inline constexpr unsigned kCipherSuites = 3;

// Of the number that a handshake has agreed to; none: of another, or one that this thread's OpenSSL
// does not have.
std::optional<CipherSuite> cipher_suite(unsigned number);

// RFC 8446 section 5.1.
enum class ContentType : uint8_t {
  kInvalid = 0,
  kChangeCipherSpec = 20,
  kAlert = 21,
  kHandshake = 22,
  kApplicationData = 23,
};

inline constexpr size_t kTagBytes = 16;
// What sealing adds: the header, the inner type, the tag.
inline constexpr size_t kSealedOverheadBytes = kRecordHeaderBytes + 1 + kTagBytes;
inline constexpr size_t kInnerBytesMax = 16'384 + 1;     // section 5.4: content, type and padding
inline constexpr size_t kSealedBytesMax = 16'384 + 256;  // section 5.2, without the header

class RecordKeys {
 public:
  // What came of a record. `content` lies in it.
  struct Opened {
    std::optional<RecordError> wrong = {};
    ContentType type = ContentType::kInvalid;
    std::span<char> content = {};
  };

  // `records`: so many have been sealed or opened under these keys before.
  RecordKeys(CipherSuite suite, std::span<const uint8_t> secret, uint64_t records);
  ~RecordKeys() { wipe(); }
  RecordKeys(const RecordKeys&) = delete;
  RecordKeys& operator=(const RecordKeys&) = delete;

  // Makes a record of the content that lies in `record`, behind room for the header. Behind it
  // there is room for the rest of kSealedOverheadBytes. Returns the record's size.
  size_t seal(ContentType type, size_t content_bytes, char* record);
  // The same of content with its type and its padding behind it, whatever those are.
  size_t seal_inner(size_t inner_bytes, char* record);
  // Opens a whole record in its place. What was wrong leaves nothing to be read.
  Opened open(std::span<char> record);

  // Section 7.2: the next keys, behind a KeyUpdate.
  void update();
  // There are no keys any more. Nothing may be sealed or opened.
  void wipe();
  bool wiped() const { return wiped_; }
  // Sealed or opened under these keys: the next record's sequence number.
  uint64_t records() const { return records_; }

 private:
  using Nonce = std::array<uint8_t, 12>;

  void derive();
  Nonce next_nonce();
  std::span<uint8_t> secret() { return {secret_.data(), secret_bytes_}; }

  uint64_t records_;
  std::array<uint8_t, 32> key_{};
  Nonce iv_{};
  std::array<uint8_t, TrafficSecrets::kBytesMax> secret_{};
  const uint8_t secret_bytes_;
  const CipherSuite suite_;
  bool wiped_ = false;
};

}  // namespace sluice

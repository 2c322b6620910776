#include "net/tls/tls_transform.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string>
#include <utility>

#include "core/check.h"
#include "net/tls/client_trust.h"

namespace sluice {

namespace {

constexpr size_t kHeaderBytes = 5;
constexpr size_t kPlainBytesMax = 16'384;                  // of a record
constexpr size_t kRecordBytesMax = kPlainBytesMax + 2048;  // RFC 5246 section 6.2.3
// The most that sealing adds to a record: 29 with TLS 1.2 and AES-GCM, 22 with TLS 1.3.
constexpr size_t kOverheadBytes = 32;
// A record that fits a segment can be opened as soon as that has come. After so many bytes without
// a pause larger ones cost less.
constexpr size_t kSmallRecordBytes = 1'400;
constexpr size_t kBulkAfterBytes = 64 * 1024;
// A record behind others in a slot is not worth its overhead if it is shorter than this.
constexpr size_t kLeastRecordBytes = 256;
// AES-GCM allows 2^24.5 records under one key (RFC 8446 section 5.5), and OpenSSL does not count.
constexpr uint64_t kRecordsPerKey = uint64_t{1} << 24;
// More of its own than any handshake says: a peer that makes us answer and takes no answers.
constexpr size_t kOwnBytesMax = 128 * 1024;
// In a row, behind the handshake: tickets, and key updates, which cost 7 us each.
constexpr unsigned kRecordsWithoutBytesMax = 32;

// For a browser that was sent to the wrong port, and whoever looks over its shoulder.
constexpr std::string_view kPlainHttpAnswer =
    "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n"
    "Content-Length: 44\r\n\r\nThis port speaks HTTPS: use https:// for it\n";

// 0: no record begins like that.
size_t record_bytes(const char* header) {
  auto byte = [header](size_t i) { return static_cast<uint8_t>(header[i]); };
  constexpr uint8_t kChangeCipherSpec = 20;
  constexpr uint8_t kApplicationData = 23;
  size_t size = kHeaderBytes + (size_t{byte(3)} << 8 | byte(4));
  bool known = byte(0) >= kChangeCipherSpec && byte(0) <= kApplicationData && byte(1) == 3;
  return known && size <= kHeaderBytes + kRecordBytesMax ? size : 0;
}

const char* certificate_failure(long error) {
  switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return "certificate_expired";
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return "certificate_not_yet_valid";
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return "certificate_of_another_name";
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
      return "certificate_self_signed";
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
      return "certificate_of_unknown_ca";
    default:
      return "certificate_invalid";
  }
}

TlsResult result_of(unsigned long error) {
  int reason = ERR_GET_REASON(error);
  if (ERR_GET_LIB(error) != ERR_LIB_SSL) return TlsResult::kInvalid;
  switch (reason) {
    case SSL_R_HTTP_REQUEST:
      return TlsResult::kPlainHttp;
    case SSL_R_UNSUPPORTED_PROTOCOL:
    case SSL_R_VERSION_TOO_LOW:
      return TlsResult::kVersion;
    case SSL_R_NO_SHARED_CIPHER:
      return TlsResult::kCipher;
    case SSL_R_NO_APPLICATION_PROTOCOL:
      return TlsResult::kProtocol;
    case SSL_R_CERTIFICATE_VERIFY_FAILED:
      return TlsResult::kCertificate;
    case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
      return TlsResult::kNoCertificate;
    default:
      return reason >= SSL_AD_REASON_OFFSET ? TlsResult::kAlert : TlsResult::kInvalid;
  }
}

// Reads the plain bytes of a batch, record by record.
class PlainBytes {
 public:
  explicit PlainBytes(std::span<const iovec> pieces) : pieces_(pieces) {
    for (const iovec& piece : pieces) left_ += piece.iov_len;
  }
  size_t left() const { return left_; }
  // The next bytes in one piece, in `buffer` where they are not.
  const char* take(size_t size, char* buffer) {
    left_ -= size;
    while (used_ == pieces_.front().iov_len) next_piece();
    const char* first = at();
    if (pieces_.front().iov_len - used_ >= size) {
      used_ += size;
      return first;
    }
    for (size_t copied = 0; copied < size;) {
      if (used_ == pieces_.front().iov_len) next_piece();
      size_t part = std::min(size - copied, pieces_.front().iov_len - used_);
      std::memcpy(buffer + copied, at(), part);
      copied += part;
      used_ += part;
    }
    return buffer;
  }

 private:
  const char* at() const { return static_cast<const char*>(pieces_.front().iov_base) + used_; }
  void next_piece() {
    pieces_ = pieces_.subspan(1);
    used_ = 0;
  }

  std::span<const iovec> pieces_;
  size_t used_ = 0;  // of the first
  size_t left_ = 0;
};

class TlsTransform final : public Transform {
 public:
  TlsTransform(Handle<ssl_st> ssl, TlsRole role, std::shared_ptr<const void> settings,
               TlsCounters& counters)
      : ssl_(std::move(ssl)), settings_(std::move(settings)), counters_(counters), role_(role) {
    BIO* bio = BIO_new(bio_method());
    SLUICE_CHECK(bio != nullptr);
    BIO_set_data(bio, this);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl_.get(), bio, bio);
    if (role == TlsRole::kServer) {
      SSL_set_accept_state(ssl_.get());
      begun_ = true;
    } else {
      SSL_set_connect_state(ssl_.get());
      (void)shake_hands();  // says hello
    }
  }
  ~TlsTransform() override {
    if (begun_ && !ready_ && !broken_) ++counters_.of(TlsResult::kAbandoned);
    // A client's session would else be taken for one that went wrong, and not be resumed.
    SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  }

  // Transform
  Opened open(const Lease& lease, std::span<char>* wire, SlotPool& slots) override {
    Opened opened;
    while (opened.kind == Opened::Kind::kNeedMore && !broken_) {
      Lease in = lease;
      std::span<char> record = next_record(&in, wire, slots);
      if (record.empty()) return {};
      opened = open_record(in, record);
    }
    return broken_ ? Opened{.kind = Opened::Kind::kBroken} : std::move(opened);
  }
  bool ready() const override { return ready_; }
  bool has_output() const override { return !own_.empty(); }
  Sealed seal(std::span<const iovec> plain, std::span<char> into) override;
  void end() override {
    if (!ready_ || broken_) return;
    ERR_clear_error();
    (void)SSL_shutdown(ssl_.get());
  }
  std::string_view protocol() const override {
    const unsigned char* name = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(ssl_.get(), &name, &size);
    return {reinterpret_cast<const char*>(name), size};
  }
  std::string peer_subject() const override {
    return role_ == TlsRole::kServer ? client_subject(ssl_.get()) : std::string();
  }
  const char* failure() const override { return failure_; }

 private:
  static BIO_METHOD* bio_method();
  static int bio_read(BIO* bio, char* into, int size);
  static int bio_write(BIO* bio, const char* bytes, int size);
  static long bio_control(BIO* /*bio*/, int command, long /*number*/, void* /*pointer*/) {
    return command == BIO_CTRL_FLUSH ? 1 : 0;
  }

  std::span<char> next_record(Lease* in, std::span<char>* wire, SlotPool& slots);
  bool complete_header(std::span<char>* wire);
  Opened open_record(const Lease& in, std::span<char> record);
  Opened shake_hands();
  void note_ready();
  Opened broken();
  size_t say(std::span<char> into);
  size_t record_plain_max() const {
    return bulk_bytes_ < kBulkAfterBytes ? kSmallRecordBytes : kPlainBytesMax;
  }
  void renew_key_in_time();

  Handle<ssl_st> ssl_;
  std::shared_ptr<const void> settings_;
  TlsCounters& counters_;
  std::span<const char> in_;  // what the object may read now
  std::span<char> out_;       // where it writes to; what does not fit becomes its own
  std::string own_;           // what it has to say itself
  // Behind its header, of a record that comes in parts: as much as has come, since a peer may
  // announce more than it sends.
  std::string part_;
  size_t part_size_ = 0;  // of the record, header and all
  unsigned records_without_bytes_ = 0;
  std::array<char, kHeaderBytes> header_{};
  size_t bulk_bytes_ = 0;  // sealed since the last pause
  uint64_t records_ = 0;   // sealed under this key
  const char* failure_ = "";
  const TlsRole role_;
  bool begun_ = false;  // a client that got no connection has not
  bool ready_ = false;
  bool broken_ = false;
};

BIO_METHOD* TlsTransform::bio_method() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "slots");
    SLUICE_CHECK(made != nullptr);
    BIO_meth_set_read(made, bio_read);
    BIO_meth_set_write(made, bio_write);
    BIO_meth_set_ctrl(made, bio_control);
    return made;
  }();
  return method;
}

int TlsTransform::bio_read(BIO* bio, char* into, int size) {
  auto& self = *static_cast<TlsTransform*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  if (self.in_.empty()) {
    BIO_set_retry_read(bio);
    return -1;
  }
  size_t part = std::min(self.in_.size(), static_cast<size_t>(size));
  std::memcpy(into, self.in_.data(), part);
  self.in_ = self.in_.subspan(part);
  return static_cast<int>(part);
}

// Never blocks: a sealed record that OpenSSL kept would pin its buffer.
int TlsTransform::bio_write(BIO* bio, const char* bytes, int size) {
  auto& self = *static_cast<TlsTransform*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  auto count = static_cast<size_t>(size);
  if (self.own_.empty() && count <= self.out_.size()) {
    std::memcpy(self.out_.data(), bytes, count);
    self.out_ = self.out_.subspan(count);
  } else {
    self.own_.append(bytes, count);
  }
  return size;
}

// True once header_ is there.
bool TlsTransform::complete_header(std::span<char>* wire) {
  size_t more = std::min(kHeaderBytes - std::min(part_size_, kHeaderBytes), wire->size());
  std::copy_n(wire->begin(), more, header_.begin() + static_cast<ptrdiff_t>(part_size_));
  part_size_ += more;
  *wire = wire->subspan(more);
  return part_size_ >= kHeaderBytes;
}

// A whole record, in `*in`; or a beginning that none has, for OpenSSL to name what is wrong. Empty:
// more is needed. OpenSSL could put records together, too, but would keep 16 KiB for each that is
// not complete.
std::span<char> TlsTransform::next_record(Lease* in, std::span<char>* wire, SlotPool& slots) {
  if (part_size_ == 0 && wire->size() >= kHeaderBytes) {
    size_t size = record_bytes(wire->data());
    if (size > 0 && wire->size() >= size) {
      std::span<char> record = wire->first(size);
      *wire = wire->subspan(size);
      return record;
    }
  }
  if (!complete_header(wire)) return {};
  size_t size = record_bytes(header_.data());
  if (size == 0) return header_;
  size_t more = std::min(size - part_size_, wire->size());
  part_.append(wire->data(), more);
  part_size_ += more;
  *wire = wire->subspan(more);
  if (part_size_ < size) return {};
  *in = slots.take_block(static_cast<uint32_t>(size), /*ours=*/true);
  std::ranges::copy(header_, in->data());
  std::ranges::copy(part_, in->data() + kHeaderBytes);
  part_ = {};  // with its memory: most records come in one piece
  part_size_ = 0;
  return {in->data(), size};
}

// OpenSSL copies the record before it opens it, so its plain bytes find room in its place.
Transform::Opened TlsTransform::open_record(const Lease& in, std::span<char> record) {
  in_ = record;
  bool valid = record_bytes(record.data()) != 0;
  Opened opened;
  if (!ready_) {
    opened = shake_hands();
  } else {
    ERR_clear_error();
    size_t size = 0;
    int result = SSL_read_ex(ssl_.get(), record.data(), record.size(), &size);
    int error = result == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl_.get(), result);
    if (result == 1)
      opened = {.kind = Opened::Kind::kBytes, .lease = in, .bytes = {record.data(), size}};
    else if (error == SSL_ERROR_ZERO_RETURN)
      opened = {.kind = Opened::Kind::kEnd};
    else if (error != SSL_ERROR_WANT_READ || ++records_without_bytes_ > kRecordsWithoutBytesMax)
      opened = broken();
    if (result == 1) records_without_bytes_ = 0;
  }
  in_ = {};
  if (!broken_ && (!valid || own_.size() > kOwnBytesMax)) return broken();
  return opened;
}

Transform::Opened TlsTransform::shake_hands() {
  ERR_clear_error();
  int result = SSL_do_handshake(ssl_.get());
  if (result == 1) {
    note_ready();
    return {.kind = Opened::Kind::kReady};
  }
  return SSL_get_error(ssl_.get(), result) == SSL_ERROR_WANT_READ ? Opened{} : broken();
}

void TlsTransform::note_ready() {
  ready_ = true;
  bool is_13 = SSL_version(ssl_.get()) == TLS1_3_VERSION;
  ++counters_.of(SSL_session_reused(ssl_.get()) == 1 ? TlsResult::kResumed : TlsResult::kFull,
                 is_13 ? TlsVersion::k13 : TlsVersion::k12);
  // A server's callbacks are done. A client gets its tickets later.
  if (role_ == TlsRole::kServer) settings_.reset();
}

Transform::Opened TlsTransform::broken() {
  TlsResult result = result_of(ERR_peek_error());
  broken_ = true;
  if (ready_)
    ++counters_.broken;
  else
    ++counters_.of(result);
  failure_ = result == TlsResult::kCertificate
                 ? certificate_failure(SSL_get_verify_result(ssl_.get()))
                 : tls_result_name(result);
  if (result == TlsResult::kPlainHttp) own_ = kPlainHttpAnswer;
  ERR_clear_error();
  return {.kind = Opened::Kind::kBroken};
}

// Its own bytes, as many as there is room for.
size_t TlsTransform::say(std::span<char> into) {
  begun_ = true;
  size_t size = std::min(own_.size(), into.size());
  std::memcpy(into.data(), own_.data(), size);
  if (size == own_.size())
    std::string().swap(own_);  // a handshake's is of no use to a connection that lives for days
  else
    own_.erase(0, size);
  return size;
}

Transform::Sealed TlsTransform::seal(std::span<const iovec> plain, std::span<char> into) {
  Sealed sealed{.plain = 0, .wire = say(into)};
  if (plain.empty() || !own_.empty() || broken_) return sealed;
  std::array<char, kPlainBytesMax> buffer;
  PlainBytes bytes(plain);
  if (bytes.left() <= kSmallRecordBytes) bulk_bytes_ = 0;
  while (bytes.left() > 0 && own_.empty()) {
    size_t room = into.size() - sealed.wire;
    if (room <= kOverheadBytes) break;
    size_t size = std::min({bytes.left(), record_plain_max(), room - kOverheadBytes});
    if (sealed.wire > 0 && size < std::min(bytes.left(), kLeastRecordBytes)) break;
    renew_key_in_time();
    out_ = into.subspan(sealed.wire);
    ERR_clear_error();
    size_t written = 0;
    int result = SSL_write_ex(ssl_.get(), bytes.take(size, buffer.data()), size, &written);
    sealed.wire = into.size() - out_.size();
    out_ = {};
    if (result != 1) {
      (void)broken();
      break;
    }
    SLUICE_CHECK(written == size);
    sealed.plain += size;
    bulk_bytes_ += size;
    ++records_;
  }
  return sealed;
}

void TlsTransform::renew_key_in_time() {
  if (records_ < kRecordsPerKey || SSL_version(ssl_.get()) != TLS1_3_VERSION) return;
  records_ = 0;
  SSL_key_update(ssl_.get(), SSL_KEY_UPDATE_NOT_REQUESTED);  // leaves with the next record
}

}  // namespace

std::unique_ptr<Transform> make_tls_transform(Handle<ssl_st> ssl, TlsRole role,
                                              std::shared_ptr<const void> settings,
                                              TlsCounters& counters) {
  return std::make_unique<TlsTransform>(std::move(ssl), role, std::move(settings), counters);
}

}  // namespace sluice

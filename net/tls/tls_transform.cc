#include "net/tls/tls_transform.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <optional>
#include <string>
#include <utility>

#include "core/check.h"
#include "net/tls/client_trust.h"
#include "net/tls/lean_transform.h"
#include "net/tls/record_reader.h"
#include "net/tls/record_sizes.h"
#include "net/tls/traffic_secrets.h"
#include "net/tls/wiped_free.h"

namespace sluice {

namespace {

constexpr size_t kRecordBytesMax = kRecordPlainBytesMax + 2048;  // RFC 5246 section 6.2.3
// The most that sealing adds to a record: 29 with TLS 1.2 and AES-GCM, 22 with TLS 1.3.
constexpr size_t kOverheadBytes = 32;
// More of its own than any handshake says: a peer that makes us answer and takes no answers.
constexpr size_t kOwnBytesMax = 128 * 1024;

// For a browser that was sent to the wrong port, and whoever looks over its shoulder.
constexpr std::string_view kPlainHttpAnswer =
    "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n"
    "Content-Length: 44\r\n\r\nThis port speaks HTTPS: use https:// for it\n";

// 0: no record begins like that.
size_t record_bytes(const char* header) {
  auto byte = [header](size_t i) { return static_cast<uint8_t>(header[i]); };
  constexpr uint8_t kChangeCipherSpec = 20;
  constexpr uint8_t kApplicationData = 23;
  size_t size = kRecordHeaderBytes + (size_t{byte(3)} << 8 | byte(4));
  bool known = byte(0) >= kChangeCipherSpec && byte(0) <= kApplicationData && byte(1) == 3;
  return known && size <= kRecordHeaderBytes + kRecordBytesMax ? size : 0;
}

// As any method that there is, and no record: OpenSSL knows four of them.
bool begins_like_a_request(std::string_view header) {
  size_t word = 0;
  while (word < header.size() && header[word] >= 'A' && header[word] <= 'Z') ++word;
  return word == header.size() || (word > 0 && header[word] == ' ');
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

class TlsTransform final : public Transform {
 public:
  TlsTransform(ssl_ctx_st& server, std::shared_ptr<const void> settings, TlsCounters& counters,
               uint64_t records_per_key)
      : settings_(std::move(settings)),
        counters_(counters),
        records_per_key_(records_per_key),
        server_(&server),
        begun_(true) {}
  TlsTransform(Handle<ssl_st> client, std::shared_ptr<const void> settings, TlsCounters& counters,
               uint64_t records_per_key)
      : settings_(std::move(settings)),
        counters_(counters),
        records_per_key_(records_per_key),
        server_(nullptr) {
    use(std::move(client));
    SSL_set_connect_state(ssl_.get());
    (void)shake_hands();  // says hello
  }
  ~TlsTransform() override {
    if (begun_ && !ready_ && !broken_) ++counters_.of(TlsResult::kAbandoned);
    if (!ssl_) return;
    // A client's session would else be taken for one that went wrong, and not be resumed.
    SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    WipesWhatIsFreed wipes(handed_over_);
    ssl_.reset();
  }

  // Transform
  Opened open(const Lease& lease, std::span<char>* wire, SlotPool& slots) override {
    Opened opened;
    while (opened.kind == Opened::Kind::kNeedMore && !broken_) {
      Lease in = lease;
      std::span<char> record = reader_.next(&in, wire, slots, record_bytes);
      if (record.empty()) return {};
      opened = open_record(in, record);
    }
    return broken_ ? Opened{.kind = Opened::Kind::kBroken} : std::move(opened);
  }
  bool ready() const override { return ready_; }
  bool has_output() const override { return !own_.empty() && !own_may_wait_; }
  Sealed seal(std::span<const iovec> plain, std::span<char> into) override;
  void end() override {
    if (!ready_ || broken_) return;
    ERR_clear_error();
    (void)SSL_shutdown(ssl_.get());
  }
  std::unique_ptr<Transform> successor() override;
  std::string_view protocol() const override {
    const unsigned char* name = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(ssl_.get(), &name, &size);
    return {reinterpret_cast<const char*>(name), size};
  }
  std::string peer_subject() const override {
    return server_ ? client_subject(ssl_.get()) : std::string();
  }
  const char* failure() const override { return failure_; }

  // For the context's key log, which has nowhere else to put them.
  static void note_secret(const SSL* ssl, const char* line) {
    auto& self = *static_cast<TlsTransform*>(BIO_get_data(SSL_get_rbio(ssl)));
    if (!self.secrets_) self.secrets_ = std::make_unique<TrafficSecrets>();
    self.secrets_->note(line);
  }
  // For the context, too.
  static void note_state(const SSL* ssl, int what, int value) {
    if (what != SSL_CB_WRITE_ALERT || (value & 0xff) != SSL_AD_NO_RENEGOTIATION) return;
    auto& self = *static_cast<TlsTransform*>(BIO_get_data(SSL_get_rbio(ssl)));
    ++self.counters_.renegotiations_refused;
  }

 private:
  static BIO_METHOD* bio_method();
  static int bio_read(BIO* bio, char* into, int size);
  static int bio_write(BIO* bio, const char* bytes, int size);
  static long bio_control(BIO* /*bio*/, int command, long /*number*/, void* /*pointer*/) {
    return command == BIO_CTRL_FLUSH ? 1 : 0;
  }

  void use(Handle<ssl_st> ssl);
  void accept();
  Opened open_record(const Lease& in, std::span<char> record);
  Opened shake_hands();
  void note_ready();
  void note_last_words(std::string_view said);
  Opened broken();  // as OpenSSL says
  Opened broken(TlsResult result);
  size_t say(std::span<char> into);
  bool renew_key_in_time();

  Handle<ssl_st> ssl_;  // a server's: once the client has said something
  std::shared_ptr<const void> settings_;
  TlsCounters& counters_;
  std::span<const char> in_;  // what the object may read now
  std::span<char> out_;       // where it writes to; what does not fit becomes its own
  std::string own_;           // what it has to say itself
  // OpenSSL could put records together, too, but would keep 16 KiB for each that is not complete.
  RecordReader reader_;
  std::unique_ptr<TrafficSecrets> secrets_;  // once they are known, if they are to be kept
  unsigned records_without_bytes_ = 0;
  RecordSizes sizes_{kOverheadBytes};
  uint64_t records_ = 0;  // sealed under this key
  const uint64_t records_per_key_;
  const char* failure_ = "";
  ssl_ctx_st* const server_;  // until the handshake is done; null: this end is the client
  bool begun_ = false;        // a client that got no connection has not
  bool ready_ = false;
  bool broken_ = false;
  bool handed_over_ = false;   // its keys live on
  bool own_may_wait_ = false;  // for plain bytes that it leaves with: a ticket
};

void TlsTransform::use(Handle<ssl_st> ssl) {
  SLUICE_CHECK(ssl);
  ssl_ = std::move(ssl);
  BIO* bio = BIO_new(bio_method());
  SLUICE_CHECK(bio != nullptr);
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);
}

// Not before: a crowd that connects at once would have an object each, long before its turn.
void TlsTransform::accept() {
  use(Handle<SSL>(SSL_new(server_)));
  SSL_set_accept_state(ssl_.get());
}

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
    self.own_may_wait_ = false;
  }
  return size;
}

// OpenSSL copies the record before it opens it, so its plain bytes find room in its place.
Transform::Opened TlsTransform::open_record(const Lease& in, std::span<char> record) {
  in_ = record;
  bool valid = record_bytes(record.data()) != 0;
  Opened opened;
  if (server_ && !ssl_ && begins_like_a_request({record.data(), kRecordHeaderBytes})) {
    opened = broken(TlsResult::kPlainHttp);
  } else if (!ready_) {
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
  if (!ssl_) accept();
  ERR_clear_error();
  size_t said_before = own_.size();
  int result = SSL_do_handshake(ssl_.get());
  if (result == 1) {
    note_ready();
    if (secrets_) note_last_words(std::string_view(own_).substr(said_before));
    return {.kind = Opened::Kind::kReady};
  }
  return SSL_get_error(ssl_.get(), result) == SSL_ERROR_WANT_READ ? Opened{} : broken();
}

void TlsTransform::note_ready() {
  ready_ = true;
  bool is_13 = SSL_version(ssl_.get()) == TLS1_3_VERSION;
  ++counters_.of(SSL_session_reused(ssl_.get()) == 1 ? TlsResult::kResumed : TlsResult::kFull,
                 is_13 ? TlsVersion::k13 : TlsVersion::k12);
  // A client gets its tickets later.
  if (!server_) return;
  settings_.reset();  // the callbacks are done
  // A TLS 1.3 client that is done has all but the ticket, which is of use once it comes again. So
  // that needs no send of its own.
  own_may_wait_ = is_13;
}

// The records that a server has sealed under its new keys are those of the step that ended the
// handshake: tickets. All that it said before went under the handshake's.
void TlsTransform::note_last_words(std::string_view said) {
  constexpr char kApplicationData = 23;
  bool whole = true;
  while (whole && !said.empty()) {
    size_t size = said.size() < kRecordHeaderBytes ? 0 : record_bytes(said.data());
    whole = size > 0 && size <= said.size() && said.front() == kApplicationData;
    said.remove_prefix(whole ? size : 0);
    ++records_;
  }
  // Where OpenSSL holds bytes that it has read ahead, they cannot be taken from it.
  bool all_read = in_.empty() && SSL_has_pending(ssl_.get()) == 0;
  // Records of the size that a client has asked for (RFC 6066 section 4) are the object's to make.
  bool any_size = SSL_SESSION_get_max_fragment_length(SSL_get_session(ssl_.get())) ==
                  TLSEXT_max_fragment_length_DISABLED;
  if (!whole || !all_read || !any_size || !secrets_->complete() ||
      SSL_version(ssl_.get()) != TLS1_3_VERSION)
    secrets_.reset();
}

std::unique_ptr<Transform> TlsTransform::successor() {
  if (!secrets_ || broken_) return nullptr;
  unsigned number = SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(ssl_.get()));
  std::optional<CipherSuite> suite = cipher_suite(number);
  if (!suite || !wiping_free_installed()) {
    secrets_.reset();
    return nullptr;
  }
  handed_over_ = true;
  return make_lean_transform({.suite = *suite,
                              .secrets = std::move(secrets_),
                              .sealed = records_,
                              .said = std::move(own_),
                              .protocol = std::string(protocol()),
                              .subject = peer_subject()},
                             counters_, records_per_key_);
}

Transform::Opened TlsTransform::broken() {
  return broken(result_of(ERR_peek_error()));
}

Transform::Opened TlsTransform::broken(TlsResult result) {
  broken_ = true;
  if (ready_)
    ++counters_.broken;
  else
    ++counters_.of(result);
  failure_ = result == TlsResult::kCertificate
                 ? certificate_failure(SSL_get_verify_result(ssl_.get()))
                 : tls_result_name(result);
  if (result == TlsResult::kPlainHttp) own_ = kPlainHttpAnswer;
  own_may_wait_ = false;
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
  std::array<char, kRecordPlainBytesMax> buffer;
  PlainBytes bytes(plain);
  sizes_.begin_batch(bytes.left());
  while (bytes.left() > 0 && own_.empty()) {
    size_t size = sizes_.next(bytes.left(), into.size() - sealed.wire, sealed.wire > 0);
    if (size == 0 || !renew_key_in_time()) break;
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
    ++records_;
  }
  return sealed;
}

// False: TLS 1.2 renews keys by renegotiation only, which is off (RFC 9325 section 4.4).
bool TlsTransform::renew_key_in_time() {
  if (records_ < records_per_key_) return true;
  if (SSL_version(ssl_.get()) != TLS1_3_VERSION) {
    (void)broken();
    failure_ = "key_used_up";
    return false;
  }
  records_ = 0;
  SSL_key_update(ssl_.get(), SSL_KEY_UPDATE_NOT_REQUESTED);  // leaves with the next record
  return true;
}

}  // namespace

void count_renegotiations(ssl_ctx_st* context) {
  SSL_CTX_set_info_callback(context, TlsTransform::note_state);
}

void let_go_after_handshakes(ssl_ctx_st* context) {
  SSL_CTX_set_keylog_callback(context, TlsTransform::note_secret);
}

std::unique_ptr<Transform> make_tls_server(ssl_ctx_st& context,
                                           std::shared_ptr<const void> settings,
                                           TlsCounters& counters, uint64_t records_per_key) {
  return std::make_unique<TlsTransform>(context, std::move(settings), counters, records_per_key);
}

std::unique_ptr<Transform> make_tls_client(Handle<ssl_st> ssl, std::shared_ptr<const void> settings,
                                           TlsCounters& counters, uint64_t records_per_key) {
  return std::make_unique<TlsTransform>(std::move(ssl), std::move(settings), counters,
                                        records_per_key);
}

}  // namespace sluice

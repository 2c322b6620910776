#include "net/tls/lean_transform.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "core/check.h"
#include "net/tls/record_sizes.h"

namespace sluice {

namespace {

// RFC 8446 section 6.
constexpr uint8_t kCloseNotify = 0;
constexpr uint8_t kUserCanceled = 90;
constexpr char kWarning = 1;
constexpr char kFatal = 2;
// RFC 8446 section 4.6.3, with the header of section 4.
constexpr uint8_t kKeyUpdate = 24;
constexpr size_t kMessageHeaderBytes = 4;
constexpr size_t kKeyUpdateBytes = kMessageHeaderBytes + 1;
constexpr uint8_t kUpdateNotRequested = 0;
constexpr uint8_t kUpdateRequested = 1;

uint8_t byte_at(std::span<const char> bytes, size_t at) {
  return static_cast<uint8_t>(bytes[at]);
}

// RFC 8446 sections 5.1 and 5.2: all that a client sends now has this type from outside. Its
// version is to be ignored, and the tag covers it.
size_t sealed_record_bytes(const char* header) {
  size_t size =
      static_cast<size_t>(static_cast<uint8_t>(header[3])) << 8 | static_cast<uint8_t>(header[4]);
  bool ours =
      static_cast<uint8_t>(header[0]) == static_cast<uint8_t>(ContentType::kApplicationData);
  return ours && size <= kSealedBytesMax ? kRecordHeaderBytes + size : 0;
}

uint8_t alert_of(RecordError error) {
  constexpr std::array<uint8_t, kRecordErrors> kAlerts{10, 20, 22, 47, 50, 80, 0};
  return kAlerts[static_cast<size_t>(error)];
}

RecordKind kind_of(ContentType type) {
  if (type == ContentType::kApplicationData) return RecordKind::kData;
  return type == ContentType::kAlert ? RecordKind::kAlert : RecordKind::kHandshake;
}

class LeanTransform final : public Transform {
 public:
  LeanTransform(LeanStart start, TlsCounters& counters, uint64_t records_per_key)
      : counters_(counters),
        sealing_(start.suite, start.secrets->server(), start.sealed),
        opening_(start.suite, start.secrets->client(), 0),
        records_per_key_(records_per_key),
        said_(std::move(start.said)),
        protocol_(std::move(start.protocol)),
        subject_(std::move(start.subject)) {
    ++counters_.records.connections;
  }

  // Transform
  Opened open(const Lease& lease, std::span<char>* wire, SlotPool& slots) override {
    while (reading_ == Reading::kOn) {
      Lease in = lease;
      std::span<char> record = reader_.next(&in, wire, slots, sealed_record_bytes);
      if (record.empty()) return {};
      Opened opened = open_record(in, record);
      if (opened.kind != Opened::Kind::kNeedMore) return opened;
    }
    return {.kind = reading_ == Reading::kBroken ? Opened::Kind::kBroken : Opened::Kind::kEnd};
  }
  bool ready() const override { return true; }
  bool has_output() const override { return update_due_ || alert_due_; }
  Sealed seal(std::span<const iovec> plain, std::span<char> into) override;
  // RFC 8446 section 6.1: nothing follows, not even an answer to a key update.
  void end() override {
    if (reading_ == Reading::kBroken) return;
    last_word(kWarning, kCloseNotify);
  }
  std::string_view protocol() const override { return protocol_; }
  std::string peer_subject() const override { return subject_; }
  const char* failure() const override { return failure_; }

 private:
  enum class Reading : uint8_t { kOn, kEnded, kBroken };

  Opened open_record(const Lease& in, std::span<char> record);
  Opened read_handshake(std::span<const char> content);
  Opened read_key_update(uint8_t request);
  Opened read_alert(std::span<const char> content);
  Opened nothing_read();
  Opened broken(RecordError error);
  void stop_reading(Reading how);

  void last_word(char level, uint8_t alert);
  size_t say_said(std::span<char> into);
  bool say(ContentType type, std::span<const char> content, std::span<char> into, Sealed* sealed);
  bool say_key_update(std::span<char> into, Sealed* sealed);
  void count(std::array<uint64_t, kRecordKinds>& records, ContentType type) {
    ++RecordCounters::of(records, kind_of(type));
  }

  // In the order of use, those of an event first.
  TlsCounters& counters_;
  RecordKeys sealing_;
  RecordSizes sizes_{kSealedOverheadBytes};
  RecordKeys opening_;
  const uint64_t records_per_key_;
  std::string said_;  // by the handshake, and has not left: tickets, which may wait for plain bytes
  RecordReader reader_;
  const std::string protocol_;
  const std::string subject_;
  const char* failure_ = "";
  unsigned records_without_bytes_ = 0;
  Reading reading_ = Reading::kOn;
  bool update_due_ = false;  // of our keys
  bool alert_due_ = false;
  bool last_word_fallen_ = false;
  std::array<char, 2> alert_{};
  std::array<char, kKeyUpdateBytes> message_{};  // of the client's, as far as it has come
  uint8_t message_bytes_ = 0;
};

Transform::Opened LeanTransform::open_record(const Lease& in, std::span<char> record) {
  if (sealed_record_bytes(record.data()) == 0) {
    bool sealed = byte_at(record, 0) == static_cast<uint8_t>(ContentType::kApplicationData);
    return broken(sealed ? RecordError::kRecordOverflow : RecordError::kUnexpectedMessage);
  }
  RecordKeys::Opened opened = opening_.open(record);
  if (opened.wrong) return broken(*opened.wrong);
  // Section 5.1: nothing comes between the parts of a message.
  if (message_bytes_ > 0 && opened.type != ContentType::kHandshake)
    return broken(RecordError::kUnexpectedMessage);
  std::span<char> content = opened.content;
  switch (opened.type) {
    case ContentType::kApplicationData:
      count(counters_.records.opened, opened.type);
      if (content.empty()) return nothing_read();
      records_without_bytes_ = 0;
      return {.kind = Opened::Kind::kBytes, .lease = in, .bytes = {content.data(), content.size()}};
    case ContentType::kHandshake:
      count(counters_.records.opened, opened.type);
      return read_handshake(content);
    case ContentType::kAlert:
      count(counters_.records.opened, opened.type);
      return read_alert(content);
    case ContentType::kInvalid:
    case ContentType::kChangeCipherSpec:
      break;
  }
  return broken(RecordError::kUnexpectedMessage);
}

// Of all messages behind the handshake a client may send but one (section 4.6).
Transform::Opened LeanTransform::read_handshake(std::span<const char> content) {
  if (content.empty()) return broken(RecordError::kUnexpectedMessage);  // section 5.4
  for (size_t i = 0; i < content.size(); ++i) {
    message_[message_bytes_++] = content[i];
    if (byte_at(message_, 0) != kKeyUpdate) return broken(RecordError::kUnexpectedMessage);
    if (message_bytes_ < kMessageHeaderBytes) continue;
    bool right_size = message_[1] == 0 && message_[2] == 0 && message_[3] == 1;
    if (!right_size) return broken(RecordError::kDecodeError);
    if (message_bytes_ < kKeyUpdateBytes) continue;
    // Section 5.1: what follows in this record was sealed under keys that are over.
    if (i + 1 < content.size()) return broken(RecordError::kUnexpectedMessage);
    message_bytes_ = 0;
    return read_key_update(byte_at(message_, kMessageHeaderBytes));
  }
  return nothing_read();
}

Transform::Opened LeanTransform::read_key_update(uint8_t request) {
  if (request > kUpdateRequested) return broken(RecordError::kIllegalParameter);
  ++counters_.records.key_updates_received;
  opening_.update();
  // However often it asks before we speak, one answer will do.
  if (request == kUpdateRequested && !last_word_fallen_) update_due_ = true;
  return nothing_read();
}

// Section 6: the level says nothing. Nothing is answered to an error.
Transform::Opened LeanTransform::read_alert(std::span<const char> content) {
  if (content.empty()) return broken(RecordError::kUnexpectedMessage);  // section 5.4
  if (content.size() != alert_.size()) return broken(RecordError::kDecodeError);
  switch (byte_at(content, 1)) {
    case kCloseNotify:
      stop_reading(Reading::kEnded);
      return {.kind = Opened::Kind::kEnd};
    case kUserCanceled:  // a close_notify follows
      return nothing_read();
    default:
      return broken(RecordError::kByPeer);
  }
}

Transform::Opened LeanTransform::nothing_read() {
  if (++records_without_bytes_ > kRecordsWithoutBytesMax)
    return broken(RecordError::kUnexpectedMessage);
  return {};
}

Transform::Opened LeanTransform::broken(RecordError error) {
  ++counters_.broken;
  ++counters_.records.errors[static_cast<size_t>(error)];
  failure_ = error == RecordError::kByPeer ? "alert" : record_error_name(error);
  stop_reading(Reading::kBroken);
  if (error == RecordError::kByPeer) {
    // Section 6.2: both forget the keys, and nothing is sent any more.
    last_word_fallen_ = true;
    update_due_ = alert_due_ = false;
    std::string().swap(said_);
    sealing_.wipe();
  } else {
    last_word(kFatal, alert_of(error));
  }
  return {.kind = Opened::Kind::kBroken};
}

void LeanTransform::stop_reading(Reading how) {
  reading_ = how;
  opening_.wipe();
}

// The one alert that we send; after an ending there is not even an error to be told.
void LeanTransform::last_word(char level, uint8_t alert) {
  if (std::exchange(last_word_fallen_, true)) return;
  alert_ = {level, static_cast<char>(alert)};
  alert_due_ = true;
  update_due_ = false;
}

size_t LeanTransform::say_said(std::span<char> into) {
  size_t size = std::min(said_.size(), into.size());
  std::memcpy(into.data(), said_.data(), size);
  if (size == said_.size())
    std::string().swap(said_);  // with its memory: a ticket is of no use any more
  else
    said_.erase(0, size);
  return size;
}

// False: there is no room.
bool LeanTransform::say(ContentType type, std::span<const char> content, std::span<char> into,
                        Sealed* sealed) {
  std::span<char> room = into.subspan(sealed->wire);
  if (room.size() < content.size() + kSealedOverheadBytes) return false;
  std::ranges::copy(content, room.data() + kRecordHeaderBytes);
  sealed->wire += sealing_.seal(type, content.size(), room.data());
  count(counters_.records.sealed, type);
  return true;
}

// We ask for none in return: a client's keys are its own duty.
bool LeanTransform::say_key_update(std::span<char> into, Sealed* sealed) {
  constexpr std::array<char, kKeyUpdateBytes> kMessage{kKeyUpdate, 0, 0, 1, kUpdateNotRequested};
  if (!say(ContentType::kHandshake, kMessage, into, sealed)) return false;
  sealing_.update();
  update_due_ = false;
  ++counters_.records.key_updates_sent;
  return true;
}

Transform::Sealed LeanTransform::seal(std::span<const iovec> plain, std::span<char> into) {
  Sealed sealed{.plain = 0, .wire = say_said(into)};  // all of it, or there is no room for more
  if (update_due_ && !say_key_update(into, &sealed)) return sealed;
  if (alert_due_ && say(ContentType::kAlert, alert_, into, &sealed)) {
    alert_due_ = false;
    sealing_.wipe();
  }
  if (plain.empty() || last_word_fallen_) return sealed;
  PlainBytes bytes(plain);
  sizes_.begin_batch(bytes.left());
  while (bytes.left() > 0) {
    // The update is itself a record under the keys that it ends.
    if (sealing_.records() + 1 >= records_per_key_ && !say_key_update(into, &sealed)) break;
    std::span<char> room = into.subspan(sealed.wire);
    size_t size = sizes_.next(bytes.left(), room.size(), sealed.wire > 0);
    if (size == 0) break;
    char* content = room.data() + kRecordHeaderBytes;
    const char* from = bytes.take(size, content);
    if (from != content) std::memcpy(content, from, size);
    sealed.wire += sealing_.seal(ContentType::kApplicationData, size, room.data());
    sealed.plain += size;
    count(counters_.records.sealed, ContentType::kApplicationData);
    if (records_without_bytes_ > 0) --records_without_bytes_;
  }
  return sealed;
}

}  // namespace

std::unique_ptr<Transform> make_lean_transform(LeanStart start, TlsCounters& counters,
                                               uint64_t records_per_key) {
  SLUICE_CHECK(start.secrets && start.secrets->complete());
  return std::make_unique<LeanTransform>(std::move(start), counters, records_per_key);
}

}  // namespace sluice

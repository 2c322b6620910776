// A transform that really transforms, for tests: records of a type, a length of two bytes and a
// payload that is XORed with a running key, so that a byte that is lost, doubled or moved spoils
// all that follow. The client says hello, the server answers, the client confirms. An end record is
// the ending; a question in the middle is answered by the transform itself.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include <gtest/gtest.h>

#include "net/transport/transform.h"

namespace sluice::test {

enum class ToyType : char {
  kHello = 'H',
  kConfirm = 'C',
  kTicket = 'T',  // from the server behind its handshake, of no use to anybody
  kData = 'D',
  kQuestion = 'Q',
  kAnswer = 'A',
  kEnd = 'E',
};

// One direction's.
class ToyKey {
 public:
  void apply(char* bytes, size_t size) {
    for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(bytes[i] ^ next());
  }

 private:
  char next() {
    state_ = state_ * 1103515245 + 12345;
    return static_cast<char>(state_ >> 16);
  }
  uint32_t state_ = 42;
};

struct ToyOptions {
  bool server = false;
  size_t record_bytes = 1000;  // the most plain bytes in one
  size_t hello_bytes = 10;
  bool tickets = true;
  bool refuses_plain = false;  // once it is ready, it seals nothing any more
};

inline constexpr size_t kToyHeader = 3;

inline std::string toy_record(ToyType type, std::string payload, ToyKey& key) {
  std::string record{static_cast<char>(type), static_cast<char>(payload.size() >> 8),
                     static_cast<char>(payload.size())};
  key.apply(payload.data(), payload.size());
  return record + payload;
}

class ToyTransform final : public Transform {
 public:
  using Kind = Opened::Kind;

  explicit ToyTransform(const ToyOptions& options) : options_(options) {
    if (!options.server) say(ToyType::kHello, std::string(options.hello_bytes, 'h'));
  }

  Opened open(const Lease& lease, std::span<char>* wire, SlotPool& slots) override {
    Opened opened;
    do opened = open_record(lease, wire, slots);
    while (opened.kind == Kind::kNeedMore && !wire->empty());
    return opened;
  }
  Opened open_record(const Lease& lease, std::span<char>* wire, SlotPool& slots) {
    if (broken_) return {.kind = Kind::kBroken};
    while (header_size_ < kToyHeader && !wire->empty()) {
      header_[header_size_++] = wire->front();
      *wire = wire->subspan(1);
    }
    if (header_size_ < kToyHeader) return {};
    if (std::string_view("HCTDQAE").find(header_[0]) == std::string_view::npos) return broken();
    size_t size = payload_size();
    if (!part_ && wire->size() >= size) {  // all of it is here: opened in place
      std::span<char> payload = wire->first(size);
      *wire = wire->subspan(size);
      return take(lease, payload);
    }
    if (wire->empty()) return {};
    if (!part_) {
      part_ = slots.take_block(static_cast<uint32_t>(size), true);
    }
    size_t more = std::min(wire->size(), size - part_size_);
    std::memcpy(part_.data() + part_size_, wire->data(), more);
    part_size_ += more;
    *wire = wire->subspan(more);
    if (part_size_ < size) return {};
    Lease whole = std::exchange(part_, {});
    part_size_ = 0;
    return take(whole, {whole.data(), size});
  }

  bool ready() const override { return ready_; }
  bool has_output() const override { return !own_.empty(); }

  Sealed seal(std::span<const iovec> plain, std::span<char> into) override {
    Sealed sealed;
    while (!own_.empty() && sealed.wire < into.size()) {
      size_t size = own_.copy(into.data() + sealed.wire, into.size() - sealed.wire);
      own_.erase(0, size);
      sealed.wire += size;
    }
    EXPECT_TRUE(plain.empty() || (ready_ && !ended_));
    if (options_.refuses_plain) return sealed;
    std::string bytes;
    for (const iovec& piece : plain)
      bytes.append(static_cast<char*>(piece.iov_base), piece.iov_len);
    while (own_.empty() && sealed.plain < bytes.size() && into.size() - sealed.wire > kToyHeader) {
      size_t room = into.size() - sealed.wire - kToyHeader;
      std::string payload = bytes.substr(sealed.plain, std::min(room, options_.record_bytes));
      sealed.plain += payload.size();
      std::string record = toy_record(ToyType::kData, std::move(payload), seal_key_);
      sealed.wire += record.copy(into.data() + sealed.wire, record.size());
    }
    return sealed;
  }

  void end() override {
    if (ready_ && !broken_) say(ToyType::kEnd, "bye");
    ended_ = true;
  }

 private:
  size_t payload_size() const {
    return static_cast<size_t>(static_cast<uint8_t>(header_[1])) << 8 |
           static_cast<uint8_t>(header_[2]);
  }
  void say(ToyType type, const std::string& payload) {
    own_ += toy_record(type, payload, seal_key_);
  }
  Opened ready_now() {
    ready_ = true;
    return {.kind = Kind::kReady};
  }
  Opened broken() {
    broken_ = true;
    return {.kind = Kind::kBroken};
  }

  Opened take(const Lease& lease, std::span<char> payload) {
    header_size_ = 0;
    open_key_.apply(payload.data(), payload.size());
    std::string_view bytes(payload.data(), payload.size());
    switch (static_cast<ToyType>(header_[0])) {
      case ToyType::kHello:
        if (ready_ || bytes.find_first_not_of('h') != bytes.npos) return broken();
        if (options_.server) {
          say(ToyType::kHello, std::string(options_.hello_bytes, 'h'));
          return {};
        }
        say(ToyType::kConfirm, "ok");
        return ready_now();
      case ToyType::kConfirm:
        if (!options_.server || ready_ || bytes != "ok") return broken();
        if (options_.tickets) say(ToyType::kTicket, "ticket");
        return ready_now();
      case ToyType::kTicket:
      case ToyType::kAnswer:
        return {};
      case ToyType::kQuestion:
        say(ToyType::kAnswer, std::string(bytes));
        return {};
      case ToyType::kData:
        if (!ready_) return broken();
        return {.kind = Kind::kBytes, .lease = lease, .bytes = bytes};
      case ToyType::kEnd:
        return bytes == "bye" ? Opened{.kind = Kind::kEnd} : broken();
    }
    return broken();
  }

  ToyOptions options_;
  ToyKey seal_key_;
  ToyKey open_key_;
  std::array<char, kToyHeader> header_{};
  size_t header_size_ = 0;
  Lease part_;
  size_t part_size_ = 0;
  std::string own_;
  bool ready_ = false;
  bool broken_ = false;
  bool ended_ = false;
};

// In that order, which the operands of + do not keep.
inline std::string joined(std::initializer_list<std::string> pieces) {
  std::string all;
  for (const std::string& piece : pieces) all += piece;
  return all;
}

// The other end's: what it says, as bytes of the wire, and what it has heard.
class ToyTalk {
 public:
  std::string say(ToyType type, std::string payload = "") {
    return toy_record(type, std::move(payload), seal_key_);
  }
  std::string hello(size_t bytes = 10) { return say(ToyType::kHello, std::string(bytes, 'h')); }
  std::string confirm() { return say(ToyType::kConfirm, "ok"); }
  // All that a client says to begin with: the toy server needs no answer to be answered.
  std::string begin() { return joined({hello(), confirm()}); }
  std::string data(std::string_view bytes, size_t record_bytes = 1000) {
    std::string wire;
    for (; !bytes.empty(); bytes.remove_prefix(std::min(bytes.size(), record_bytes)))
      wire += say(ToyType::kData, std::string(bytes.substr(0, record_bytes)));
    return wire;
  }
  std::string end() { return say(ToyType::kEnd, "bye"); }

  void hear(std::string_view wire) {
    unheard_ += wire;
    size_t used = 0;
    while (unheard_.size() - used >= kToyHeader) {
      size_t size = static_cast<size_t>(static_cast<uint8_t>(unheard_[used + 1])) << 8 |
                    static_cast<uint8_t>(unheard_[used + 2]);
      if (unheard_.size() - used < kToyHeader + size) break;
      std::string payload = unheard_.substr(used + kToyHeader, size);
      open_key_.apply(payload.data(), size);
      EXPECT_FALSE(ended()) << "a record behind the end";
      types += unheard_[used];
      if (unheard_[used] == static_cast<char>(ToyType::kData)) plain += payload;
      if (unheard_[used] == static_cast<char>(ToyType::kAnswer)) answers += payload;
      EXPECT_TRUE(!ended() || payload == "bye");
      used += kToyHeader + size;
    }
    unheard_.erase(0, used);
  }
  bool heard(ToyType type) const { return types.find(static_cast<char>(type)) != types.npos; }
  bool ended() const { return heard(ToyType::kEnd); }
  bool in_mid_record() const { return !unheard_.empty(); }

  std::string plain;
  std::string answers;
  std::string types;  // of the records that came

 private:
  ToyKey seal_key_;
  ToyKey open_key_;
  std::string unheard_;
};

}  // namespace sluice::test

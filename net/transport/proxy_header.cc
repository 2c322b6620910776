#include "net/transport/proxy_header.h"

#include <algorithm>
#include <optional>

#include "core/text.h"

namespace sluice {

namespace {

constexpr std::string_view kLineStart = "PROXY ";
constexpr std::string_view kBinaryStart{"\r\n\r\n\0\r\nQUIT\n", 12};
constexpr size_t kBinaryHeaderBytes = 16;

uint8_t byte_at(std::string_view bytes, size_t i) {
  return static_cast<uint8_t>(bytes[i]);
}

// The next word of a line whose words are parted by one blank.
std::string_view take_word(std::string_view* line) {
  size_t end = std::min(line->find(' '), line->size());
  std::string_view word = line->substr(0, end);
  line->remove_prefix(std::min(end + 1, line->size()));
  return word;
}

bool is_port(std::string_view text) {
  std::optional<uint64_t> number = parse_decimal(text);
  return number && *number <= UINT16_MAX && (text == "0" || !text.starts_with('0'));
}

bool is_of(const std::optional<Address>& address, int family) {
  return address && address->storage.ss_family == family;
}

}  // namespace

size_t ProxyHeader::feed(std::string_view bytes) {
  size_t used = 0;
  while (!done_ && used < bytes.size()) {
    if (to_skip_ > 0) {
      size_t part = std::min(to_skip_, bytes.size() - used);
      to_skip_ -= part;
      used += part;
      if (to_skip_ == 0) done_ = true;
    } else {
      bytes_[size_++] = bytes[used++];
      look();
    }
  }
  return used;
}

void ProxyHeader::look() {
  bool line = seen().starts_with(kLineStart.substr(0, size_));
  bool binary = seen().starts_with(kBinaryStart.substr(0, size_));
  if (!line && !binary) {
    finish(ProxyResult::kMissing);
  } else if (binary) {
    if (size_ >= kBinaryHeaderBytes) read_binary();
  } else if (seen().ends_with("\r\n")) {
    read_line();
  } else if (size_ == kBytesMax ||
             (size_ > kLineStart.size() && bytes_[size_ - 1] < ' ' && bytes_[size_ - 1] != '\r')) {
    finish(ProxyResult::kInvalid);
  }
}

// "PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n", or "PROXY UNKNOWN" and whatever follows.
void ProxyHeader::read_line() {
  std::string_view rest = seen().substr(kLineStart.size(), size_ - kLineStart.size() - 2);
  std::string_view family = take_word(&rest);
  if (family == "UNKNOWN") return finish(ProxyResult::kLocal);
  if (family != "TCP4" && family != "TCP6") return finish(ProxyResult::kInvalid);
  int wanted = family == "TCP4" ? AF_INET : AF_INET6;
  std::optional<Address> source = parse_ip(take_word(&rest));
  std::optional<Address> destination = parse_ip(take_word(&rest));
  bool ports = is_port(take_word(&rest));
  ports = is_port(rest) && ports;
  if (!is_of(source, wanted) || !is_of(destination, wanted) || !ports)
    return finish(ProxyResult::kInvalid);
  client_ = Ip::of(*source);
  finish(client_.known() ? ProxyResult::kAddress : ProxyResult::kInvalid);
}

// Called again until the addresses are complete.
void ProxyHeader::read_binary() {
  constexpr uint8_t kLocalCommand = 0x20;
  constexpr uint8_t kProxyCommand = 0x21;
  constexpr unsigned kInet = 1;
  constexpr unsigned kInet6 = 2;
  uint8_t command = byte_at(seen(), 12);
  unsigned family = byte_at(seen(), 13) >> 4;
  size_t length = size_t{byte_at(seen(), 14)} << 8 | byte_at(seen(), 15);
  if (command != kLocalCommand && command != kProxyCommand) return finish(ProxyResult::kInvalid);
  bool named = command == kProxyCommand && (family == kInet || family == kInet6);
  size_t address_bytes = family == kInet ? 12 : 36;
  if (!named) {
    result_ = ProxyResult::kLocal;
    to_skip_ = length;
    done_ = length == 0;
    return;
  }
  if (length < address_bytes) return finish(ProxyResult::kInvalid);
  if (size_ < kBinaryHeaderBytes + address_bytes) return;
  const char* source = bytes_.data() + kBinaryHeaderBytes;
  client_ = {};
  if (family == kInet) {
    client_.bytes[10] = client_.bytes[11] = 0xff;
    std::copy_n(source, 4, client_.bytes.begin() + 12);
  } else {
    std::copy_n(source, 16, client_.bytes.begin());
  }
  if (!client_.known()) return finish(ProxyResult::kInvalid);
  result_ = ProxyResult::kAddress;
  to_skip_ = length - address_bytes;
  done_ = to_skip_ == 0;
}

}  // namespace sluice

#include "tests/sim/http.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstdlib>

#include "core/text.h"

namespace sluice::sim {

namespace {

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return result;
}

bool is_hex(std::string_view text) {
  return !text.empty() && text.size() < 16 &&
         std::all_of(text.begin(), text.end(),
                     [](unsigned char c) { return std::isxdigit(c) != 0; });
}

}  // namespace

std::optional<std::string> MessageHead::find(std::string_view name) const {
  for (const auto& [field, value] : fields)
    if (field == name) return value;
  return std::nullopt;
}

std::string MessageHead::target() const {
  size_t start = first_line.find(' ') + 1;
  return first_line.substr(start, first_line.find(' ', start) - start);
}

int MessageHead::status() const {
  return static_cast<int>(
      parse_decimal(first_line.substr(first_line.find(' ') + 1, 3)).value_or(0));
}

std::string chunk_size_line(size_t size, bool large_letters) {
  std::array<char, 16> digits;
  char* end = std::to_chars(digits.begin(), digits.end(), size, 16).ptr;
  if (large_letters) std::transform(digits.begin(), end, digits.begin(), ::toupper);
  return std::string(digits.begin(), end) + "\r\n";
}

void MessageReader::begin(bool to_head) {
  to_head_ = to_head;
  started_ = false;
  state_ = State::kHead;
  framing_ = Framing::kNone;
  chunk_ = Chunk::kSize;
  head_ = {};
  line_.clear();
  left_ = 0;
}

void MessageReader::broken(std::string what) {
  state_ = State::kBroken;
  wrong_ = std::move(what);
}

// A whole line without its CRLF; false where it is not complete yet, or wrong.
bool MessageReader::take_line(std::string_view& bytes, std::string* line) {
  while (!bytes.empty()) {
    char c = bytes.front();
    bytes.remove_prefix(1);
    line_ += c;
    if (c != '\n') continue;
    if (!line_.ends_with("\r\n")) {
      broken("a line that ends without CR");
      return false;
    }
    *line = line_.substr(0, line_.size() - 2);
    line_.clear();
    return true;
  }
  return false;
}

size_t MessageReader::feed(std::string_view bytes,
                           const std::function<void(std::string_view)>& on_body) {
  const size_t given = bytes.size();
  std::string line;
  while (!bytes.empty() && (state_ == State::kHead || state_ == State::kBody)) {
    started_ = true;
    bool in_data =
        state_ == State::kBody && (framing_ == Framing::kLength ||
                                   framing_ == Framing::kUntilClose || chunk_ == Chunk::kData);
    if (!in_data) {
      if (take_line(bytes, &line)) on_line(line);
      continue;
    }
    size_t size = framing_ == Framing::kUntilClose ? bytes.size() : std::min(left_, bytes.size());
    on_body(bytes.substr(0, size));
    bytes.remove_prefix(size);
    if (framing_ == Framing::kUntilClose) continue;
    left_ -= size;
    if (left_ > 0) continue;
    if (framing_ == Framing::kLength)
      state_ = State::kComplete;
    else
      chunk_ = Chunk::kDataEnd;
  }
  return given - bytes.size();
}

void MessageReader::on_line(std::string_view line) {
  if (state_ == State::kBody) {
    if (chunk_ == Chunk::kSize) return on_chunk_size(line);
    if (!line.empty()) return broken("text where a chunk or the trailer ends");
    if (chunk_ == Chunk::kLast)
      state_ = State::kComplete;
    else
      chunk_ = Chunk::kSize;
    return;
  }
  if (head_.first_line.empty()) {
    bool good = responses_ ? line.starts_with("HTTP/1.1 ") && parse_decimal(line.substr(9, 3))
                           : line.ends_with(" HTTP/1.1");
    if (!good) return broken("a first line: " + std::string(line));
    head_.first_line = line;
    return;
  }
  if (line.empty()) return on_head_complete();
  size_t colon = line.find(": ");
  if (colon == 0 || colon == std::string_view::npos) return broken("a field: " + std::string(line));
  head_.fields.emplace_back(lower(line.substr(0, colon)), line.substr(colon + 2));
}

void MessageReader::on_head_complete() {
  auto length = head_.find("content-length");
  auto coding = head_.find("transfer-encoding");
  if (length && coding) return broken("a length and a transfer coding");
  if (coding && lower(*coding) != "chunked") return broken("transfer coding " + *coding);
  auto bytes = length ? parse_decimal(*length) : std::optional<uint64_t>(0);
  if (!bytes) return broken("length " + *length);
  int status = responses_ ? head_.status() : 0;
  bool bodyless = responses_ && (to_head_ || status < 200 || status == 204 || status == 304);
  left_ = *bytes;
  if (bodyless || (!responses_ && !length && !coding) || (length && left_ == 0)) {
    framing_ = Framing::kNone;
    state_ = State::kComplete;
    return;
  }
  state_ = State::kBody;
  framing_ = length ? Framing::kLength : coding ? Framing::kChunked : Framing::kUntilClose;
}

void MessageReader::on_chunk_size(std::string_view line) {
  if (!is_hex(line)) return broken("a chunk's size: " + std::string(line));
  left_ = std::strtoull(std::string(line).c_str(), nullptr, 16);
  chunk_ = left_ == 0 ? Chunk::kLast : Chunk::kData;
}

bool MessageReader::finish() {
  if (state_ == State::kBody && framing_ == Framing::kUntilClose) state_ = State::kComplete;
  return state_ == State::kComplete || (state_ == State::kHead && !started_);
}

}  // namespace sluice::sim

// HTTP/2 frames as a client writes them, and those that come as words.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::test {

inline std::string frame(uint8_t type, uint8_t flags, uint32_t id, std::string_view payload) {
  std::string out;
  for (int shift : {16, 8, 0}) out += static_cast<char>(payload.size() >> shift);
  out += static_cast<char>(type);
  out += static_cast<char>(flags);
  for (int shift : {24, 16, 8, 0}) out += static_cast<char>(id >> shift);
  return out.append(payload);
}

// The preface, and settings: windows of streams, and of the connection, as large as can be.
inline std::string first_frames() {
  return "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" +
         frame(4, 0, 0, std::string_view("\0\4\x7f\xff\xff\xff", 6));
}

using HeadFields = std::vector<std::pair<std::string, std::string>>;

// A GET without a body.
inline std::string request_frame(uint32_t id, std::string_view path, const HeadFields& more = {}) {
  HeadFields fields = {{":method", "GET"},
                       {":scheme", "http"},
                       {":authority", "a.test"},
                       {":path", std::string(path)}};
  fields.insert(fields.end(), more.begin(), more.end());
  std::string block;
  for (const auto& [name, value] : fields) {
    block += '\0';  // a literal that enters no table
    block += static_cast<char>(name.size());
    block += name;
    block += static_cast<char>(value.size());
    block += value;
  }
  return frame(1, /*END_HEADERS | END_STREAM*/ 5, id, block);
}

struct SeenFrame {
  uint8_t type;
  uint8_t flags;
  uint32_t id;
  std::string payload;
};

// Takes the whole frames off the front.
inline std::vector<SeenFrame> take_frames(std::string& bytes) {
  std::vector<SeenFrame> seen;
  auto byte = [&](size_t at) { return static_cast<uint32_t>(static_cast<uint8_t>(bytes[at])); };
  while (bytes.size() >= 9) {
    size_t size = byte(0) << 16 | byte(1) << 8 | byte(2);
    if (bytes.size() < 9 + size) break;
    seen.push_back({static_cast<uint8_t>(byte(3)), static_cast<uint8_t>(byte(4)),
                    byte(5) << 24 | byte(6) << 16 | byte(7) << 8 | byte(8), bytes.substr(9, size)});
    bytes.erase(0, 9 + size);
  }
  return seen;
}

// A word for each frame.
inline std::string frames_in(std::string bytes) {
  constexpr std::array kNames = {"data", "headers", "priority", "rst_stream",    "settings",
                                 "push", "ping",    "goaway",   "window_update", "continuation"};
  std::string words;
  for (const SeenFrame& seen : take_frames(bytes)) {
    words += kNames.at(seen.type);
    if ((seen.flags & 1) != 0) words += seen.type == 4 || seen.type == 6 ? ":ack" : ":end";
    words += " ";
  }
  return words + bytes;
}

}  // namespace sluice::test

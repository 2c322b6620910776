// Both peers' view of HTTP/1.1: messages read byte by byte, more strictly than any real peer would,
// since whatever the gateway writes has to be right. Written for the simulation, to share no
// mistake with the product.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sluice::sim {

struct MessageHead {
  std::string first_line;
  std::vector<std::pair<std::string, std::string>> fields;  // names in lower case

  std::optional<std::string> find(std::string_view name) const;
  // Of a request "METHOD TARGET HTTP/1.1"; of a response the status.
  std::string method() const { return first_line.substr(0, first_line.find(' ')); }
  std::string target() const;
  int status() const;
};

// The line before a chunk of that size; in a request of some clients with large letters.
std::string chunk_size_line(size_t size, bool large_letters = false);

// Reads messages one after the other.
class MessageReader {
 public:
  enum class State : uint8_t { kHead, kBody, kComplete, kBroken };

  explicit MessageReader(bool responses) : responses_(responses) {}

  // For the next message; of responses, whether they answer a HEAD.
  void begin(bool to_head);
  // Takes bytes up to the end of the message; body bytes go to on_body. The number taken.
  size_t feed(std::string_view bytes, const std::function<void(std::string_view)>& on_body);
  // The connection has ended in order: true where that is this message's end.
  bool finish();

  State state() const { return state_; }
  bool started() const { return started_; }
  bool until_close() const { return framing_ == Framing::kUntilClose; }
  const MessageHead& head() const { return head_; }
  const std::string& what_is_wrong() const { return wrong_; }

 private:
  enum class Framing : uint8_t { kNone, kLength, kChunked, kUntilClose };
  enum class Chunk : uint8_t { kSize, kData, kDataEnd, kLast };

  void broken(std::string what);
  void on_line(std::string_view line);
  void on_head_complete();
  void on_chunk_size(std::string_view line);
  bool take_line(std::string_view& bytes, std::string* line);

  bool responses_;
  bool to_head_ = false;
  bool started_ = false;
  State state_ = State::kHead;
  Framing framing_ = Framing::kNone;
  Chunk chunk_ = Chunk::kSize;
  MessageHead head_;
  std::string line_;
  size_t left_ = 0;
  std::string wrong_;
};

}  // namespace sluice::sim

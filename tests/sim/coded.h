// Content codings as peers have them: an upstream packs a body and flushes each event, a client
// unpacks what it was sent so far. Straight from the libraries, so that the gateway's own coders
// are judged by others than themselves.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace sluice::sim {

// "gzip" or "zstd".
class BodyPacker {
 public:
  explicit BodyPacker(std::string_view coding);
  ~BodyPacker();
  BodyPacker(const BodyPacker&) = delete;
  BodyPacker& operator=(const BodyPacker&) = delete;

  // What the bytes become, all of it readable; `ends`: nothing follows.
  std::string pack(std::string_view plain, bool ends);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

class BodyUnpacker {
 public:
  explicit BodyUnpacker(std::string_view coding);
  ~BodyUnpacker();
  BodyUnpacker(const BodyUnpacker&) = delete;
  BodyUnpacker& operator=(const BodyUnpacker&) = delete;

  // Appends what can be read. False: it is no such coding.
  bool unpack(std::string_view packed, std::string& plain);
  // The body may end here.
  bool at_end() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sluice::sim

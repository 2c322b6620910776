// How a message is written for the wire: what a protocol's rooms give a stream, so that the stream
// itself writes no protocol text. Writers have no state; one object serves all streams of a worker,
// or of all workers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "net/http/head.h"
#include "net/http/rewrite.h"

namespace sluice {

// What stands around the body bytes that leave together. Where a message has none, its bytes stand
// by themselves.
struct BodyFraming {
  static constexpr size_t kPrefixBytesMax = 10;

  // Writes what comes before `size` body bytes; returns how much that is.
  size_t (*write_prefix)(char* into, uint64_t size);
  // What comes behind them, and behind that what ends the body, as one text.
  std::string_view ends;
  size_t end_size;  // of what comes behind each
};

// What a response's head has promised of its body.
struct WrittenHead {
  const BodyFraming* framing = nullptr;
  // The body ends with the connection.
  bool ends_with_connection = false;
};

// Towards a client. `out` is appended to.
class ResponseWriter {
 public:
  // The final head.
  virtual WrittenHead write_head(const Head& head, const ResponseRewrite& rewrite,
                                 std::string& out) const = 0;
  // The head that commits a 200 event stream before the upstream has answered.
  virtual WrittenHead write_early_head(bool keep_alive, std::string_view date,
                                       std::string& out) const = 0;
  // The client knows interim (1xx) responses.
  virtual bool knows_interim() const = 0;
  virtual void write_interim_head(const Head& head, std::string& out) const = 0;
  // A whole response of our own. False: it ends with the connection, whatever `problem` says.
  virtual bool write_problem(const ProblemResponse& problem, std::string& out) const = 0;

 protected:
  ~ResponseWriter() = default;
};

// Towards an upstream.
class RequestWriter {
 public:
  // The framing of its body.
  virtual const BodyFraming* write_head(const Head& head, const RequestRewrite& rewrite,
                                        std::string& out) const = 0;

 protected:
  ~RequestWriter() = default;
};

}  // namespace sluice

// How a message is written for the wire. A protocol's room gives a stream its writers, so that the
// stream itself writes no protocol text. Writers have no state; one object serves all streams of a
// worker, or of all workers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "net/http/head.h"
#include "net/http/rewrite.h"

namespace sluice {

// The bytes around the body bytes that leave together. A message without framing has none.
struct BodyFraming {
  static constexpr size_t kPrefixBytesMax = 10;

  // Writes the bytes before `size` body bytes; returns their number.
  size_t (*write_prefix)(char* into, uint64_t size);
  // The bytes behind them, followed by the end of the whole body, as one text.
  std::string_view ends;
  size_t end_size;  // of the bytes behind each batch
};

// The promise of a response's head about its body.
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
  // A whole response of our own. False: it ends with the connection, even if `problem` says
  // otherwise.
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

// Heads of responses for HTTP/2, as a stream's outbox holds them until its connection frames them:
// the fields one behind the other, names in lower case, ":status" first. Bodies have no framing of
// their own, DATA frames are the connection's. Without state, for any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "net/http/message_writer.h"
#include "net/http2/session.h"

namespace sluice {

class Http2ResponseWriter final : public ResponseWriter {
 public:
  // Keeps the upstream's Content-Length, except for event streams, into which we write.
  WrittenHead write_head(const Head& head, const ResponseRewrite& rewrite,
                         std::string& out) const override;
  WrittenHead write_early_head(bool keep_alive, std::string_view date,
                               std::string& out) const override;
  bool knows_interim() const override { return true; }
  void write_interim_head(const Head& head, std::string& out) const override;
  // application/problem+json (RFC 9457); its body lies behind the head.
  bool write_problem(const ProblemResponse& problem, std::string& out) const override;
};
const Http2ResponseWriter& http2_response_writer();

// The first head of what such a writer has written: the fields are views of `text`; returns its
// size.
size_t read_written_head(std::string_view text, std::vector<Http2Field>& fields);
// It is not the last one.
bool is_interim(const std::vector<Http2Field>& fields);

}  // namespace sluice

// A chunked body, cut anywhere, before our decoder and before llhttp: what both accept has the same
// data and the same end, and where they differ the bytes show a reason that is known.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
#include <llhttp.h>

#include "net/http/text.h"
#include "net/http1/chunked_decoder.h"
#include "tests/fuzz/fuzz_input.h"

using namespace sluice;
using namespace sluice::test;

namespace {

constexpr ChunkedDecoder::Limits kLimits{1 << 20, 1 << 20};

struct Outcome {
  bool complete = false;
  bool refused = false;
  size_t end = 0;  // of a complete body
  std::string data;

  bool operator==(const Outcome&) const = default;
};

struct Sink final : BodySink {
  void on_body(std::string_view bytes) override { data.append(bytes); }
  std::string data;
};

Outcome ours(std::string_view bytes, const std::vector<size_t>& cuts) {
  ChunkedDecoder decoder;
  Sink sink;
  Outcome outcome;
  size_t at = 0;
  for (size_t i = 0; i <= cuts.size() && !outcome.complete && !outcome.refused; ++i) {
    const size_t to = i < cuts.size() ? cuts[i] : bytes.size();
    const std::string piece(bytes.substr(at, to - at));
    const ChunkedDecoder::Step step = decoder.feed(piece, kLimits, sink);
    outcome.complete = step.event == ChunkedDecoder::Event::kEnd;
    outcome.refused = step.event == ChunkedDecoder::Event::kError;
    at += step.consumed;
    EXPECT_TRUE(at == to || outcome.complete || outcome.refused);
  }
  outcome.end = outcome.complete ? at : 0;
  outcome.data = sink.data;
  return outcome;
}

Outcome llhttps(std::string_view bytes) {
  Outcome outcome;
  llhttp_settings_t settings;
  llhttp_settings_init(&settings);
  settings.on_body = [](llhttp_t* llhttp, const char* at, size_t size) {
    static_cast<Outcome*>(llhttp->data)->data.append(at, size);
    return 0;
  };
  settings.on_message_complete = [](llhttp_t*) -> int { return HPE_PAUSED; };
  llhttp_t llhttp;
  llhttp_init(&llhttp, HTTP_REQUEST, &settings);
  llhttp.data = &outcome;
  constexpr std::string_view kHead = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_EQ(llhttp_execute(&llhttp, kHead.data(), kHead.size()), HPE_OK);
  if (bytes.empty()) return outcome;
  const llhttp_errno_t error = llhttp_execute(&llhttp, bytes.data(), bytes.size());
  outcome.complete = error == HPE_PAUSED;
  outcome.refused = error != HPE_OK && error != HPE_PAUSED;
  if (outcome.complete)
    outcome.end = static_cast<size_t>(llhttp_get_error_pos(&llhttp) - bytes.data());
  return outcome;
}

bool contains(std::string_view bytes, std::string_view text) {
  return bytes.find(text) != std::string_view::npos;
}

bool has_huge_size(std::string_view bytes) {
  size_t digits = 0;
  return std::ranges::any_of(
      bytes, [&digits](char c) { return (digits = is_hex_digit(c) ? digits + 1 : 0) >= 16; });
}

bool names_framing(std::string_view bytes) {
  std::string lower(bytes);
  std::ranges::transform(lower, lower.begin(), ascii_lower);
  return contains(lower, "content-length") || contains(lower, "transfer-encoding");
}

// llhttp takes an LF alone for the end of the body, trailers that are folded, have no name or name
// the framing, what is no extension, and sizes of 64 bits.
bool we_may_be_stricter(std::string_view bytes) {
  bool lone_lf = false;
  for (size_t i = 0; i < bytes.size(); ++i)
    lone_lf |= bytes[i] == '\n' && (i == 0 || bytes[i - 1] != '\r');
  const bool folded = contains(bytes, "\n ") || contains(bytes, "\n\t");
  return lone_lf || folded || contains(bytes, "\n:") || contains(bytes, ";") ||
         names_framing(bytes) || has_huge_size(bytes);
}

// llhttp refuses a second extension, what is escaped in one, and blanks, at once.
bool llhttp_may_be_stricter(std::string_view bytes) {
  return contains(bytes, ";") || (!bytes.empty() && is_blank(bytes.back()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzInput input(data, size);
  const std::vector<size_t> cuts = input.cuts();
  const std::string_view bytes = input.rest();
  SCOPED_TRACE(::testing::PrintToString(bytes));
  const Outcome mine = ours(bytes, {});
  EXPECT_EQ(mine, ours(bytes, cuts));
  const Outcome theirs = llhttps(bytes);
  if (mine.refused) {
    EXPECT_TRUE(theirs.refused || we_may_be_stricter(bytes));
    // What came before the fault is the same, but that llhttp may have read on.
    EXPECT_TRUE(std::string_view(theirs.data).starts_with(mine.data) || contains(bytes, ";"));
  } else if (theirs.refused) {
    EXPECT_TRUE(llhttp_may_be_stricter(bytes));
  } else {
    EXPECT_EQ(mine, theirs);
  }
  return 0;
}

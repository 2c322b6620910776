// Shared by the HTTP/1 tests: feeds bytes to a parser in pieces and writes down all that it said,
// so that two ways of feeding can be compared as text. Each piece lies in an allocation of exactly
// its size, so that ASan sees a read beyond it.
#pragma once

#include <cstddef>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "net/http/head.h"
#include "net/http1/parser.h"

namespace sluice::test {

using Role = Http1Parser::Role;
using Event = Http1Parser::Event;

struct CollectingSink final : BodySink {
  void on_body(std::string_view bytes) override { body.append(bytes); }
  std::string body;
};

inline const char* body_kind_name(BodyKind kind) {
  switch (kind) {
    case BodyKind::kNone:
      return "none";
    case BodyKind::kLength:
      return "length";
    case BodyKind::kChunked:
      return "chunked";
    case BodyKind::kUntilClose:
      return "close";
  }
  return "?";
}

struct Transcript {
  // kind(body) for each message; kind(body... where it is truncated, !error where it is refused.
  std::string summary;
  // Everything: start lines, fields, lengths, keep-alive, where each message ended.
  std::string full;
};

struct FeedOptions {
  HeadLimits limits;
  bool response_to_head = false;  // the first message
};

class Feeder {
 public:
  Feeder(Role role, const FeedOptions& options) : role_(role), parser_(role, options.limits) {
    parser_.begin(&head_, options.response_to_head);
  }

  void feed(std::string_view piece) {
    const auto copy = std::make_unique<char[]>(piece.size());
    if (!piece.empty()) std::memcpy(copy.get(), piece.data(), piece.size());
    std::string_view rest(copy.get(), piece.size());
    while (!failed_ && (head_given_ || !rest.empty())) {
      const Http1Parser::Step step = parser_.feed(rest, sink_);
      ASSERT_LE(step.consumed, rest.size());
      rest.remove_prefix(step.consumed);
      total_ += step.consumed;
      head_given_ = false;
      switch (step.event) {
        case Event::kNeedMore:
          ASSERT_TRUE(rest.empty());
          return;
        case Event::kHead:
          on_head();
          break;
        case Event::kEnd:
          on_end();
          break;
        case Event::kError:
          on_error();
          break;
      }
    }
  }

  Transcript close() {
    if (failed_) return transcript_;
    const bool idle = parser_.idle();
    if (parser_.finish()) {
      on_end();
    } else if (!idle) {
      note_body();
      transcript_.summary += "...";
      transcript_.full += " truncated";
    }
    return transcript_;
  }

 private:
  void on_head() {
    head_given_ = true;
    std::string& full = transcript_.full;
    if (role_ == Role::kRequest) {
      full.append(head_.method()).append(" ").append(head_.target());
    } else {
      full += std::to_string(head_.status());
    }
    full += " 1." + std::to_string(head_.version_minor()) + " {";
    for (size_t i = 0; i < head_.field_count(); ++i) {
      full.append(head_.field(i).name).append(":").append(head_.field(i).value).append("|");
    }
    full += "} length " + std::to_string(head_.content_length());
    full += parser_.keep_alive() ? " keep-alive" : " close";
    full += " head@" + std::to_string(total_);
    transcript_.summary += std::string(body_kind_name(head_.body())) + "(";
  }

  void note_body() {
    transcript_.summary += sink_.body;
    transcript_.full += " body " + sink_.body;
    sink_.body.clear();
  }

  void on_end() {
    note_body();
    transcript_.summary += ")";
    transcript_.full += parser_.keep_alive() ? " kept" : " closed";
    transcript_.full += " end@" + std::to_string(total_) + "\n";
    parser_.begin(&head_);
    EXPECT_TRUE(parser_.idle());
  }

  void on_error() {
    note_body();
    failed_ = true;
    const std::string error = std::string("!") + parse_error_name(parser_.error());
    transcript_.summary += error;
    transcript_.full += error;
    // A parser that has failed stays failed.
    EXPECT_NE(parser_.error(), ParseError::kNone);
    EXPECT_EQ(parser_.feed("GET / HTTP/1.1\r\n", sink_).event, Event::kError);
    EXPECT_FALSE(parser_.finish());
    EXPECT_FALSE(parser_.keep_alive());
    EXPECT_TRUE(sink_.body.empty());
  }

  Role role_;
  Head head_;
  Http1Parser parser_;
  CollectingSink sink_;
  Transcript transcript_;
  size_t total_ = 0;
  bool head_given_ = false;
  bool failed_ = false;
};

inline Transcript parse(Role role, std::string_view bytes, const FeedOptions& options = {}) {
  Feeder feeder(role, options);
  feeder.feed(bytes);
  return feeder.close();
}

// `cuts` in ascending order.
inline Transcript parse_cut(Role role, std::string_view bytes, const std::vector<size_t>& cuts,
                            const FeedOptions& options = {}) {
  Feeder feeder(role, options);
  size_t start = 0;
  for (const size_t cut : cuts) {
    feeder.feed(bytes.substr(start, cut - start));
    start = cut;
  }
  feeder.feed(bytes.substr(start));
  return feeder.close();
}

inline Transcript parse_bytewise(Role role, std::string_view bytes,
                                 const FeedOptions& options = {}) {
  Feeder feeder(role, options);
  for (size_t i = 0; i < bytes.size(); ++i) feeder.feed(bytes.substr(i, 1));
  return feeder.close();
}

// The head of one message, for tests of what is done with it.
inline void parse_head(Role role, std::string_view bytes, Head& head,
                       bool response_to_head = false) {
  Http1Parser parser(role, HeadLimits{});
  CollectingSink sink;
  parser.begin(&head, response_to_head);
  const Http1Parser::Step step = parser.feed(bytes, sink);
  ASSERT_EQ(step.event, Event::kHead) << parse_error_name(parser.error()) << " in " << bytes;
}

}  // namespace sluice::test

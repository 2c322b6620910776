#include "net/http2/request_head.h"

#include <algorithm>

#include "net/http/text.h"
#include "net/http1/parser.h"

namespace sluice {

namespace {

// A head ends before any body.
class NoBody final : public BodySink {
 public:
  void on_body(std::string_view) override {}
};

constexpr size_t kLineBytes = 4;  // ": " and CRLF

// What could end a line or a part of one.
bool is_one_word(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return static_cast<unsigned char>(c) > ' ' && c != '\x7f';
  });
}

}  // namespace

int urgency_of(std::string_view priority, int urgency) {
  any_list_element(priority, [&urgency](std::string_view member) {
    bool valid =
        member.size() == 3 && member.starts_with("u=") && member[2] >= '0' && member[2] <= '7';
    if (valid) urgency = member[2] - '0';
    return false;
  });
  return urgency;
}

void Http2RequestHead::add(std::string_view name, std::string_view value) {
  bytes_ += name.size() + value.size() + kLineBytes;
  too_large_ |= bytes_ > limits_.head_bytes_max;
  bool pseudo = name.starts_with(':');
  bool more_cookie = name == "cookie" && !cookie_.empty();
  if (!pseudo && !more_cookie && ++fields_ > limits_.fields_max) too_large_ = true;
  if (too_large_) return;
  bad_field_ |= !std::ranges::all_of(value, is_text_char);
  if (pseudo) {
    if (name == ":method") method_ = value;
    if (name == ":path") path_ = value;
    if (name == ":authority") authority_ = value;
    return;
  }
  bad_field_ |= !is_token(name);
  if (name == "host") {
    host_ = value;
    return;
  }
  if (name == "cookie") {
    if (more_cookie) cookie_ += "; ";
    cookie_ += value;
    return;
  }
  if (name == "priority") urgency_ = urgency_of(value, urgency_);
  // nghttp2 refuses it; the body's framing is ours to say.
  bad_field_ |= name == "transfer-encoding";
  has_length_ |= name == "content-length";
  lines_.append(name).append(": ").append(value).append("\r\n");
}

ParseError Http2RequestHead::check() const {
  if (!is_token(method_)) return ParseError::kBadSyntax;
  if (bad_field_) return ParseError::kBadField;
  if (method_ == "CONNECT") return ParseError::kNone;
  // Only what HTTP/1 takes for a path: an absolute URL would override the authority.
  bool is_path = path_.starts_with('/') || (path_ == "*" && method_ == "OPTIONS");
  if (!is_path || !is_one_word(path_)) return ParseError::kBadSyntax;
  if (!host_.empty() && !authority_.empty() && !equals_ignoring_case(host_, authority_))
    return ParseError::kBadHost;
  return ParseError::kNone;
}

size_t Http2RequestHead::bytes_held() const {
  size_t bytes = sizeof(*this);
  for (const std::string* one : {&method_, &path_, &authority_, &host_, &cookie_, &lines_})
    bytes += one->capacity();
  return bytes;
}

ParseError Http2RequestHead::finish(bool ends, Head& head) {
  // As far as they are known they are for the log, also of a request that is refused.
  ParseError error = check();
  bool shown = error != ParseError::kBadSyntax && !too_large_;
  std::string text;
  text.reserve(method_.size() + path_.size() + authority_.size() + lines_.size() + cookie_.size() +
               128);
  const std::string& host = authority_.empty() ? host_ : authority_;
  text.append(method_).append(" ").append(method_ == "CONNECT" ? authority_ : path_);
  text.append(" HTTP/1.1\r\nhost: ").append(host).append("\r\n");
  if (error == ParseError::kNone) text.append(lines_);
  if (error == ParseError::kNone && !cookie_.empty())
    text.append("cookie: ").append(cookie_).append("\r\n");
  if (!ends && !has_length_) text.append("transfer-encoding: chunked\r\n");
  text.append("\r\n");
  if (!shown) return too_large_ ? ParseError::kHeadTooLarge : error;

  // What we have added counts in no limit.
  constexpr size_t kOwnBytes = 64;
  Http1Parser parser(Http1Parser::Role::kRequest,
                     {text.size() + kOwnBytes, limits_.fields_max + 3});
  parser.begin(&head);
  NoBody body;
  Http1Parser::Step step = parser.feed(text, body);
  if (error != ParseError::kNone) return error;
  if (step.event == Http1Parser::Event::kError) return parser.error();
  bool whole = step.event == Http1Parser::Event::kHead && step.consumed == text.size();
  return whole ? ParseError::kNone : ParseError::kBadSyntax;
}

}  // namespace sluice

#include "net/http1/parser.h"

#include <algorithm>
#include <limits>

#include <llhttp.h>

#include "core/check.h"
#include "net/http/text.h"
#include "net/http1/guard.h"

namespace sluice {
namespace {

// RFC 9112 section 2.2 asks to ignore at least one before a request line.
constexpr uint8_t kLeadingCrlfsMax = 2;
constexpr std::string_view kCrlf = "\r\n";
constexpr char kTlsAlert = '\x15';
constexpr char kTlsHandshake = '\x16';  // content type of a TLS record (RFC 8446 section 5.1)

uint32_t clamp_to_u32(size_t value) {
  return static_cast<uint32_t>(std::min<size_t>(value, std::numeric_limits<uint32_t>::max()));
}

bool may_keep_alive(const Head& head, BodyKind body) {
  if (body == BodyKind::kUntilClose || head.method() == "CONNECT") return false;
  if (head.lists_token("connection", "close")) return false;
  return head.version_minor() == 1 || head.lists_token("connection", "keep-alive");
}

// Reads a complete head once more, with llhttp, which has to find the same fields and the same
// framing. It gets a start line of its own, since llhttp knows few methods and versions. It stops
// before the body, where method and status would begin to count.
class SecondReading {
 public:
  explicit SecondReading(const Head& head) : head_(head) {}

  // `lines`: the lines of the fields, and the empty one.
  bool agrees(std::string_view lines, const Framing& framing) {
    static const llhttp_t behind_start_line = begin();
    llhttp_t llhttp = behind_start_line;
    llhttp.data = this;
    const bool complete = llhttp_execute(&llhttp, lines.data(), lines.size()) == HPE_PAUSED;
    const bool chunked = (llhttp.flags & F_CHUNKED) != 0;
    return complete && same_ && fields_ == head_.field_count() &&
           chunked == (framing.body == BodyKind::kChunked) &&
           llhttp.content_length == framing.content_length;
  }

 private:
  static llhttp_t begin() {
    static const llhttp_settings_t settings = callbacks();
    constexpr std::string_view kStartLine = "POST / HTTP/1.1\r\n";
    llhttp_t llhttp;
    llhttp_init(&llhttp, HTTP_REQUEST, &settings);
    SLUICE_CHECK(llhttp_execute(&llhttp, kStartLine.data(), kStartLine.size()) == HPE_OK);
    return llhttp;
  }

  // All lines are fed at once and none is folded, so a name and a value are one span each.
  static llhttp_settings_t callbacks() {
    llhttp_settings_t settings;
    llhttp_settings_init(&settings);
    settings.on_header_field = [](llhttp_t* llhttp, const char* at, size_t size) {
      SecondReading& reading = *static_cast<SecondReading*>(llhttp->data);
      const size_t i = reading.fields_++;
      reading.same_ = reading.same_ && i < reading.head_.field_count() &&
                      reading.head_.field(i).name == std::string_view(at, size);
      return 0;
    };
    settings.on_header_value = [](llhttp_t* llhttp, const char* at, size_t size) {
      SecondReading& reading = *static_cast<SecondReading*>(llhttp->data);
      reading.same_ = reading.same_ &&
                      reading.head_.field(reading.fields_ - 1).value == std::string_view(at, size);
      return 0;
    };
    settings.on_headers_complete = [](llhttp_t*) -> int { return HPE_PAUSED; };
    return settings;
  }

  const Head& head_;
  size_t fields_ = 0;
  bool same_ = true;
};

}  // namespace

Http1Parser::Http1Parser(Role role, const HeadLimits& limits) : role_(role) {
  limit(limits);
}

void Http1Parser::limit(const HeadLimits& limits) {
  head_bytes_max_ = clamp_to_u32(limits.head_bytes_max);
  fields_max_ = clamp_to_u32(limits.fields_max);
}

void Http1Parser::begin(Head* head, bool response_to_head) {
  head->clear();
  head_ = head;
  response_to_head_ = response_to_head;
  line_start_ = 0;
  leading_crlfs_ = 0;
  body_ = BodyKind::kNone;
  keep_alive_ = false;
  if (state_ != State::kFailed) state_ = State::kStartLine;
}

Http1Parser::Step Http1Parser::feed(std::string_view bytes, BodySink& sink) {
  switch (state_) {
    case State::kStartLine:
    case State::kFields:
      return feed_head(bytes);
    case State::kBody:
      return feed_body(bytes, sink);
    case State::kBodyDone:
      state_ = State::kEnded;
      return {0, Event::kEnd};
    case State::kFailed:
      return {0, Event::kError};
    case State::kEnded:
      break;
  }
  SLUICE_CHECK(state_ != State::kEnded);  // begin() comes first
  return {0, Event::kError};
}

// Line by line. Each line is whole before it is judged, so the outcome does not depend on splits.
Http1Parser::Step Http1Parser::feed_head(std::string_view bytes) {
  std::string& arena = head_->arena_;
  size_t consumed = 0;
  while (consumed < bytes.size()) {
    const std::string_view rest = bytes.substr(consumed);
    if (arena.empty()) {
      const ParseError error = on_first_byte(rest.front());
      if (error != ParseError::kNone) return fail(consumed, error);
    }
    const size_t lf = rest.find('\n');
    const std::string_view piece = rest.substr(0, lf == std::string_view::npos ? lf : lf + 1);
    if (const size_t room = head_bytes_max_ - arena.size(); piece.size() > room) {
      arena.append(piece.substr(0, room));
      if (role_ == Role::kRequest && state_ == State::kStartLine)
        (void)read_start_of_request(arena);
      return fail(consumed, too_large());
    }
    arena.append(piece);
    consumed += piece.size();
    if (lf == std::string_view::npos) break;

    const ParseError error = on_line(std::string_view(arena).substr(line_start_));
    if (error != ParseError::kNone) return fail(consumed, error);
    if (state_ == State::kBody || state_ == State::kBodyDone) {
      head_ = nullptr;
      return {consumed, Event::kHead};
    }
    line_start_ = static_cast<uint32_t>(arena.size());
  }
  return {consumed, Event::kNeedMore};
}

// Which limit the head exceeds.
ParseError Http1Parser::too_large() const {
  if (role_ == Role::kResponse || state_ == State::kFields) return ParseError::kHeadTooLarge;
  const size_t method_size = head_->arena_.find(' ');
  return method_size > kMethodBytesMax ? ParseError::kMethodTooLong : ParseError::kTargetTooLong;
}

// Recognises other protocols at once, since such a peer may never send a line.
ParseError Http1Parser::on_first_byte(char first) const {
  if (role_ == Role::kResponse) {
    // The upstream of an http:// URL speaks TLS: an alert, or a handshake.
    if (first == kTlsAlert || first == kTlsHandshake) return ParseError::kNotHttp;
    return first == 'H' ? ParseError::kNone : ParseError::kBadSyntax;
  }
  if (first == kTlsHandshake) return ParseError::kNotHttp;
  return is_token_char(first) || first == '\r' ? ParseError::kNone : ParseError::kBadSyntax;
}

ParseError Http1Parser::on_line(std::string_view line) {
  if (!line.ends_with(kCrlf))
    return state_ == State::kStartLine ? ParseError::kBadSyntax : ParseError::kBadField;
  line.remove_suffix(kCrlf.size());
  if (state_ == State::kStartLine) return line.empty() ? on_leading_crlf() : on_start_line(line);
  return line.empty() ? on_head_end() : on_field_line(line);
}

ParseError Http1Parser::on_leading_crlf() {
  head_->arena_.clear();
  return ++leading_crlfs_ <= kLeadingCrlfsMax ? ParseError::kNone : ParseError::kBadSyntax;
}

ParseError Http1Parser::on_start_line(std::string_view line) {
  state_ = State::kFields;
  if (role_ == Role::kResponse) {
    StatusLine response;
    const ParseError error = read_status_line(line, response);
    head_->status_ = response.status;
    head_->version_minor_ = response.version_minor;
    return error;
  }
  return read_start_of_request(line);
}

// Keeps for the log the parts of an invalid or unfinished line that are known.
ParseError Http1Parser::read_start_of_request(std::string_view line) {
  RequestLine request;
  const ParseError error = read_request_line(line, request);
  if (!request.method.empty()) head_->method_ = head_->slice_of(request.method);
  if (!request.target.empty()) head_->target_ = head_->slice_of(request.target);
  head_->version_minor_ = request.version_minor;
  return error;
}

ParseError Http1Parser::on_field_line(std::string_view line) {
  FieldLine field;
  const ParseError error = read_field_line(line, field);
  if (error != ParseError::kNone) return error;
  if (head_->fields_.size() == fields_max_) return ParseError::kHeadTooLarge;
  // Moves blanks behind the value to its front: llhttp takes a tab behind a length for a part of
  // it.
  Head::Slice value = head_->slice_of(field.value);
  std::string& arena = head_->arena_;
  const auto value_begin = arena.begin() + value.offset;
  const auto line_end = arena.end() - kCrlf.size();
  std::rotate(value_begin, value_begin + value.size, line_end);
  value.offset = static_cast<uint32_t>(line_end - arena.begin()) - value.size;
  head_->fields_.push_back({head_->slice_of(field.name), value});
  return ParseError::kNone;
}

ParseError Http1Parser::on_head_end() {
  Framing framing;
  ParseError error = role_ == Role::kRequest ? check_request(*head_) : ParseError::kNone;
  if (error == ParseError::kNone) error = check_connection(*head_);
  if (error == ParseError::kNone) error = read_framing(*head_, role_, framing);
  if (error != ParseError::kNone) return error;
  const std::string_view arena = head_->arena_;
  const std::string_view lines = arena.substr(arena.find('\n') + 1);
  if (!SecondReading(*head_).agrees(lines, framing)) return ParseError::kBadFraming;

  const int status = head_->status_;
  const bool bodyless = role_ == Role::kRequest
                            ? head_->method() == "CONNECT"
                            : response_to_head_ || status < 200 || status == 204 || status == 304;
  body_ = bodyless ? BodyKind::kNone : framing.body;
  body_left_ = framing.content_length;
  chunks_ = {};
  head_->body_ = body_;
  head_->content_length_ = framing.content_length;
  keep_alive_ = may_keep_alive(*head_, body_);
  const bool empty = body_ == BodyKind::kNone || (body_ == BodyKind::kLength && body_left_ == 0);
  state_ = empty ? State::kBodyDone : State::kBody;
  return ParseError::kNone;
}

Http1Parser::Step Http1Parser::feed_body(std::string_view bytes, BodySink& sink) {
  if (body_ == BodyKind::kChunked) {
    const ChunkedDecoder::Step step = chunks_.feed(bytes, {head_bytes_max_, fields_max_}, sink);
    if (step.event == ChunkedDecoder::Event::kError)
      return fail(step.consumed, ParseError::kBadChunk);
    if (step.event == ChunkedDecoder::Event::kNeedMore) return {step.consumed, Event::kNeedMore};
    state_ = State::kEnded;
    return {step.consumed, Event::kEnd};
  }
  if (body_ == BodyKind::kLength) {
    bytes = bytes.substr(0, body_left_);
    body_left_ -= bytes.size();
  }
  if (!bytes.empty()) sink.on_body(bytes);
  if (body_ == BodyKind::kUntilClose || body_left_ > 0) return {bytes.size(), Event::kNeedMore};
  state_ = State::kEnded;
  return {bytes.size(), Event::kEnd};
}

Http1Parser::Step Http1Parser::fail(size_t consumed, ParseError error) {
  state_ = State::kFailed;
  error_ = error;
  keep_alive_ = false;
  return {consumed, Event::kError};
}

bool Http1Parser::finish() {
  if (state_ != State::kBody || body_ != BodyKind::kUntilClose) return false;
  state_ = State::kEnded;
  return true;
}

bool Http1Parser::idle() const {
  if (state_ != State::kStartLine) return false;
  const std::string& arena = head_->arena_;
  return arena.empty() || arena == "\r";
}

bool Http1Parser::reads_http2_preface() const {
  return head_ && !head_->arena_.empty() && kHttp2PrefaceStart.starts_with(head_->arena_);
}

}  // namespace sluice

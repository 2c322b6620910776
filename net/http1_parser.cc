#include "net/http1_parser.h"

#include <algorithm>
#include <limits>
#include <new>
#include <type_traits>

#include <llhttp.h>

#include "core/check.h"
#include "net/http1_guard.h"
#include "net/http1_text.h"

namespace sluice {
namespace {

// RFC 9112 section 2.2 asks to ignore at least one before a request line.
constexpr uint8_t kLeadingCrlfsMax = 2;
constexpr char kTlsHandshake = '\x16';  // content type of a TLS record (RFC 8446 section 5.1)

llhttp_t& llhttp_of(std::byte* storage) {
  return *std::launder(reinterpret_cast<llhttp_t*>(storage));
}

uint32_t clamp_to_u32(size_t value) {
  return static_cast<uint32_t>(std::min<size_t>(value, std::numeric_limits<uint32_t>::max()));
}

// What llhttp refuses after the guard had no objection to the line.
Http1Error head_error(llhttp_errno_t error, Http1Parser::Role role) {
  switch (error) {
    case HPE_INVALID_METHOD:
    case HPE_INVALID_CONSTANT:  // a known method, but of another protocol
      return role == Http1Parser::Role::kRequest ? Http1Error::kBadMethod : Http1Error::kBadSyntax;
    case HPE_INVALID_VERSION:
      return Http1Error::kBadVersion;
    case HPE_INVALID_STATUS:
      return Http1Error::kBadStatus;
    case HPE_UNEXPECTED_CONTENT_LENGTH:
    case HPE_INVALID_CONTENT_LENGTH:
    case HPE_INVALID_TRANSFER_ENCODING:
    case HPE_CB_HEADERS_COMPLETE:
      return Http1Error::kBadFraming;
    default:
      return Http1Error::kBadSyntax;
  }
}

bool may_keep_alive(const Head& head, BodyKind body) {
  if (body == BodyKind::kUntilClose || head.method() == "CONNECT") return false;
  if (head.lists_token("connection", "close")) return false;
  return head.version_minor() == 1 || head.lists_token("connection", "keep-alive");
}

}  // namespace

// llhttp reads the head alone. They only record; lines are fed whole and are never folded, so a
// name and a value are one span each, in the head's arena.
struct Http1Parser::Callbacks {
  static Http1Parser& parser_of(llhttp_t* llhttp) {
    return *static_cast<Http1Parser*>(llhttp->data);
  }

  static int on_name(llhttp_t* llhttp, const char* at, size_t size) {
    Head& head = *parser_of(llhttp).head_;
    head.fields_.back().name = head.slice_of({at, size});
    return 0;
  }

  static int on_value(llhttp_t* llhttp, const char* at, size_t size) {
    Head& head = *parser_of(llhttp).head_;
    head.fields_.back().value = head.slice_of(trim_blanks({at, size}));
    return 0;
  }

  // llhttp has to agree with the guard about how a body is delimited, and stops here.
  static int on_head(llhttp_t* llhttp) {
    const Http1Parser& parser = parser_of(llhttp);
    const bool chunked = (llhttp->flags & F_CHUNKED) != 0;
    const bool agrees = parser.body_ == BodyKind::kNone ||
                        (chunked == (parser.body_ == BodyKind::kChunked) &&
                         llhttp->content_length == parser.head_->content_length_);
    return agrees ? HPE_PAUSED : -1;
  }

  static llhttp_settings_t settings() {
    llhttp_settings_t settings;
    llhttp_settings_init(&settings);
    settings.on_header_field = on_name;
    settings.on_header_value = on_value;
    settings.on_headers_complete = on_head;
    return settings;
  }
};

const char* http1_error_name(Http1Error error) {
  switch (error) {
    case Http1Error::kNone:
      return "none";
    case Http1Error::kBadSyntax:
      return "bad_syntax";
    case Http1Error::kBadFraming:
      return "bad_framing";
    case Http1Error::kBadHost:
      return "bad_host";
    case Http1Error::kHeadTooLarge:
      return "head_too_large";
    case Http1Error::kTargetTooLong:
      return "target_too_long";
    case Http1Error::kBadVersion:
      return "bad_version";
    case Http1Error::kUnknownCoding:
      return "unknown_coding";
    case Http1Error::kNotHttp:
      return "not_http";
    case Http1Error::kBadStatus:
      return "bad_status";
    case Http1Error::kBadMethod:
      return "bad_method";
  }
  return "unknown";
}

int http1_error_status(Http1Error error) {
  switch (error) {
    case Http1Error::kHeadTooLarge:
      return 431;
    case Http1Error::kTargetTooLong:
      return 414;
    case Http1Error::kBadVersion:
      return 505;
    case Http1Error::kUnknownCoding:
    case Http1Error::kBadMethod:
      return 501;
    default:
      return 400;
  }
}

Http1Parser::Http1Parser(Role role, const Http1Limits& limits)
    : head_bytes_max_(clamp_to_u32(limits.head_bytes_max)),
      fields_max_(clamp_to_u32(limits.fields_max)),
      role_(role) {
  static_assert(sizeof(llhttp_t) <= kLlhttpSize && alignof(llhttp_t) <= 8);
  static_assert(std::is_trivially_copyable_v<llhttp_t>);
  new (llhttp_.data()) llhttp_t;
}

void Http1Parser::begin(Head* head, bool response_to_head) {
  head->clear();
  head_ = head;
  response_to_head_ = response_to_head;
  line_start_ = 0;
  leading_crlfs_ = 0;
  body_ = BodyKind::kNone;
  keep_alive_ = false;
  if (state_ == State::kFailed) return;
  state_ = State::kStartLine;
  static const llhttp_settings_t settings = Callbacks::settings();
  // Anew for each message: 9.x before 9.1.3 loses flags on llhttp_reset().
  llhttp_init(&llhttp_of(llhttp_.data()), role_ == Role::kRequest ? HTTP_REQUEST : HTTP_RESPONSE,
              &settings);
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

// Line by line, each whole before anyone judges it: so the outcome does not depend on splits.
Http1Parser::Step Http1Parser::feed_head(std::string_view bytes) {
  std::string& arena = head_->arena_;
  size_t consumed = 0;
  while (consumed < bytes.size()) {
    const std::string_view rest = bytes.substr(consumed);
    if (arena.empty()) {
      const Http1Error error = on_first_byte(rest.front());
      if (error != Http1Error::kNone) return fail(consumed, error);
    }
    const size_t lf = rest.find('\n');
    const std::string_view piece = rest.substr(0, lf == std::string_view::npos ? lf : lf + 1);
    if (piece.size() > head_bytes_max_ - arena.size()) {
      const bool in_request_line = role_ == Role::kRequest && state_ == State::kStartLine;
      return fail(consumed,
                  in_request_line ? Http1Error::kTargetTooLong : Http1Error::kHeadTooLarge);
    }
    arena.append(piece);
    consumed += piece.size();
    if (lf == std::string_view::npos) break;

    const Http1Error error = on_line(std::string_view(arena).substr(line_start_));
    if (error != Http1Error::kNone) return fail(consumed, error);
    if (state_ == State::kBody || state_ == State::kBodyDone) {
      head_ = nullptr;
      return {consumed, Event::kHead};
    }
    line_start_ = static_cast<uint32_t>(arena.size());
  }
  return {consumed, Event::kNeedMore};
}

// Tells what is not HTTP/1 at once, for such a peer may never send a line.
Http1Error Http1Parser::on_first_byte(char first) const {
  if (role_ == Role::kResponse) {
    return first == 'H' ? Http1Error::kNone : Http1Error::kBadSyntax;
  }
  if (first == kTlsHandshake) return Http1Error::kNotHttp;
  return is_token_char(first) || first == '\r' ? Http1Error::kNone : Http1Error::kBadSyntax;
}

Http1Error Http1Parser::on_line(std::string_view line) {
  const Http1Error error = check_line(line);
  if (error != Http1Error::kNone) return error;
  const bool empty = line.size() == 2;
  if (state_ == State::kStartLine) return empty ? on_leading_crlf() : on_start_line(line);
  return empty ? on_head_end(line) : on_field_line(line);
}

Http1Error Http1Parser::on_leading_crlf() {
  head_->arena_.clear();
  return ++leading_crlfs_ <= kLeadingCrlfsMax ? Http1Error::kNone : Http1Error::kBadSyntax;
}

Http1Error Http1Parser::on_start_line(std::string_view line) {
  if (role_ == Role::kRequest) {
    RequestLine request;
    const Http1Error error = read_request_line(line, request);
    if (error != Http1Error::kNone) return error;
    head_->method_ = head_->slice_of(request.method);
    head_->target_ = head_->slice_of(request.target);
    head_->version_minor_ = request.version_minor;
  } else {
    StatusLine response;
    const Http1Error error = read_status_line(line, response);
    if (error != Http1Error::kNone) return error;
    head_->status_ = response.status;
    head_->version_minor_ = response.version_minor;
  }
  state_ = State::kFields;
  return run_llhttp(line);
}

Http1Error Http1Parser::on_field_line(std::string_view line) {
  const Http1Error error = check_field_line(line);
  if (error != Http1Error::kNone) return error;
  if (head_->fields_.size() == fields_max_) return Http1Error::kHeadTooLarge;
  head_->fields_.emplace_back();
  return run_llhttp(line);
}

Http1Error Http1Parser::on_head_end(std::string_view line) {
  const int status = head_->status_;
  const bool bodyless = role_ == Role::kRequest
                            ? head_->method() == "CONNECT"
                            : response_to_head_ || status < 200 || status == 204 || status == 304;
  Framing framing;
  Http1Error error = role_ == Role::kRequest ? check_request(*head_) : Http1Error::kNone;
  if (error == Http1Error::kNone) error = check_connection(*head_);
  if (error == Http1Error::kNone) error = read_framing(*head_, role_, bodyless, framing);
  if (error != Http1Error::kNone) return error;
  head_->body_ = framing.body;
  head_->content_length_ = framing.content_length;
  body_ = framing.body;
  body_left_ = framing.content_length;
  chunks_ = {};
  keep_alive_ = may_keep_alive(*head_, body_);
  const bool empty =
      body_ == BodyKind::kNone || (body_ == BodyKind::kLength && framing.content_length == 0);
  state_ = empty ? State::kBodyDone : State::kBody;
  return run_llhttp(line);
}

Http1Error Http1Parser::run_llhttp(std::string_view line) {
  llhttp_t& llhttp = llhttp_of(llhttp_.data());
  llhttp.data = this;
  const llhttp_errno_t error = llhttp_execute(&llhttp, line.data(), line.size());
  if (error != HPE_OK && error != HPE_PAUSED) return head_error(error, role_);
  // Paused: the head is complete. Both must think so.
  const bool complete = error == HPE_PAUSED;
  return complete == (state_ != State::kFields) ? Http1Error::kNone : Http1Error::kBadFraming;
}

Http1Parser::Step Http1Parser::feed_body(std::string_view bytes, BodySink& sink) {
  if (body_ == BodyKind::kChunked) {
    const ChunkedDecoder::Step step = chunks_.feed(bytes, {head_bytes_max_, fields_max_}, sink);
    if (step.event == ChunkedDecoder::Event::kError)
      return fail(step.consumed, Http1Error::kBadFraming);
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

Http1Parser::Step Http1Parser::fail(size_t consumed, Http1Error error) {
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

}  // namespace sluice

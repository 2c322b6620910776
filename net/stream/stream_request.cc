// A stream's request: what is refused, what is kept of it, and how it is written for the upstream.
#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include "core/clock.h"
#include "net/base/limits.h"
#include "net/http/client_address.h"
#include "net/http/redirect.h"
#include "net/http/semantics.h"
#include "net/http/target.h"
#include "net/http/text.h"
#include "net/stream/stream.h"
#include "net/stream/streams.h"

namespace sluice {

namespace {

// What may be kept as a request's id: one word of visible ASCII, so that it can stand anywhere.
bool is_request_id(std::string_view text) {
  bool visible = std::ranges::all_of(text, [](char c) { return c > ' ' && c < '\x7f'; });
  return visible && !text.empty() && text.size() <= limits::kRequestIdBytes;
}

// A query may hold secrets (keys, tokens), so it is not even kept unless it is to be shown.
std::string shown_target(std::string_view target, bool with_query) {
  size_t question = target.find('?');
  if (with_query || question == target.npos) return std::string(target);
  return std::string(target.substr(0, question)) + "?***";
}

}  // namespace

void Stream::on_request_head(std::unique_ptr<Head> arrived, bool keep_alive) {
  const Head& head = *arrived;
  keep_facts(head);
  keep_alive_ = keep_alive && !context().says_close();
  // The answer to a HEAD has no body that a heartbeat could be in.
  wants_event_stream_ = wants_event_stream(head) && !method_is_head_;
  no_transform_ = has_no_transform(head);
  // `OPTIONS *` asks about the server as a whole: the default route's.
  std::string_view path = is_ours() ? client_->own_route() : target_path(head.target());
  route_ = snapshot_->find_route(path == "*" ? "/" : path);
  if (refused_by_head(head)) {
    context().heads.release(std::move(arrived));
    return;
  }
  if (!choose_filters(head, path)) {
    context().heads.release(std::move(arrived));
    return;
  }
  choose_dialect(head, path);
  if (!choose_usage(head)) {
    context().heads.release(std::move(arrived));
    return;
  }
  choose_coding(head);
  set_window(0);
  repeatable_ = is_idempotent(head.method()) || settings().retry_non_idempotent;
  // A client of HTTP/1.0 waits for nobody (RFC 9110 section 10.1.1).
  if (head.body() != BodyKind::kNone && client_->writer().knows_interim() && head.find("expect"))
    awaits_go_ahead_ = true;
  streams_.upstreams().on_request_head(*this, head);
  streams_.upstreams().choose(*this, 0);
  bool others = settings().retries > 0 && route_->upstreams.size() > 1;
  bool kept = head.body() == BodyKind::kNone || settings().retry_buffer > 0;
  keeps_until_content_ = (others && kept) || may_heal(head);
  bool written = write_request(head);
  keep_head(std::move(arrived));
  if (written) ask_for_upstream(false);
}

void Stream::keep_facts(const Head& head) {
  method_is_head_ = head.method() == "HEAD";
  std::string target = shown_target(head.target(), snapshot_->config().log_query);
  RequestFacts::Texts texts{
      .method = head.method(), .target = target, .protocol = client_->protocol()};
  std::string client = client_->client_ip();
  if (client_->client_trusted())
    client = forwarded_client(head, client, snapshot_->config().trusted_proxies);
  texts.client = client;
  std::string own_id;
  texts.id = head.find("x-request-id").value_or("");
  if (!is_request_id(texts.id)) texts.id = own_id = own_request_id();
  if (context().logs_requests()) {
    texts.host = head.find("host").value_or("");
    texts.user_agent = head.find("user-agent").value_or("");
  }
  facts_.keep(texts);
}

// For a request that came without one.
std::string Stream::own_request_id() const {
  std::array<char, 16> hex{};
  char* end = std::to_chars(hex.data(), hex.data() + hex.size(), id_, 16).ptr;
  return snapshot_->config().instance + '-' + std::string(hex.data(), end);
}

// Answers a request that never reaches an upstream; true if this is one.
bool Stream::refused_by_head(const Head& head) {
  auto refuse_as = [this, &head](Refusal refusal, int status, std::string_view detail) {
    ++context().metrics.refusals[static_cast<unsigned>(refusal)];
    if (head.body() != BodyKind::kNone) keep_alive_ = false;
    refuse(status, detail, Ending::kRefused, refusal_name(refusal));
    return true;
  };
  if (head.method() == "CONNECT") {
    keep_alive_ = false;
    return refuse_as(Refusal::kConnect, 501, "CONNECT is not supported.");
  }
  if (uint16_t port = client_->https_port(); port != 0) {
    std::optional<std::string> location = https_location(head, port);
    if (!location) return refuse_as(Refusal::kNoHost, 400, "The request names no host.");
    if (head.body() != BodyKind::kNone) keep_alive_ = false;
    // Of the permanent ones the one that keeps the method (RFC 9110 section 15.4.9).
    refuse(308, "This is served with https.", Ending::kRefused, "https", *location);
    return true;
  }
  // An h2c offer may be ignored (RFC 9110 section 7.8); a WebSocket cannot work without.
  if (head.lists_token("upgrade", "websocket")) {
    keep_alive_ = false;
    return refuse_as(Refusal::kUpgrade, 501, "Upgrading to WebSocket is not supported.");
  }
  if (!route_) return refuse_as(Refusal::kNoRoute, 404, "No route matches the request's path.");
  if (auto expect = head.find("expect"); expect && !head.lists_token("expect", "100-continue"))
    return refuse_as(Refusal::kExpectation, 417, "The expectation is not known.");
  if (has_passed(head, context().via))
    return refuse_as(Refusal::kLoop, 508, "The request has come back to this gateway.");
  if (max_forwards_exhausted(head))
    return refuse_as(Refusal::kMaxForwards, 501,
                     "Max-Forwards ends here, and there is nothing to show.");
  if (settings().max_body_size > 0 && head.body() == BodyKind::kLength &&
      head.content_length() > settings().max_body_size) {
    keep_alive_ = false;
    return refuse_as(Refusal::kBodyTooLarge, 413, "The request's body is larger than allowed.");
  }
  return false;
}

// False: it was refused.
bool Stream::write_request(const Head& head) {
  RequestRewrite rewrite;
  std::string client_ip = client_->client_ip();
  rewrite.client_ip = client_ip;
  rewrite.ours = is_ours();
  rewrite.client_trusted = client_->client_trusted();
  rewrite.scheme = client_->client_secured() ? "https" : "http";
  std::string client_subject = client_->client_subject();
  rewrite.client_subject = client_subject;
  rewrite.via = context().via;
  rewrite.received_protocol = client_->protocol();
  rewrite.default_host = upstream().host;
  rewrite.request_id = facts_.id();
  if (metered()) rewrite.body_growth = inspection_->metering->growth_left;
  // Who has to see events cannot read packed ones. Those of other bodies nobody has to see.
  bool may_resume = wants_event_stream_ && may_heal(head);
  rewrite.identity = inspection_ || coding_ != ContentCoding::kIdentity || may_resume;
  if (recovery_ && recovery_->healing) rewrite.last_event_id = recovery_->healing->ids.last();
  std::string& text = context().scratch();
  const BodyFraming* framing = streams_.upstreams().writer(*this).write_head(head, rewrite, text);
  if (text.size() > context().head_limits().head_bytes_max) {
    // The next hop would refuse it, with the fields that each hop adds.
    ++context().metrics.bad_requests[static_cast<unsigned>(ParseError::kHeadTooLarge)];
    if (head.body() != BodyKind::kNone) keep_alive_ = false;
    refuse(431, "The request's head is too large for another hop.", Ending::kRefused,
           parse_error_name(ParseError::kHeadTooLarge));
    return false;
  }
  if (!request_.append_head(text)) {
    // A stream that has its client's time tries again later.
    if (healing_waits() && heal(Failure::kOverload, Ending::kOverloaded)) return false;
    if (head.body() != BodyKind::kNone) keep_alive_ = false;
    fail(Ending::kOverloaded);
    return false;
  }
  request_.set_framing(framing);
  request_moved_ms_ = low_bits(loop().now_ms());
  return true;
}

void Stream::on_request_body(const Lease& lease, std::string_view bytes) {
  awaits_go_ahead_ = told_to_go_on_ = false;
  if (ended_ || phase_ == Phase::kDraining) return;  // answered: what still comes is dropped
  request_body_bytes_ += bytes.size();
  if (settings().max_body_size > 0 && request_body_bytes_ > settings().max_body_size) {
    ++context().metrics.refusals[static_cast<unsigned>(Refusal::kBodyTooLarge)];
    keep_alive_ = false;
    refuse(413, "The request's body is larger than allowed.", Ending::kRefused,
           refusal_name(Refusal::kBodyTooLarge));
    return;
  }
  if (request_.backlog() == 0) request_moved_ms_ = low_bits(loop().now_ms());
  if (inspection_ && inspection_->request)
    append_asking_for_usage(lease, bytes);
  else
    append_request(lease, bytes);
  if (attempt_.upstream) attempt_.upstream->request_ready();
}

void Stream::append_request(const Lease& lease, std::string_view bytes) {
  bool small = !lease || bytes.size() <= lease.size() / limits::kSpillFraction;
  if (small) bytes = request_.append_copy(bytes);
  if (!bytes.empty() && !lease) {
    keep_alive_ = false;
    fail(Ending::kOverloaded);
    return;
  }
  if (!bytes.empty()) request_.append(lease, bytes);
}

void Stream::on_request_end() {
  if (metered()) pad_request();
  request_.finish();
  if (attempt_.upstream) attempt_.upstream->request_ready();
}

// Once the answer is complete, or is ours, the rest of the request is read to be dropped: many
// clients look for an answer only when they have sent all.
uint64_t Stream::request_credit() const {
  if (ended_) return 0;
  uint64_t window = client_->request_window();
  if (phase_ == Phase::kDraining) return window;
  if (context().memory_tight()) window = std::min<uint64_t>(window, limits::kTightRequestWindow);
  uint64_t waiting = request_.backlog();
  // While others wait for a slot, this stream has to send its held bytes first.
  if (waiting > 0 && context().memory.http_message.has_waiters()) return 0;
  return waiting * 2 > window ? 0 : window - waiting;
}

bool Stream::body_due() const {
  return !awaits_go_ahead_ && phase_ != Phase::kDraining;
}

void Stream::on_request_sent(uint64_t body_bytes) {
  context().metrics.bytes_to_upstreams += body_bytes;
  if (request_.gave_way()) request_moved_ms_ = low_bits(loop().now_ms());
  if (phase_ == Phase::kAwaitingHead) phase_since_ms_ = loop().now_ms();
  // What is about to be sent again stays, though a send that was under way has added to it.
  if (!retry_ && request_.kept_body_bytes() > kept_body_max()) request_.keep_for_replay(false);
  if (client_ && !request_.finished()) client_->request_window_opened();
}

}  // namespace sluice

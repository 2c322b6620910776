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
  if (!choose_usage(head, path)) {
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
  keeps_until_content_ = (others && kept) || (head.body() == BodyKind::kNone && may_heal());
  bool written = write_request(head);
  keep_head(head);
  context().heads.release(std::move(arrived));
  if (written) ask_for_upstream(false);
}

void Stream::keep_facts(const Head& head) {
  method_is_head_ = head.method() == "HEAD";
  RequestFacts::Texts texts{
      .method = head.method(), .target = head.target(), .protocol = client_->protocol()};
  std::string client = client_->client_ip();
  if (client_->client_trusted())
    client = forwarded_client(head, client, snapshot_->config().trusted_proxies);
  texts.client = client;
  // A query may hold secrets (keys, tokens), so it is not even kept unless it is to be shown.
  size_t path_size = texts.target.find('?');
  if (path_size != texts.target.npos && !snapshot_->config().log_query) {
    std::string& shown = context().scratch();
    texts.target = shown.append(texts.target.substr(0, path_size)) += "?***";
  }
  texts.id = head.find("x-request-id").value_or("");
  if (!is_request_id(texts.id)) texts.id = {};
  if (context().logs_requests()) {
    texts.host = head.find("host").value_or("");
    texts.user_agent = head.find("user-agent").value_or("");
  }
  facts_.keep(texts);
}

// One of our own for a request that came without.
std::string Stream::request_id() const {
  if (!facts_.known() || !facts_.id().empty()) return std::string(facts_.id());
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
  std::string id = request_id();
  rewrite.request_id = id;
  if (metered()) rewrite.body_growth = inspection_->metering->growth_left;
  // Who has to see events cannot read packed ones. Those of other bodies nobody has to see.
  bool may_resume = wants_event_stream_ && head.body() == BodyKind::kNone && may_heal();
  rewrite.identity = inspection_ || coding_ != ContentCoding::kIdentity || may_resume;
  if (Healing* known = healing()) rewrite.last_event_id = known->ids.last();
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
  if (!outgoing_) outgoing_ = std::make_unique<OutgoingRequest>(*this, context().memory);
  if (!outgoing_->bytes.append_head(text)) {
    // A stream that has its client's time tries again later.
    if (healing_waits() && heal(Failure::kOverload, Ending::kOverloaded)) return false;
    if (head.body() != BodyKind::kNone) keep_alive_ = false;
    fail(Ending::kOverloaded);
    return false;
  }
  outgoing_->bytes.set_framing(framing);
  outgoing_->moved_ms = low_bits(loop().now_ms());
  if (request_arrived_) outgoing_->bytes.finish();
  return true;
}

void Stream::on_request_body(const Lease& lease, std::string_view bytes) {
  awaits_go_ahead_ = told_to_go_on_ = false;
  // Answered, or nobody is left to send it: what still comes is dropped.
  if (ended_ || phase_ == Phase::kDraining || !outgoing_) return;
  request_body_bytes_ += bytes.size();
  if (settings().max_body_size > 0 && request_body_bytes_ > settings().max_body_size) {
    ++context().metrics.refusals[static_cast<unsigned>(Refusal::kBodyTooLarge)];
    keep_alive_ = false;
    refuse(413, "The request's body is larger than allowed.", Ending::kRefused,
           refusal_name(Refusal::kBodyTooLarge));
    return;
  }
  if (request_backlog() == 0) outgoing_->moved_ms = low_bits(loop().now_ms());
  if (inspection_ && inspection_->request)
    append_asking_for_usage(lease, bytes);
  else
    append_request(lease, bytes);
  if (attempt_.upstream) attempt_.upstream->request_ready();
}

void Stream::append_request(const Lease& lease, std::string_view bytes) {
  bool small = !lease || bytes.size() <= lease.size() / limits::kSpillFraction;
  if (small) bytes = outgoing_->bytes.append_copy(bytes);
  if (!bytes.empty() && !lease) {
    keep_alive_ = false;
    fail(Ending::kOverloaded);
    return;
  }
  if (!bytes.empty()) outgoing_->bytes.append(lease, bytes);
}

void Stream::on_request_end() {
  if (metered()) pad_request();
  request_arrived_ = true;
  if (outgoing_) outgoing_->bytes.finish();
  drop_request_if_sent();
  if (attempt_.upstream) attempt_.upstream->request_ready();
}

// The upstream has all of it, and nobody else is to get it.
void Stream::drop_request_if_sent() {
  if (outgoing_ && outgoing_->bytes.complete() && !outgoing_->bytes.kept_for_replay())
    outgoing_.reset();
}

void Stream::keep_no_request() {
  if (!outgoing_) return;
  outgoing_->bytes.keep_for_replay(false);
  drop_request_if_sent();
}

// Once the answer is complete, or is ours, the rest of the request is read to be dropped: many
// clients look for an answer only when they have sent all.
uint64_t Stream::request_credit() const {
  if (ended_) return 0;
  uint64_t window = client_->request_window();
  if (phase_ == Phase::kDraining) return window;
  if (context().memory_tight()) window = std::min<uint64_t>(window, limits::kTightRequestWindow);
  uint64_t waiting = request_backlog();
  // While others wait for a slot, this stream has to send its held bytes first.
  if (waiting > 0 && context().memory.http_message.has_waiters()) return 0;
  return waiting * 2 > window ? 0 : window - waiting;
}

void Stream::on_request_sent(uint64_t body_bytes) {
  context().metrics.bytes_to_upstreams += body_bytes;
  if (outgoing_->bytes.gave_way()) outgoing_->moved_ms = low_bits(loop().now_ms());
  if (phase_ == Phase::kAwaitingHead) phase_since_ms_ = loop().now_ms();
  // What is about to be sent again stays, though a send that was under way has added to it.
  if (!retry_ && outgoing_->bytes.kept_body_bytes() > kept_body_max())
    outgoing_->bytes.keep_for_replay(false);
  drop_request_if_sent();
  if (client_ && !request_arrived_) client_->request_window_opened();
}

}  // namespace sluice

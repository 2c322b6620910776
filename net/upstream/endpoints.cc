#include "net/upstream/endpoints.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/text.h"
#include "core/units.h"
#include "net/base/limits.h"
#include "net/http/head.h"
#include "net/http/semantics.h"
#include "net/http/target.h"

namespace sluice {

namespace {

// What of a request decides where it goes; nullopt where it has no such thing.
std::optional<uint64_t> hash_key(const Balance& balance, const Head& head, const Stream& stream) {
  switch (balance.key) {
    case Balance::Key::kClient:
      return hash_text(stream.client_ip());
    case Balance::Key::kPath:
      return hash_text(target_path(head.target()));
    case Balance::Key::kField:
      if (auto value = head.find(balance.name)) return hash_text(*value);
      return std::nullopt;
    case Balance::Key::kCookie:
      break;
  }
  if (auto value = find_cookie(head, balance.name)) return hash_text(*value);
  return std::nullopt;
}

// Its weight grows for a while after a return: a server that has just started would else get all
// that comes, since it has the fewest.
double effective_weight(const Upstream& upstream, const UpstreamHealth& health,
                        uint64_t slow_start_ms, uint64_t now_ms) {
  uint64_t returned_ms = health.returned_ms.load(std::memory_order_relaxed);
  bool starts = returned_ms != 0 && now_ms < returned_ms + slow_start_ms;
  if (!starts) return upstream.weight;
  uint64_t since_ms = now_ms > returned_ms ? now_ms - returned_ms : 0;
  double part = static_cast<double>(since_ms) / static_cast<double>(slow_start_ms);
  return upstream.weight * std::max(part, limits::kSlowStartLeast);
}

Candidate candidate_of(const Route& route, uint32_t index, const UpstreamBoard& board,
                       uint64_t now_ms) {
  const Upstream& upstream = route.upstreams[index];
  return {.index = index,
          .id = upstream.id,
          .weight = effective_weight(upstream, board.health(upstream.id),
                                     route.settings.slow_start_ms, now_ms),
          .url_hash = upstream.url_hash};
}

}  // namespace

Endpoints::Endpoints(WorkerContext& context, Resolver& resolver, Connector& connector,
                     CloseWatcher& watcher)
    : shared_{context, resolver, connector, watcher}, balancer_(context.number) {
  look_names_up();
}

void Endpoints::look_names_up() {
  for (const Route& route : shared_.context.snapshot->routes())
    for (const Upstream& upstream : route.upstreams)
      if (!upstream.name.empty()) (void)endpoint(upstream);
}

void Endpoints::on_request_head(const Stream& stream, const Head& head) {
  const Balance& balance = stream.settings().balance;
  if (balance.method != Balance::Method::kHash || stream.route().upstreams.size() == 1) return;
  keyed_stream_ = stream.id();
  key_ = hash_key(balance, head, stream);
}

// A trial that another worker begins first is not ours, so the choice goes on among the others.
bool Endpoints::choose(Stream& stream, uint64_t tried) {
  drop_trial_not_begun();
  const Route& route = stream.route();
  const auto count = static_cast<uint32_t>(route.upstreams.size());
  std::array<Rank, limits::kUpstreamsMax> ranks;
  for (uint32_t i = 0; i < count; ++i)
    ranks[i] = (tried >> i & 1) != 0 ? Rank::kTried : rank_of(route.upstreams[i], route.settings);
  std::optional<uint64_t> key = keyed_stream_ == stream.id() ? key_ : std::nullopt;
  while (true) {
    Rank best = *std::min_element(ranks.begin(), ranks.begin() + count);
    // What is worse than a backup is for those who have nothing else to hope for.
    if (best == Rank::kTried || (best > Rank::kBacksUp && tried != 0)) return false;
    std::array<Candidate, limits::kUpstreamsMax> candidates;
    size_t found = 0;
    for (uint32_t i = 0; i < count; ++i)
      if (ranks[i] == best) candidates[found++] = candidate_of(route, i, board(), now_ms());
    const Candidate& picked = balancer_.pick(route, {candidates.data(), found}, key, board());
    bool in_turn = begins_trial_if_due(stream, route.upstreams[picked.index]);
    if (in_turn || best > Rank::kBacksUp) {
      stream.upstream_index = picked.index;
      return true;
    }
    ranks[picked.index] = Rank::kEjected;
  }
}

bool Endpoints::stands(const Stream& stream) {
  const Upstream& chosen = stream.upstream();
  return rank_of(chosen, stream.settings()) <= Rank::kBacksUp ||
         endpoint(chosen).breaker().tried_by(stream.id());
}

// A backup that is ejected, or full, is no worse than another that is.
Endpoints::Rank Endpoints::rank_of(const Upstream& upstream, const StreamSettings& settings) const {
  const UpstreamHealth& health = board().health(upstream.id);
  UpstreamState state = health.state(now_ms());
  if (state == UpstreamState::kDrained) return Rank::kDrained;
  bool tried = health.trial.load(std::memory_order_relaxed) != 0;
  if (state == UpstreamState::kUnhealthy || state == UpstreamState::kOpen ||
      (state == UpstreamState::kHalfOpen && tried) || without_address(upstream))
    return Rank::kEjected;
  uint64_t pending_max = settings.upstream_max_pending;
  if (pending_max != 0 && board().places(upstream.id).waiting >= pending_max) return Rank::kFull;
  return upstream.backup ? Rank::kBacksUp : Rank::kServes;
}

void Endpoints::acquire(Stream& stream, bool fresh) {
  Endpoint& chosen = endpoint(stream.upstream());
  // A second attempt there, after a stale connection, say, goes on with what the first one tried.
  if (!chosen.breaker().tried_by(stream.id())) (void)begins_trial_if_due(stream, stream.upstream());
  if (chosen.breaker().tried_by(stream.id())) trial_not_begun_ = nullptr;
  chosen.attempt_begun();
  chosen.acquire(stream, fresh);
}

void Endpoints::forget(Stream& stream) {
  endpoint(stream.upstream()).forget(stream);
}

void Endpoints::attempt_answered(const Stream& stream, int status) {
  tell_breaker(stream, failure_of(status));
}

// Of an attempt that has been answered the breaker knows already.
void Endpoints::attempt_ended(const Stream& stream, const AttemptOutcome& outcome) {
  Endpoint& ended = endpoint(stream.upstream());
  ended.attempt_ended(outcome);
  if (auto failure = failure_of(outcome)) tell_breaker(stream, failure);
  // Nothing was learnt where the client has left, say: another request may try.
  if (ended.breaker().tried_by(stream.id())) ended.breaker().end_trial();
}

void Endpoints::tell_breaker(const Stream& stream, std::optional<EjectReason> failure) {
  Endpoint& told = endpoint(stream.upstream());
  Breaker::Change change =
      failure ? told.breaker().failed(stream.id(), *failure, stream.settings(), now_ms(),
                                      [this, id = told.id()] { return others_left(id); })
              : told.breaker().succeeded(stream.id(), now_ms());
  if (change == Breaker::Change::kReturned) {
    shared_.context.messages.write(LogLevel::kInfo, now_ms(),
                                   "upstream " + told.url() + " is back");
  } else if (change == Breaker::Change::kEjected) {
    uint64_t lasts_ms = board().health(told.id()).ejected_until_ms - now_ms();
    shared_.context.warn("upstream " + told.url() + " is left out for " +
                         format_duration_ms(lasts_ms) + ": " + eject_reason_name(*failure));
  }
}

// A request to an upstream that is ejected is a trial of it, for whatever reason it goes there.
// False: there is one already.
bool Endpoints::begins_trial_if_due(const Stream& stream, const Upstream& upstream) {
  if (board().health(upstream.id).ejected_until_ms.load(std::memory_order_relaxed) == 0)
    return true;
  drop_trial_not_begun();
  Endpoint& chosen = endpoint(upstream);
  if (!chosen.breaker().begin_trial(stream.id()))
    return board().health(upstream.id).ejected_until_ms.load() == 0;
  trial_not_begun_ = &chosen;
  return true;
}

void Endpoints::drop_trial_not_begun() {
  if (Endpoint* chosen = std::exchange(trial_not_begun_, nullptr)) chosen->breaker().end_trial();
}

// In each group that this upstream is one of several of, another one is closed. A group of one has
// nobody to leave it to: it goes on using an upstream that others have ejected.
bool Endpoints::others_left(uint32_t id) const {
  bool has_others = false;
  for (const Route& route : shared_.context.snapshot->routes()) {
    if (std::ranges::count(route.upstreams, id, &Upstream::id) == 0) continue;
    bool alone = true;
    bool left = false;
    for (const Upstream& other : route.upstreams) {
      if (other.id == id) continue;
      alone = false;
      left |= board().health(other.id).state(now_ms()) == UpstreamState::kClosed;
    }
    if (!alone && !left) return false;
    has_others |= !alone;
  }
  return has_others;
}

Endpoint& Endpoints::endpoint(const Upstream& upstream) {
  if (endpoints_.size() <= upstream.id) endpoints_.resize(upstream.id + 1);
  std::unique_ptr<Endpoint>& place = endpoints_[upstream.id];
  if (!place) {
    place = std::make_unique<Endpoint>(shared_, upstream);
    std::optional<uint64_t> limit = limits()[upstream.id];
    if (limit) place->limit(*limit);
    place->set_configured(limit.has_value());
  }
  return *place;
}

// Of routes that name the same upstream the strictest holds; nullopt: none names it.
std::vector<std::optional<uint64_t>> Endpoints::limits() const {
  const ConfigSnapshot& snapshot = *shared_.context.snapshot;
  std::vector<std::optional<uint64_t>> all(snapshot.upstream_urls().size());
  for (const Route& route : snapshot.routes()) {
    uint64_t limit = route.settings.upstream_max_connections;
    for (const Upstream& upstream : route.upstreams) {
      std::optional<uint64_t>& strictest = all[upstream.id];
      bool stricter = limit != 0 && (strictest.value_or(0) == 0 || limit < *strictest);
      if (!strictest || stricter) strictest = limit;
    }
  }
  return all;
}

bool Endpoints::without_address(const Upstream& upstream) const {
  const Endpoint* known = upstream.id < endpoints_.size() ? endpoints_[upstream.id].get() : nullptr;
  return known && known->without_address();
}

std::optional<std::vector<Address>> Endpoints::addresses_to_probe(const Upstream& upstream) {
  Endpoint& of = endpoint(upstream);
  if (of.looks_for_address()) return std::nullopt;
  return of.addresses_to_try();
}

void Endpoints::probe_failed_at(const Upstream& upstream, const Address& address) {
  endpoint(upstream).address_tried(address, false);
}

void Endpoints::reload() {
  for (auto& endpoint : endpoints_)
    if (endpoint) endpoint->retire_pools();
  for (const Route& route : shared_.context.snapshot->routes()) {
    ConnectionSettings settings = ConnectionSettings::of(route.settings);
    for (const Upstream& upstream : route.upstreams) {
      if (upstream.id >= endpoints_.size() || !endpoints_[upstream.id]) continue;
      if (UpstreamPool* pool = endpoints_[upstream.id]->find_pool(settings)) {
        pool->set_retired(false);
        pool->use_tls_of(upstream);
      }
    }
  }
  balancer_.forget_turns();
  shared_.resolver.reload();
  look_names_up();
  std::vector<std::optional<uint64_t>> limits = this->limits();
  uint64_t close_at_us = shared_.context.loop.now_ms() * 1000;
  for (auto& endpoint : endpoints_) {
    if (!endpoint) continue;
    endpoint->close_retired(close_at_us);
    endpoint->set_configured(limits[endpoint->id()].has_value());
    if (limits[endpoint->id()]) endpoint->look_up_anew();
    if (limits[endpoint->id()]) endpoint->limit(*limits[endpoint->id()]);
  }
}

void Endpoints::housekeep() {
  drop_trial_not_begun();
  for (auto& endpoint : endpoints_)
    if (endpoint && endpoint->shrink()) endpoint.reset();
}

size_t Endpoints::count() const {
  return static_cast<size_t>(
      std::ranges::count_if(endpoints_, [](const auto& endpoint) { return endpoint != nullptr; }));
}

void Endpoints::close_idle() {
  for (auto& endpoint : endpoints_)
    if (endpoint) endpoint->close_idle();
}

}  // namespace sluice

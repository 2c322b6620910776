#include "net/upstream/endpoint.h"

#include <algorithm>
#include <string>
#include <utility>

namespace sluice {

Endpoint::Endpoint(PoolContext& shared, const Upstream& upstream)
    : shared_(shared),
      upstream_(upstream),
      breaker_(board().health(upstream.id), shared.context.number),
      look_(this),
      queue_(board().places(upstream.id), shared.context.number) {
  if (upstream.name.empty())
    use_addresses({upstream.address});
  else
    name_ = std::make_unique<HostName>(shared.context.loop, shared.resolver, upstream.name, ttl(),
                                       *this, upstream.url_hash + shared.context.number);
}

// --- addresses ---

void Endpoint::use_addresses(std::vector<Address> addresses) {
  if (name_)
    for (Address& address : addresses) address.set_port(upstream_.port);
  addresses_.replace(addresses);
  queue_.set_resolved(!addresses_.empty());
  for (auto& pool : pools_) pool->close_idle_elsewhere();
}

void Endpoint::on_looked_up(bool changed) {
  if (changed) use_addresses(name_->addresses());
  if (changed || !queue_.resolved()) tell_addresses();
  if (queue_.resolved() && !name_->looking()) tell_failure();
  if (queue_.resolved())
    serve_resolved();
  else if (!name_->looking())
    refuse_unresolved();
}

void Endpoint::serve_resolved() {
  for (Stream* stream = queue_.front(); stream; stream = ConnectionQueue::next(*stream))
    if (stream->phase() == Phase::kResolving) stream->on_queued();
  place_is_free();
}

// A stream that is refused may ask for another upstream, or be gone with others.
void Endpoint::refuse_unresolved() {
  while (Stream* stream = queue_.front()) {
    queue_.remove(*stream);
    stream->on_no_upstream(Ending::kUpstreamUnresolved, name_->reason());
  }
}

void Endpoint::on_answered(DnsAnswer::Status status) {
  ++shared_.context.metrics.dns_answers[static_cast<unsigned>(status)];
}

// Each worker looks up for itself, and one of them tells; that there is none, once.
void Endpoint::tell_addresses() {
  if (shared_.context.number != 0) return;
  if (!queue_.resolved()) {
    if (name_->looking() || std::exchange(told_of_none_, true)) return;
    shared_.context.warn("upstream " + url() + " has no address: " + name_->reason());
    return;
  }
  told_of_none_ = false;
  std::string text = "upstream " + url() + " is at";
  for (const Address& address : name_->addresses()) text += " " + address.ip();
  shared_.context.messages.write(LogLevel::kInfo, now_ms(), text);
}

// That its addresses may be old, and that they are not any more.
void Endpoint::tell_failure() {
  if (shared_.context.number != 0) return;
  if (std::exchange(told_of_failure_, name_->failing()) == name_->failing()) return;
  std::string text = "upstream " + url() + ": ";
  if (name_->failing())
    shared_.context.warn(text + "its name cannot be looked up (" + name_->reason() +
                         "), so what is known of it is kept");
  else
    shared_.context.messages.write(LogLevel::kInfo, now_ms(), text + "its name is looked up again");
}

std::vector<Address> Endpoint::addresses_to_try() {
  return addresses_.in_order(now_ms());
}

void Endpoint::address_tried(const Address& address, bool connected) {
  addresses_.tried(address, connected, now_ms());
  if (!connected && name_) name_->doubt();
}

bool Endpoint::awaits_address() {
  name_->doubt();
  return name_->looking();
}

void Endpoint::set_configured(bool configured) {
  configured_ = configured;
  if (!name_) return;
  name_->set_ttl(ttl());
  name_->keep_fresh(configured);
}

void Endpoint::look_up_anew() {
  if (name_) name_->look_up_anew();
}

// --- attempts, pools and their queue ---

void Endpoint::attempt_begun() {
  ++metrics().begun;
  board().attempt_begun(shared_.context.number, id());
}

void Endpoint::attempt_ended(const AttemptOutcome& outcome) {
  ++metrics().ended[static_cast<unsigned>(outcome.ending)];
  board().attempt_ended(shared_.context.number, id());
}

UpstreamPool* Endpoint::find_pool(const ConnectionSettings& settings) const {
  for (const auto& pool : pools_)
    if (pool->settings() == settings) return pool.get();
  return nullptr;
}

UpstreamPool& Endpoint::pool_of(const Stream& stream) {
  ConnectionSettings settings = ConnectionSettings::of(stream.settings());
  const bool current = &stream.snapshot() == &*shared_.context.snapshot;
  if (UpstreamPool* pool = find_pool(settings)) {
    if (current) {
      pool->set_retired(false);
      pool->use_tls_of(stream.upstream());
    }
    return *pool;
  }
  auto& pool = pools_.emplace_back(
      std::make_unique<UpstreamPool>(shared_, *this, queue_, stream.upstream(), settings));
  // A stream of a former configuration may be the only one to want such connections.
  pool->set_retired(!current);
  return *pool;
}

void Endpoint::acquire(Stream& stream, bool fresh) {
  pool_of(stream).acquire(stream, fresh);
}

void Endpoint::limit(uint64_t connections_max) {
  queue_.limit(connections_max);
  place_is_free();
  close_unwanted();
  look_in(limits::kIdlePlaceLookMs);
}

void Endpoint::place_is_free() {
  while (!queue_.empty() && queue_.take_place(queue_.front()->phase_since_ms())) {
    Stream& stream = *queue_.front();
    queue_.remove(stream);
    pool_of(stream).open_for(stream);
  }
}

// Nobody tells a worker what another one does: it looks, as long as there may be something to see.
void Endpoint::on_timer() {
  place_is_free();
  queue_.claim_turn();
  close_unwanted();
  if (!queue_.empty())
    look_in(limits::kPlaceLookMs);
  else if (std::ranges::any_of(pools_, [](const auto& pool) { return pool->has_idle(); }))
    look_in(limits::kIdlePlaceLookMs);
}

void Endpoint::look_in(uint64_t ms) {
  Loop& loop = shared_.context.loop;
  if (queue_.limited()) loop.timers().schedule_earlier(look_, loop.now_ms() + ms);
}

void Endpoint::close_unwanted() {
  uint64_t left = queue_.unwanted();
  for (auto& pool : pools_)
    while (left > 0 && pool->close_one_idle()) --left;
}

void Endpoint::make_room(UpstreamPool& for_pool, bool fresh) {
  look_in(limits::kPlaceLookMs);
  for (auto& pool : pools_)
    if (pool.get() != &for_pool && pool->close_one_idle()) return;
  if (fresh) for_pool.close_one_idle();
}

bool Endpoint::belongs_to(const Stream& stream, const UpstreamPool& pool) const {
  return pool.settings() == ConnectionSettings::of(stream.settings());
}

void Endpoint::retire_pools() {
  for (auto& pool : pools_) pool->set_retired(true);
}

void Endpoint::close_retired(uint64_t& at_us) {
  for (auto& pool : pools_)
    if (pool->retired()) pool->close_idle_from(at_us);
}

bool Endpoint::shrink() {
  std::erase_if(pools_, [](const auto& pool) { return pool->retired() && pool->empty(); });
  return pools_.empty() && queue_.empty() && (!configured_ || !name_);
}

void Endpoint::close_idle() {
  for (auto& pool : pools_) pool->close_idle();
}

}  // namespace sluice

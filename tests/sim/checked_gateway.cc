#include "tests/sim/checked_gateway.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/sim/kernel_state.h"

namespace sluice::sim {

namespace {

constexpr uint64_t kTurnsMax = 2'000'000;
// To let the last completions in, and slots and streams be returned.
constexpr int kSettlingTurns = 3;
constexpr uint64_t kExhaustedNsMax = 4 * kSecond;
// For sockets that no connection has any more; a connect that nobody cancels takes far longer.
constexpr uint64_t kFdsLeftNsMax = 10 * kSecond;
// From room for a client to the client: limits::kAcceptPauseMs, and some turns.
constexpr uint64_t kUnacceptedNsMax = 400 * kMillisecond;
// From the end of the grace to that of the last connection: limits::kEndingMs, and their lingering.
constexpr uint64_t kEndedWithinNs = 5 * kSecond;
constexpr uint64_t kOwnAnswersMax = uint64_t{64} * 512;

SlotPool::Options pool_options(const char* name, uint16_t group, const PoolSettings& settings) {
  return {name, group, static_cast<uint32_t>(settings.slot_bytes),
          static_cast<uint32_t>(settings.slots)};
}

std::unique_ptr<Ring> make_ring(const Features& features) {
  std::string error;
  return Ring::create(features, &error);
}

LatencyBudget budget_of(const Config& config) {
  std::optional<uint64_t> ns;
  if (config.latency_budget_us) ns = *config.latency_budget_us * 1000;
  return LatencyBudget(ns);
}

}  // namespace

CheckedGateway::CheckedGateway(World& world, Kernel& kernel, Config config,
                               const Features& features, uint64_t clients_max, uint64_t heap_max,
                               NamesWeather names, unsigned worker, HubProcess* hubs)
    : world_(world),
      kernel_(kernel),
      config_(std::move(config)),
      ring_(make_ring(features)),
      listener_(kernel.open_listener()),
      loop_(*ring_),
      memory_limit_{.bytes_max = config_.pool_max, .heap_max = heap_max},
      sse_event_(loop_, memory_limit_, pool_options("sse_event", 0, config_.pool_sse_event)),
      http_response_(loop_, memory_limit_,
                     pool_options("http_message", 1, config_.pool_http_message)),
      limit_(clients_max),
      snapshot_(std::make_shared<ConfigSnapshot>(config_)),
      names_(loop_, names),
      gateway_(loop_, memory_, memory_limit_, snapshot_, {{config_.listen[0].text(), listener_}},
               messages_, log_, limit_, names_, worker, hubs) {
  loop_.set_latency_budget(budget_of(config_));
  for (const Route& route : config_.routes) {
    window_max_ = std::max(window_max_, route.settings.buffer_size_max);
    hold_max_ = std::max(hold_max_, route.settings.event_hold);
    // A hub's event leaves as a whole, where there is any room: quoted, and with what it is in.
    if (!route.hub.empty()) overshoot_ = std::max(overshoot_, 2 * route.settings.hub_event_size);
  }
}

// Not while the process ends, as net/process/reload.cc has it.
void CheckedGateway::reload(Config config) {
  if (gateway_.context().draining) return;
  former_snapshots_.emplace_back(snapshot_);
  snapshot_ = std::make_shared<ConfigSnapshot>(std::move(config), snapshot_.get());
  gateway_.reload(snapshot_, {}, [] {});
}

// The last stream that began with one frees it.
void CheckedGateway::check_snapshots() const {
  for (const auto& former : former_snapshots_)
    if (!former.expired()) violation("a configuration is kept that nothing follows any more");
}

void CheckedGateway::other_comes() {
  if (limit_.full()) return;
  limit_.enter();
  ++others_;
}

void CheckedGateway::other_leaves() {
  if (others_ == 0) return;
  limit_.leave();
  --others_;
}

void CheckedGateway::turn() {
  auto wakes_one = [](const SlotPool& pool) { return pool.has_waiters() && pool.provided() > 0; };
  bool due = wakes_one(sse_event_) || wakes_one(http_response_);
  // At the end nothing is left to wait for.
  if (!drive && gateway_.context().draining && over())
    world_.advance_to(std::min(world_.next_ns(), world_.now_ns() + kSecond));
  else
    loop_.turn(true);
  if (due && kernel_.last_timeout_ns() > 0)
    violation("a receive waits for a slot though there is one");
  check_turn();
  if (++turns_ > kTurnsMax) violation("it does not come to an end");
}

// The other worker takes no place that is not there, so only our own listener's accept may have
// been armed when the last one went. A multishot accept is armed only where all fit.
void CheckedGateway::check_clients() {
  const Metrics& metrics = gateway_.metrics();
  uint64_t ours = metrics.client_connections - metrics.client_connections_closed;
  uint64_t reserved = limit_.taken() - ours - others_;
  // Of requests beside others on their connections; they go before it does.
  uint64_t places = reserved % SOMAXCONN;
  if (reserved / SOMAXCONN > 1 || places > (ours > 0 ? metrics.streams_started : 0))
    violation("the limit counts " + std::to_string(limit_.taken()) + ", there are " +
              std::to_string(ours + others_) + " clients");
  if (ours + others_ > limit_.most() + 1) violation("more clients than the limit has room for");
}

// Whoever connects is accepted where there is room, at once or after a rest. Where accept fails, or
// the process stands still, nobody can.
void CheckedGateway::check_backlog() {
  const Liberties& liberties = kernel_.state().liberties;
  bool hindered = liberties.no_fds + liberties.no_accept + liberties.stopped > 0;
  if (hindered || limit_.full() || kernel_.backlog() == 0)
    unaccepted_since_ns_ = 0;
  else if (unaccepted_since_ns_ == 0)
    unaccepted_since_ns_ = world_.now_ns();
  else if (world_.now_ns() - unaccepted_since_ns_ > kUnacceptedNsMax)
    violation("clients wait to be accepted though there is room");
}

void CheckedGateway::check_turn() {
  check_clients();
  check_backlog();
  for (const SlotPool* pool : {&sse_event_, &http_response_})
    scarce_ |= pool->has_waiters() && pool->provided() == 0;
  bool stands = kernel_.state().liberties.stopped > 0;
  if (ends_since_ns_ != 0 && !stands && world_.now_ns() > ends_since_ns_ + kEndedWithinNs &&
      connections_left())
    violation("connections are left after the end of the grace");
  // Our own answers, a few hundred bytes each, are beside the limit.
  if (memory_limit_.bytes > memory_limit_.bytes_max ||
      memory_limit_.heap > memory_limit_.heap_max + kOwnAnswersMax)
    violation("peers' bytes occupy " + std::to_string(memory_limit_.bytes) + " of " +
              std::to_string(memory_limit_.bytes_max) + " and " +
              std::to_string(memory_limit_.heap) + " of " + std::to_string(memory_limit_.heap_max));
  check_pool(sse_event_);
  check_pool(http_response_);
  check_exhausted(sse_event_, events_exhausted_);
  check_exhausted(http_response_, others_exhausted_);
  // Where there are very many, not each at every turn.
  if (turns_ % (1 + gateway_.streams().live() / 64) == 0) check_streams();
  check_groups();
  if (loop_.counters().stale_completions > 0) violation("a completion for nobody");
  if (loop_.operations() != kernel_.operations())
    violation("the kernel has " + std::to_string(kernel_.operations()) +
              " operations, the loop knows " + std::to_string(loop_.operations()));
}

void CheckedGateway::check_pool(const SlotPool& pool) const {
  std::string name = pool.name();
  world_.trace("    %s: %u provided, %u leased, %u free%s", pool.name(), pool.provided(),
               pool.leased(), pool.free(), pool.has_waiters() ? ", awaited" : "");
  if (pool.provided() + pool.leased() + pool.free() != pool.slots())
    violation("slots of " + name + " are not accounted for");
  if (!kernel_.emptied(pool.group()) && kernel_.buffers(pool.group()) != pool.provided())
    violation("the kernel holds " + std::to_string(kernel_.buffers(pool.group())) + " slots of " +
              name + ", the pool thinks " + std::to_string(pool.provided()));
}

// Whose peer takes nothing gives way to those that wait, after a while (limits::kShedAfterMs, and a
// second until that is looked at). A peer that is slow gives a slot back by then, be it one that
// goes to what we write. Where the process itself stood still, nobody could; and a stream alone
// waits for none but its own slots, which its client may take a byte at a time.
void CheckedGateway::check_exhausted(const SlotPool& pool, Exhausted& exhausted) {
  const Metrics& metrics = gateway_.metrics();
  bool alone = metrics.streams_started - metrics.streams_ended <= 1;
  bool one_came_back = pool.leased() < std::exchange(exhausted.leased, pool.leased());
  if (!pool.exhausted() || alone || kernel_.state().liberties.stopped > 0)
    exhausted.since_ns = 0;
  else if (exhausted.since_ns == 0 || one_came_back)
    exhausted.since_ns = world_.now_ns();
  else if (world_.now_ns() - exhausted.since_ns > kExhaustedNsMax)
    violation(std::string("receives wait for slots of ") + pool.name() +
              " that nobody is made to give back");
}

// Credit: what a stream has on its way is never more than the largest window and the slot that
// crossed the line. Of an event stream what was held comes on top, once its event is complete; and
// that is bounded by --event-hold.
void CheckedGateway::check_streams() const {
  std::vector<StreamInfo> streams;
  gateway_.list_streams(streams);
  uint64_t slot = std::max(sse_event_.slot_bytes(), http_response_.slot_bytes());
  for (const StreamInfo& stream : streams) {
    uint64_t granted_max = window_max_ + std::max(slot, overshoot_);
    bool holds_events = stream.event_stream || stream.dialect != "none";  // maybe behind a gate
    uint64_t held_max = holds_events ? hold_max_ + granted_max : 0;
    if (stream.backlog > granted_max + held_max)
      violation("a stream holds " + std::to_string(stream.backlog) + " bytes, its window is " +
                std::to_string(stream.window));
    if (stream.held > held_max)
      violation("a stream holds back " + std::to_string(stream.held) + " bytes");
  }
}

// However they fail, one of each group's upstreams is there. Groups stay the same over reloads
// here.
void CheckedGateway::check_groups() const {
  for (const Route& route : snapshot_->routes()) {
    auto is_out = [this](const Upstream& upstream) {
      return snapshot_->board().health(upstream.id).ejected_until_ms != 0;
    };
    if (route.upstreams.size() > 1 && std::ranges::all_of(route.upstreams, is_out))
      violation("every upstream of " + route.path + " is ejected");
  }
}

// Each attempt begins once and ends once.
void CheckedGateway::check_attempts() {
  for (uint32_t id = 0; id < snapshot_->upstream_urls().size(); ++id) {
    uint64_t outstanding = snapshot_->board().outstanding(id);
    uint64_t under_way = gateway_.metrics().of_upstream(id).under_way();
    if (outstanding + under_way > 0)
      violation(std::to_string(outstanding) + " attempts are outstanding and " +
                std::to_string(under_way) + " under way, though nothing is there");
    if (snapshot_->board().health(id).trial != 0) violation("nobody tries an upstream, for ever");
    const UpstreamPlaces& places = snapshot_->board().places(id);
    if (places.taken + places.waiting + places.turn != 0)
      violation("places of an upstream are taken though nothing is there");
  }
}

bool CheckedGateway::torn() {
  return gateway_.metrics().torn_events > 0;
}

bool CheckedGateway::scarce() {
  return scarce_ || gateway_.metrics().endings[static_cast<unsigned>(Ending::kOverloaded)] > 0;
}

void CheckedGateway::end_all() {
  if (ends_since_ns_ != 0) return;
  ends_since_ns_ = world_.now_ns();
  gateway_.end_all();
}

bool CheckedGateway::connections_left() const {
  WorkerSnapshot now;
  gateway_.snapshot(now);
  return now.client_connections + now.upstream_connections + now.upstream_idle + now.streams +
             now.event_streams + kernel_.backlog() >
         0;
}

uint64_t CheckedGateway::all_timeouts_ms() const {
  uint64_t most_ms = 0;
  for (const Route& route : config_.routes) {
    const StreamSettings& settings = route.settings;
    most_ms =
        std::max(most_ms, settings.stream_idle_timeout_ms + settings.first_byte_timeout_ms +
                              settings.write_timeout_ms + settings.keepalive_timeout_ms +
                              settings.connect_timeout_ms + settings.body_timeout_ms +
                              settings.header_timeout_ms + settings.upstream_keepalive_timeout_ms);
  }
  return most_ms;
}

// The listener, if it has not been closed, and those of probes, which go on, and may try all of a
// name's addresses at once.
size_t CheckedGateway::own_fds() const {
  return (gateway_.context().draining ? 0 : 1) + gateway_.prober().under_way() * kNameAddresses;
}

void CheckedGateway::run_until_alone(uint64_t rounds) {
  uint64_t until_ns = world_.now_ns() + all_timeouts_ms() * rounds * kMillisecond;
  while (connections_left() && world_.now_ns() < until_ns) turn_or_drive();
  if (connections_left()) violation("a connection without a deadline");
}

void CheckedGateway::run_until_idle(uint64_t rounds) {
  run_until_alone(rounds);
  // An fd may be that of a client whose accept is yet to be told, or of a connect that is
  // cancelled.
  uint64_t until_ns = world_.now_ns() + kFdsLeftNsMax;
  while (kernel_.open_fds() > own_fds() && world_.now_ns() < until_ns) turn_or_drive();
  // Turns of its own, whoever else turns meanwhile.
  for (uint64_t until = turns_ + kSettlingTurns; turns_ < until;) turn_or_drive();
  run_until_alone(rounds);  // beside fds of probes, that of a client is not seen
  if (sse_event_.leased() + http_response_.leased() > 0)
    violation("slots are leased though nothing is there");
  if (sse_event_.heap_blocks() + http_response_.heap_blocks() > 0)
    violation("blocks of the heap are left though nothing is there");
  uint64_t heap = gateway_.prober().under_way() == 0 ? memory_limit_.heap : 0;
  // Encoders that nobody uses stay for a while.
  uint64_t encoders = 0;
  for (const EncodingCounts& coding : gateway_.streams().encoders().metrics().by_coding) {
    if (coding.states_in_use > 0) violation("an encoder is in use though nothing is there");
    encoders += coding.state_bytes;
  }
  if (memory_limit_.bytes != sse_event_.bytes() + http_response_.bytes() + encoders || heap != 0)
    violation("memory is accounted for that nobody has");
  check_snapshots();
  check_attempts();
  if (memory_.nodes.in_use() > 0) violation("nodes are in use though nothing is there");
  // A probe that has just ended may have left some that are about to close.
  until_ns = world_.now_ns() + kFdsLeftNsMax;
  while (kernel_.open_fds() > own_fds() && world_.now_ns() < until_ns) turn_or_drive();
  if (kernel_.open_fds() > own_fds())
    violation(std::to_string(kernel_.open_fds()) + " fds are open, though nothing is there");
}

void CheckedGateway::stop() {
  if (ends_since_ns_ == 0 && world_.random.chance(0.5))
    gateway_.end_all();
  else
    gateway_.abort_all();
  while (loop_.operations() > 0) turn();
  for (int i = 0; i < kSettlingTurns; ++i) loop_.turn(false);
  if (kernel_.open_fds() > 0) violation("fds are left after the end");
}

}  // namespace sluice::sim

#include "net/gateway/gateway.h"

#include <optional>
#include <utility>

#include "core/socket.h"
#include "net/base/limits.h"

namespace sluice {

namespace {

constexpr uint64_t kHousekeepingMs = 1000;

}  // namespace

Gateway::Gateway(Loop& loop, Memory& memory, MemoryLimit& memory_limit,
                 std::shared_ptr<const ConfigSnapshot> snapshot,
                 const std::vector<ListeningSocket>& sockets, MessageLog& messages, LogQueue& log,
                 ClientLimit& client_limit, Resolver& resolver, unsigned worker,
                 HubProcess* hub_process)
    : context_(loop, memory, memory_limit, std::move(snapshot), messages, worker),
      timer_(this),
      connector_(context_),
      upstreams_(context_, resolver, connector_, *this),
      probe_targets_(upstreams_, connector_),
      prober_(context_, probe_targets_),
      hubs_(context_, hub_process),
      router_(upstreams_, hubs_),
      endings_(context_, log),
      streams_(context_, router_, endings_),
      sources_(context_, hubs_, streams_),
      clients_(streams_, client_limit, *this) {
  clients_.listen(sockets);
  loop.add_turn_hook(*this);
  loop.timers().schedule(timer_, loop.now_ms() + kHousekeepingMs);
}

Gateway::~Gateway() = default;

void Gateway::on_timer() {
  if (ending_) {
    end_some();
    return;
  }
  clients_.housekeep();
  upstreams_.housekeep();
  streams_.encoders().tick();
  streams_.sweep_taps();
  context_.memory.sse_event.trim();
  context_.memory.http_message.trim();
  if (context_.memory.json) context_.memory.json->trim();
  context_.loop.timers().schedule(timer_, context_.loop.now_ms() + kHousekeepingMs);
}

void Gateway::reload(std::shared_ptr<const ConfigSnapshot> snapshot,
                     std::vector<ListeningSocket> sockets, std::function<void()> done) {
  reloads_.push_back({std::move(snapshot), std::move(sockets), std::move(done)});
}

void Gateway::on_turn_end() {
  if (reloads_.empty()) return;
  for (const Reload& reload : std::exchange(reloads_, {})) apply(reload);
}

void Gateway::apply(const Reload& reload) {
  context_.snapshot = ConfigRef(reload.snapshot);
  for (uint32_t id : reload.snapshot->renamed_routes()) context_.metrics.forget_route(id);
  for (uint32_t id : reload.snapshot->renamed_upstreams()) {
    context_.metrics.forget_upstream(id);
    streams_.retry_budget().forget(id);
  }
  context_.messages.set_least(context_.config().log_level);
  if (context_.draining) {
    for (const ListeningSocket& socket : reload.sockets) close_socket(socket.fd);
  } else {
    clients_.listen(reload.sockets);
    clients_.reload();
  }
  upstreams_.reload();
  prober_.reload();
  hubs_.reload();
  sources_.reload();
  reload.done();
}

void Gateway::drain() {
  if (context_.draining) return;
  context_.draining = true;
  clients_.drain();
  upstreams_.close_idle();
  prober_.stop();
  sources_.stop();
  hubs_.drain();
  connection_closed();
}

void Gateway::end_all() {
  drain();
  ending_ = true;
  end_some();
}

void Gateway::end_some() {
  if (clients_.end_some())
    abort_all();
  else
    context_.loop.timers().schedule(timer_, context_.loop.now_ms() + limits::kEndingStepMs);
}

void Gateway::abort_all() {
  drain();
  streams_.shut_down();
  clients_.drop_all();
}

void Gateway::on_hub_news() {
  hubs_.on_news();
  connection_closed();
}

void Gateway::connection_closed() {
  if (context_.draining && clients_.count() == 0 && upstreams_.connections() == 0 &&
      hubs_.may_end())
    context_.loop.stop();
}

void Gateway::snapshot(WorkerSnapshot& into) const {
  into.metrics = context_.metrics;
  into.metrics.encoding = streams_.encoders().metrics();
  into.metrics.decoding = streams_.decoders().metrics();
  into.metrics.filters = streams_.filter_counts();
  streams_.snapshot(into.metrics.scripts);
  into.hubs = hubs_.counts();
  into.hub_sources = sources_.counts();
  into.ring = context_.loop.ring().counters();
  into.loop = context_.loop.counters();
  into.operations = context_.loop.operations();
  into.client_connections = clients_.count();
  into.handshakes = clients_.handshakes();
  into.upstream_connections = upstreams_.connections();
  into.upstream_idle = upstreams_.idle();
  into.streams = streams_.live();
  into.event_streams = streams_.live_event_streams();
  const Memory& memory = context_.memory;
  for (const SlotPool* pool : {&memory.sse_event, &memory.http_message, memory.json})
    if (pool)
      into.pools.push_back({pool->name(), pool->slot_bytes(), pool->slots(), pool->provided(),
                            pool->free(), pool->leased(), pool->heap_blocks(), pool->high_water(),
                            pool->counters()});
}

}  // namespace sluice

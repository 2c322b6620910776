// One upstream as a worker knows it while it runs: what requests to it are counted, its breaker,
// its addresses, and its pools of connections. All routes that name its url share it, and it
// outlives reloads that keep it. Connections are made as the route says (socket buffers,
// keep-alive, limits), so there is a pool for each kind of them: most often one. Owned by
// Endpoints, used on its worker's thread.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/timer_wheel.h"
#include "net/base/limits.h"
#include "net/dns/host_name.h"
#include "net/upstream/addresses.h"
#include "net/upstream/breaker.h"
#include "net/upstream/pool.h"

namespace sluice {

class Endpoint final : public PoolOwner, public HostName::Watcher, public TimerOwner {
 public:
  // Where its url has a name, the first look-up begins at once.
  Endpoint(PoolContext& shared, const Upstream& upstream);

  uint32_t id() const { return upstream_.id; }

  // The stream's request is to have a connection.
  void acquire(Stream& stream, bool fresh);
  void forget(Stream& stream) { queue_.remove(stream); }
  // Its name has no address, and nobody is asked for one just now.
  bool without_address() const { return name_ && addresses_.empty() && !name_->looking(); }
  // One may come, but none is known.
  bool looks_for_address() const { return name_ && addresses_.empty() && name_->looking(); }
  // The names' files and servers may be others: looks up anew.
  void look_up_anew();
  // How many connections all workers may have, 0 = any number; streams that wait get what comes
  // free.
  void limit(uint64_t connections_max);

  // Null: there is none for such connections.
  UpstreamPool* find_pool(const ConnectionSettings& settings) const;

  // A stream begins an attempt here; every one ends once.
  void attempt_begun();
  void attempt_ended(const AttemptOutcome& outcome);
  Breaker& breaker() { return breaker_; }
  const std::string& url() const { return upstream_.url; }

  // For a change of the configuration: all its pools are retired first, then those that a route
  // uses are taken back, and then those that are left keep no idle connection.
  void retire_pools();
  // A route of the configuration names it. If none does, it goes as soon as it is not used.
  void set_configured(bool configured);
  // `at_us`: when the next of them closes, in the loop's time.
  void close_retired(uint64_t& at_us);
  // Deletes retired pools that are empty; true where nothing keeps it any more.
  bool shrink();
  void close_idle();

  // PoolOwner
  std::vector<Address> addresses_to_try() override;
  void address_tried(const Address& address, bool connected) override;
  bool has_address(const Ip& address) const override { return addresses_.contains(address); }
  bool awaits_address() override;
  const char* why_no_address() const override { return name_->reason(); }
  void place_is_free() override;
  void make_room(UpstreamPool& for_pool, bool fresh) override;
  void went_idle() override { look_in(limits::kIdlePlaceLookMs); }
  bool belongs_to(const Stream& stream, const UpstreamPool& pool) const override;

  // HostName::Watcher
  void on_looked_up(bool changed) override;
  void on_answered(DnsAnswer::Status status) override;

  // TimerOwner: where connections are limited, other workers may have given some back, or want
  // some.
  void on_timer() override;

 private:
  void look_in(uint64_t ms);
  void close_unwanted();
  void serve_resolved();
  void refuse_unresolved();
  void use_addresses(std::vector<Address> addresses);
  void tell_addresses();
  void tell_failure();
  HostName::Ttl ttl() const {
    return {shared_.context.config().dns_ttl_min_ms, shared_.context.config().dns_ttl_max_ms};
  }
  uint64_t now_ms() const { return shared_.context.loop.now_ms(); }
  UpstreamBoard& board() const { return shared_.context.snapshot->board(); }
  UpstreamPool& pool_of(const Stream& stream);
  UpstreamMetrics& metrics() { return shared_.context.metrics.of_upstream(id()); }

  PoolContext& shared_;
  const Upstream upstream_;
  Breaker breaker_;
  std::unique_ptr<HostName> name_;  // null: the url has an address
  Addresses addresses_;
  bool configured_ = true;
  bool told_of_none_ = false;
  bool told_of_failure_ = false;
  Timer look_;
  ConnectionQueue queue_;
  std::vector<std::unique_ptr<UpstreamPool>> pools_;
};

}  // namespace sluice

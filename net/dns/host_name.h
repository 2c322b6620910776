// The addresses of a name, kept fresh: looked up at the start, again when they have expired, and
// sooner where they turn out to be wrong. Each family is looked up and kept for itself, so that a
// server that does not answer for one does not hold up the other (RFC 8305 section 3), and the old
// answer stays where a look-up fails. Only the servers' word that there is none takes it away.
// Owned by its endpoint, used on its worker's thread.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "core/loop.h"
#include "core/random.h"
#include "core/timer_wheel.h"
#include "net/base/address.h"
#include "net/dns/resolver.h"

namespace sluice {

class HostName final : public TimerOwner {
 public:
  struct Ttl {
    uint64_t min_ms;
    uint64_t max_ms;
  };

  class Watcher {
   public:
    // A look-up has ended, or brought something. `changed`: the addresses are others than before.
    virtual void on_looked_up(bool changed) = 0;
    // What one family's question came to, for counters.
    virtual void on_answered(DnsAnswer::Status status) = 0;

   protected:
    ~Watcher() = default;
  };

  // The first look-up begins at once. `seed`: look-ups are spread a little by chance, so that names
  // with one time to live do not stay in step.
  HostName(Loop& loop, Resolver& resolver, std::string name, Ttl ttl, Watcher& watcher,
           uint64_t seed);
  ~HostName();

  const std::string& name() const { return name_; }
  // IPv6 and IPv4 in turn, with port 0. Empty: not known, or there are none.
  const std::vector<Address>& addresses() const { return addresses_; }
  // An answer is on its way.
  bool looking() const { return families_[0].asking || families_[1].asking; }
  // A look-up has failed for a family, whose old answer, if any, is kept.
  bool failing() const { return families_[0].failed || families_[1].failed; }
  // Why there are none, or why it fails.
  const char* reason() const { return reason_; }
  // Looks up again, unless the last look-up began less than limits::kDnsRetryMs ago.
  void doubt();
  // Looks up again, behind a look-up that is under way.
  void look_up_anew();
  // Nobody wants it to be kept fresh any more, or somebody does again.
  void keep_fresh(bool fresh);
  void set_ttl(Ttl ttl) { ttl_ = ttl; }

  void on_timer() override;

 private:
  struct Family final : DnsAsker {
    void on_answer(DnsAnswer answer) override { of->on_answer(*this, std::move(answer)); }

    HostName* of = nullptr;
    bool asking = false;
    std::vector<Address> addresses;
    uint64_t fresh_ms = 0;  // its answer's time to live
    bool failed = false;
  };

  void look_up();
  void on_answer(Family& family, DnsAnswer answer);
  void publish();
  void schedule_next();

  Loop& loop_;
  Resolver& resolver_;
  const std::string name_;
  Ttl ttl_;
  Watcher& watcher_;
  std::array<Family, kIpFamilies> families_;
  std::vector<Address> addresses_;
  const char* reason_ = "";
  uint64_t asked_ms_ = 0;
  bool fresh_ = true;
  bool once_more_ = false;
  Random random_;
  Timer timer_;
};

}  // namespace sluice

// DNS of a simulation. A name's addresses are 127.0.0.1, where its upstream is, and in some seeds
// more, where nobody answers or nobody listens. Answers take a while, may fail for some time at
// first, and change their order and their dead addresses. Draws are its own. Owned by the gateway's
// wrapper, used on the one thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/loop.h"
#include "core/timer_wheel.h"
#include "net/config/config.h"
#include "net/dns/resolver.h"
#include "tests/sim/random.h"

namespace sluice::sim {

// The last byte of an IPv4 address that nobody listens at, or where packets are lost.
inline constexpr uint8_t kRefusingHost = 66;
inline constexpr uint8_t kSilentHost = 67;
inline constexpr size_t kNameAddresses = 3;

struct NamesWeather {
  bool used = false;
  double fails = 0;       // a look-up that nobody answers
  double dead = 0;        // an address beside the right one
  uint64_t delay_ms = 1;  // of an answer, at most
  uint64_t seed = 0;
};

// In some seeds the upstreams of the configuration have names.
NamesWeather vary_names(Config& config, uint64_t seed);

class Names final : public Resolver, public TimerOwner {
 public:
  Names(Loop& loop, NamesWeather weather)
      : loop_(loop), weather_(weather), random_(weather.seed), timer_(this) {}
  ~Names() override;

  void ask(const std::string& name, IpFamily family, DnsAsker& asker) override;
  void forget(DnsAsker& asker) override;
  void reload() override {}
  void on_timer() override;

 private:
  struct Question {
    uint64_t due_ms;
    IpFamily family;
    DnsAsker* asker;
  };

  DnsAnswer answer(IpFamily family);
  void schedule();

  Loop& loop_;
  NamesWeather weather_;
  Random random_;
  std::vector<Question> questions_;
  Timer timer_;
};

}  // namespace sluice::sim

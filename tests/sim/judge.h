// Judges by the clock what becomes of a request: that time-outs strike when they are due, neither
// before nor much later; that heartbeats come; that what is complete leaves; that nobody is
// overtaken in the queue for a connection; and that whatever is not the upstream's whole answer has
// a reason, and is said to have that one. The peers note what they see in an Exchange and call
// here. The tolerances are what the network and the kernel of a simulation may take; where that is
// not bounded, only what comes too early is judged.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "net/config/config.h"
#include "tests/sim/exchange.h"
#include "tests/sim/script.h"

namespace sluice::sim {

struct Scene;
struct UpstreamTraits;

// The excuse of what is as it should be, but for its upstream's script.
inline constexpr std::string_view kCut = "the upstream cut it";

class Judge {
 public:
  explicit Judge(Scene& scene) : scene_(scene) {}

  // --- by the upstream ---

  // It has read the request's head.
  void on_reached(const Script& script);

  // --- by the client ---

  // The head of the final answer: the upstream's, or `ours`.
  void on_head(const Script& script, int status, bool ours, bool says_close);
  // Body bytes have come, or nothing but a heartbeat.
  void on_output(const Script& script, bool heartbeat, bool at_boundary);
  // An answer of the gateway's own is complete.
  void on_refused(const Script& script, int status, std::string_view body);
  // The answer's head has come, and its end is none.
  void on_aborted(const Script& script, bool at_boundary);

  // Why it need not have ended well, beyond what time-outs do; empty where there is no reason, and
  // kCut where there is no other.
  std::string_view excuse(const Script& script) const;

 private:
  const StreamSettings& settings(const Script& script) const;
  const UpstreamTraits& worst(const Script& script) const;
  bool limited(const Script& script) const;
  Exchange& exchange(const Script& script) const;
  [[noreturn]] void wrong(const Script& script, const std::string& what) const;
  // A time-out that began at `since_ns` has struck: no earlier than it may, and no later.
  void not_before(const Script& script, uint64_t since_ns, uint64_t timeout_ms,
                  const char* what) const;
  void not_after(const Script& script, uint64_t since_ns, uint64_t timeout_ms,
                 const char* what) const;
  void check_early_head(const Script& script, bool early) const;
  void check_silence(const Script& script, bool at_boundary) const;
  void check_delay(const Script& script);
  void on_timed_out(const Script& script, std::string_view body) const;
  bool cut_by_upstream(const Script& script) const;
  bool stale(const Script& script) const;
  bool steady(const Script& script) const;

  Scene& scene_;
};

}  // namespace sluice::sim

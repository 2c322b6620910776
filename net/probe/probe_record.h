// What the probes of one upstream have shown so far, and what follows from it on the board: so many
// bad ones in a row leave it out, so many good ones take it back. Beside them stands the breaker,
// which judges by requests (net/upstream/breaker.h). Good probes since an ejection end its time
// early, so that a request tries the upstream at once; the request decides. They do so once until
// the breaker has closed: whoever passes its probes and fails its requests is left out for the
// growing times that requests give it. Owned by the prober, the only one who writes the board's
// part of it; used on its worker's thread.
#pragma once

#include <cstdint>

#include "net/config/config.h"
#include "net/config/upstream_board.h"

namespace sluice {

class ProbeRecord {
 public:
  explicit ProbeRecord(UpstreamHealth& health) : health_(health) {}

  enum class Change : uint8_t {
    kNone,
    kUnhealthy,
    kHealthy,   // again
    kTriedNow,  // its ejection has ended early
  };

  void begun();
  Change passed(const StreamSettings& settings, uint64_t now_ms);
  // `status`: of the answer; 0: there was none.
  Change failed(EjectReason reason, int status, const StreamSettings& settings, uint64_t now_ms);

  // The question is another one: its answers begin a row of their own.
  void restart() { passed_in_row_ = failed_in_row_ = passed_since_ejection_ = 0; }
  // Nobody asks any more, so nothing holds the upstream out.
  void end(uint64_t now_ms);

 private:
  bool end_ejection_early(const StreamSettings& settings, uint64_t now_ms);

  UpstreamHealth& health_;
  uint64_t passed_in_row_ = 0;
  uint64_t failed_in_row_ = 0;
  uint32_t ejections_ = 0;  // that there had been when the last probe began
  uint64_t passed_since_ejection_ = 0;
  bool ended_early_ = false;  // the ejection that lasts, or one before it without a return
};

}  // namespace sluice

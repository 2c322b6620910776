// Whether the events of a stream leave together though they came apart, and why: they came in one
// read, they wait behind a send that their client has not taken, or we have gathered them. Told of
// each read's events before they are appended to the outbox. Owned by the stream's Metering.
#pragma once

#include <array>
#include <cstdint>

#include "net/base/usage.h"

namespace sluice {

class Clumps {
 public:
  using Counts = decltype(UsageCounts::clumped);

  // The upstream is read again, after its client was too slow for it.
  void read_on_late() { late_ = true; }

  // A read has brought `count` events. `unsent`: those before them that have not left, as far as
  // is known. `sending`: a send is under way. `paced`: reads are.
  void on_read(uint32_t count, uint32_t unsent, bool sending, bool paced, Counts& counts) {
    if (count == 0) return;
    if (unsent != expected_) behind_send_ = 0;  // what waited then is on its way
    auto add = [&counts](Clump by, uint64_t events) {
      counts[static_cast<unsigned>(by)] += events;
    };
    if (sending && behind_send_ > 0) add(Clump::kClient, 1);
    if (!sending && unsent > 0) add(Clump::kGateway, 1);
    add(late_ ? Clump::kClient : (paced ? Clump::kGateway : Clump::kUpstream), count - 1);
    late_ = false;
    behind_send_ = sending ? behind_send_ + count : 0;
    expected_ = unsent + count;
  }

 private:
  uint32_t behind_send_ = 0;  // events that wait for the send under way
  uint32_t expected_ = 0;     // unsent ones, unless some have left since
  bool late_ = false;
};

}  // namespace sluice

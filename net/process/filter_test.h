// `sluice --filter-test`: what a route's filters make of the events of standard input. Runs in
// place of the gateway, on the main thread.
#pragma once

#include "net/config/config.h"

namespace sluice {

// The process's exit status.
int run_filter_test(const Config& config);

}  // namespace sluice

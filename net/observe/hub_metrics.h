// The families of /metrics about hubs. Used on the admin port's thread.
#pragma once

#include "net/observe/metrics_page.h"

namespace sluice {

void render_hubs(Page& page, const Workers& workers);

}  // namespace sluice

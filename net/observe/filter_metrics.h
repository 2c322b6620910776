// What /metrics says of filters and of the scripts among them.
#pragma once

#include "net/config/snapshot.h"
#include "net/observe/metrics_page.h"

namespace sluice {

void render_filters(Page& page, const ConfigSnapshot& snapshot, const Workers& workers);
void render_scripts(Page& page, const Workers& workers);

}  // namespace sluice

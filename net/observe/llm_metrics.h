// What the dialects of language models add to a page of metrics.
#pragma once

#include "net/observe/metrics_page.h"

namespace sluice {

void render_dialects(Page& page, const Workers& workers);

}  // namespace sluice

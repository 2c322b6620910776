// What a request to a language model has cost, for the logs and for /metrics: its members in a line
// of JSON, the line of --usage-log, and the counts by route and model. On the worker's thread, but
// for the page of metrics, which is any thread's.
#pragma once

#include <cstdint>
#include <string>

#include "net/base/usage.h"
#include "net/config/snapshot.h"
#include "net/context/metrics.h"
#include "net/observe/json_line.h"
#include "net/observe/metrics_page.h"

namespace sluice {

class Stream;

// Of a stream whose usage is counted.
void append_usage(const Stream& stream, JsonLine& line);
void write_usage_line(const Stream& stream, uint64_t now_ns, std::string& out);
void count_usage(const Stream& stream, UsageCounts& counts);

void render_usage(Page& page, const ConfigSnapshot& snapshot, const Workers& workers);

}  // namespace sluice

#include "perf/load_options.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "perf/flags.h"

namespace sluice::perf {
namespace {

constexpr char kUsage[] =
    "usage: load --connect ADDRESS [--mode MODE] [--target TARGET] [--connections N] ...\n"
    "\n"
    "Opens event streams of perf/origin, checks every event and measures its delay.\n"
    "\n"
    "  --connect ADDRESS    127.0.0.1:8080 or unix:/path\n"
    "  --mode MODE          stream: one stream a connection (default)\n"
    "                       churn: one stream after the other on each connection\n"
    "                       idle: as stream, with a target that sends next to nothing\n"
    "                       slow: as stream, but reads only --read-rate\n"
    "                       vanish: clients leave in the middle, in any phase, and come back\n"
    "  --target TARGET      what to ask the origin for; a stream id is added to it\n"
    "                       (default /stream?rate=20&size=220, idle: rate=0.05)\n"
    "  --connections N      at the same time (default 100)\n"
    "  --requests N         streams in all (default: as many as the duration allows)\n"
    "  --duration TIME      at most (default 60s)\n"
    "  --warmup TIME        events of that time are checked but not measured (default 0s)\n"
    "  --ramp N             connections opened a second (default 2000)\n"
    "  --new-connections    churn: a connection for each stream\n"
    "  --read-rate BYTES    slow: read that many a second (default 2000)\n"
    "  --leave-after TIME   vanish: mean stay (default 500ms)\n"
    "  --post BYTES         POST with a body of that size instead of GET\n"
    "  --accept-encoding CODING\n"
    "                       gzip, zstd or br: unpacks what is answered in it\n"
    "  --whole              an event in two chunks counts as wrong\n"
    "  --seed N             of vanish (default: from the clock)\n"
    "  --stalls TIME        list in the JSON when a stream had no event for that long, and until "
    "when\n"
    "  --json PATH          also write JSON there, - for standard output instead of the table\n"
    "  --quiet              no progress line\n";

std::optional<Mode> parse_mode(std::string_view text) {
  constexpr std::array<std::string_view, 5> kNames{"stream", "churn", "idle", "slow", "vanish"};
  const auto found = std::find(kNames.begin(), kNames.end(), text);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<Mode>(found - kNames.begin());
}

}  // namespace

Options read_options(int argc, char** argv) {
  Options options;
  options.seed = monotonic_ns();
  Flags flags(kUsage);
  flags.text("--connect", &options.connect);
  flags.text("--mode", &options.mode_name);
  flags.text("--target", &options.target);
  flags.number("--connections", &options.connections);
  flags.number("--requests", &options.requests);
  flags.duration("--duration", &options.duration_ns);
  flags.duration("--warmup", &options.warmup_ns);
  flags.number("--ramp", &options.ramp);
  flags.toggle("--new-connections", &options.new_connections);
  flags.number("--read-rate", &options.read_rate);
  flags.duration("--leave-after", &options.leave_after_ns);
  flags.number("--post", &options.post_bytes);
  flags.toggle("--whole", &options.whole);
  flags.text("--accept-encoding", &options.accept_encoding);
  flags.number("--seed", &options.seed);
  flags.duration("--stalls", &options.stall_min_ns);
  flags.text("--json", &options.json);
  flags.toggle("--quiet", &options.quiet);
  flags.parse(argc, argv);

  if (options.connect.empty()) flags.fail("a flag is missing:", "--connect");
  const auto mode = parse_mode(options.mode_name);
  if (!mode) flags.fail("bad value for --mode:", options.mode_name);
  options.mode = *mode;
  if (options.target.empty()) {
    options.target =
        options.mode == Mode::kIdle ? "/stream?rate=0.05&size=220" : "/stream?rate=20&size=220";
  }
  std::string error;
  const auto spec = parse_stream_spec(options.target, &error);
  if (!spec) flags.fail("bad value for --target:", error);
  options.spec = *spec;
  if (options.connections == 0) flags.fail("bad value for", "--connections");
  if (!(options.ramp > 0)) flags.fail("bad value for", "--ramp");
  return options;
}

}  // namespace sluice::perf

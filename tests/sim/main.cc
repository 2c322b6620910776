// Runs seeds of the simulation, one after the other. A violation, a broken invariant or a
// sanitizer's finding aborts; what is printed then repeats that seed with its trace.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <unistd.h>

#include "core/text.h"
#include "tests/sim/dialects.h"
#include "tests/sim/failover.h"
#include "tests/sim/healing.h"
#include "tests/sim/hub.h"
#include "tests/sim/reload.h"

// Sanitizers abort where they would exit, so that the seed is named.
extern "C" const char* __asan_default_options() {  // NOLINT(bugprone-reserved-identifier)
  return "abort_on_error=1";
}
extern "C" const char* __ubsan_default_options() {  // NOLINT(bugprone-reserved-identifier)
  return "abort_on_error=1";
}

namespace {

constexpr char kUsage[] =
    "usage: sim [--dialects | --failover | --healing | --http2 | --hub | --hub-resume |\n"
    "            --probed | --reload] [--seed N] [--seeds COUNT] [--forever] [--trace]\n"
    "\n"
    "  --dialects     streams of language models, in place of all others\n"
    "  --failover     groups whose upstreams fail, in place of all others\n"
    "  --healing      streams of upstreams that break, in place of all others\n"
    "  --http2        with clients that speak HTTP/2\n"
    "  --hub          hubs, on one to three workers, in place of all others\n"
    "  --hub-resume   the same for ten minutes, with 1,000 subscribers that are cut at random\n"
    "  --probed       with health checks\n"
    "  --reload       configurations that change under requests, in place of all others\n"
    "  --seed N       the first seed (default 1)\n"
    "  --seeds COUNT  so many, one after the other (default 1)\n"
    "  --forever      no end\n"
    "  --trace        say all that happens\n";

// What a seed may be a seed of.
struct Mode {
  const char* flag;
  sluice::sim::SimulationReport (*simulate)(uint64_t seed, bool traced);
};
constexpr Mode kModes[] = {{"", sluice::sim::simulate},
                           {" --healing", sluice::sim::simulate_healing},
                           {" --failover", sluice::sim::simulate_failover},
                           {" --probed", sluice::sim::simulate_probed},
                           {" --http2", sluice::sim::simulate_http2},
                           {" --dialects", sluice::sim::simulate_dialects},
                           {" --hub", sluice::sim::simulate_hub},
                           {" --hub-resume", sluice::sim::simulate_hub_resume},
                           {" --reload", sluice::sim::simulate_reload}};

// Null: it is no mode's flag.
const Mode* mode_of(std::string_view flag) {
  for (const Mode& mode : kModes)
    if (!flag.empty() && flag == std::string_view(mode.flag).substr(mode.flag[0] == ' ' ? 1 : 0))
      return &mode;
  return nullptr;
}

char replay[4096];  // of the present seed; written out by a signal handler

void on_abort(int signal) {
  (void)!write(STDERR_FILENO, replay, std::strlen(replay));
  std::signal(signal, SIG_DFL);
  raise(signal);
}

bool parse(const char* text, uint64_t* number) {
  const auto parsed = text ? sluice::parse_decimal(text) : std::nullopt;
  *number = parsed.value_or(0);
  return parsed.has_value();
}

}  // namespace

int main(int argc, char** argv) {
  uint64_t seed = 1;
  uint64_t seeds = 1;
  bool forever = false;
  bool traced = false;
  const Mode* mode = &kModes[0];
  for (int i = 1; i < argc; ++i) {
    std::string_view flag = argv[i];
    bool good = true;
    if (flag == "--seed")
      good = parse(argv[++i], &seed);
    else if (flag == "--seeds")
      good = parse(argv[++i], &seeds);
    else if (flag == "--forever")
      forever = true;
    else if (const Mode* named = mode_of(flag))
      mode = named;
    else if (flag == "--trace")
      traced = true;
    else
      good = false;
    if (!good) {
      std::fputs(kUsage, stderr);
      return 2;
    }
  }
  std::signal(SIGABRT, on_abort);
  std::signal(SIGSEGV, on_abort);
  sluice::sim::SimulationReport sum;
  for (uint64_t done = 0; forever || done < seeds; ++done, ++seed) {
    std::snprintf(replay, sizeof(replay), "to repeat: %s%s --seed %llu --trace\n", argv[0],
                  mode->flag, static_cast<unsigned long long>(seed));
    sluice::sim::SimulationReport report = mode->simulate(seed, traced);
    sum.turns += report.turns;
    sum.requests += report.requests;
    sum.complete += report.complete;
    sum.aborted += report.aborted;
    sum.refused += report.refused;
    sum.healed += report.healed;
    if (forever && (done + 1) % 1000 == 0)
      std::printf("%llu seeds\n", static_cast<unsigned long long>(done + 1));
  }
  std::printf(
      "%llu seeds: %llu turns, %llu requests: %llu complete, %llu aborted, %llu refused, %llu "
      "healed\n",
      static_cast<unsigned long long>(seeds), static_cast<unsigned long long>(sum.turns),
      static_cast<unsigned long long>(sum.requests), static_cast<unsigned long long>(sum.complete),
      static_cast<unsigned long long>(sum.aborted), static_cast<unsigned long long>(sum.refused),
      static_cast<unsigned long long>(sum.healed));
}

#include "net/process/filter_test.h"

#include <array>
#include <cstdio>
#include <string>
#include <string_view>

#include "core/clock.h"
#include "net/filter/filters.h"
#include "net/script/script_counters.h"
#include "net/script/scripts.h"
#include "sse/events.h"
#include "sse/framer.h"

namespace sluice {

namespace {

void say(const std::string& line) {
  (void)std::fprintf(stderr, "%s\n", line.c_str());
}

// What scripts say goes to standard error, and what they have counted when all is over.
class TestHost final : public ScriptHost {
 public:
  void script_says(std::string_view filter, std::string_view text) override {
    say(std::string(filter).append(": ").append(text));
  }
  void script_counts(std::string_view filter, std::string_view name, std::string_view label,
                     uint64_t amount) override {
    counters_.add(filter, name, label, amount);
  }
  void script_failed(uint32_t /*id*/, std::string_view filter, ScriptFailure /*failure*/,
                     std::string_view text) override {
    say(std::string("filter ").append(filter).append(" has failed: ").append(text));
    failed_ = true;
  }

  bool failed() const { return failed_; }
  void tell_counts() const {
    for (const ScriptCount& one : counters_.counts()) {
      if (one.count == 0) continue;
      say(one.filter + " counts " + one.name + "{" + one.label + "} " + std::to_string(one.count));
    }
  }

 private:
  ScriptCounters counters_;
  bool failed_ = false;
};

std::string all_of_standard_input() {
  std::string input;
  std::array<char, 65536> some;
  for (size_t got = 0; (got = std::fread(some.data(), 1, some.size(), stdin)) > 0;)
    input.append(some.data(), got);
  return input;
}

// An event that a gateway does not hold whole, so that no filter sees it.
Filters::Result pass_unseen(size_t bytes, OnUnseen what) {
  say("an event of " + std::to_string(bytes) + " bytes is longer than event-hold" +
      (what == OnUnseen::kPass ? ", so it passes unfiltered" : ", so it is dropped"));
  return {.changed = what != OnUnseen::kPass, .ends = what == OnUnseen::kEnd};
}

}  // namespace

// Conditions on the request count as met; to a script it is a GET of "/" without fields. An event
// without its end is left out, as a client does.
int run_filter_test(const Config& config) {
  const Route& route = config.routes.front();
  const StreamSettings& settings = route.settings;
  std::string input = all_of_standard_input();
  std::string_view stream(input);
  Framer framer;
  EventReader events(stream.substr(0, framer.feed(stream).whole));
  FilterBench bench(0, settings.event_hold, thread_cpu_ns);
  bench.rules = config.filters;
  TestHost host;
  Scripts scripts(host);
  Scripts::Opened opened;
  if (route.filters)
    opened = scripts.open(config, 1, *route.filters, route.filters->choose_all(), {});
  bench.scripts = opened.scripts.get();
  bool first = true;
  for (Pieces event; !host.failed() && events.next(event); first = false) {
    std::string_view text = event.first();
    Filters::Result result;
    if (route.filters && text.size() > settings.event_hold)
      result = pass_unseen(text.size(), settings.on_oversize);
    else if (route.filters)
      result = route.filters->run(bench, opened.chosen, event, first,
                                  /*padded=*/false, settings.on_invalid);
    if (result.changed) text = result.text;
    if (!text.empty()) (void)std::fwrite(text.data(), 1, text.size(), stdout);
    if (result.ends) break;
    scripts.collect(1);
  }
  if (opened.scripts) opened.scripts->on_end(host.failed() ? "script_failed" : "complete");
  host.tell_counts();
  return std::fflush(stdout) == 0 && !host.failed() ? 0 : 1;
}

}  // namespace sluice

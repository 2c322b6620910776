#include "net/process/filter_test.h"

#include <array>
#include <cstdio>
#include <string>
#include <string_view>

#include "net/filter/filters.h"
#include "sse/events.h"
#include "sse/framer.h"

namespace sluice {

// Conditions on the request count as met. An event without its end is left out, as a client does.
int run_filter_test(const Config& config) {
  const Route& route = config.routes.front();
  std::string input;
  std::array<char, 65536> some;
  for (size_t got = 0; (got = std::fread(some.data(), 1, some.size(), stdin)) > 0;)
    input.append(some.data(), got);
  std::string_view stream(input);
  Framer framer;
  EventReader events(stream.substr(0, framer.feed(stream).whole));
  FilterBench bench(0, route.settings.event_hold);
  bench.rules = config.filters;
  bool first = true;
  for (Pieces event; events.next(event); first = false) {
    std::string_view text = event.first();
    Filters::Result result;
    if (route.filters)
      result = route.filters->run(bench, route.filters->choose_all(), event, first,
                                  /*padded=*/false, route.settings.on_invalid);
    if (result.changed) text = result.text;
    (void)std::fwrite(text.data(), 1, text.size(), stdout);
    if (result.ends) break;
  }
  return std::fflush(stdout) == 0 ? 0 : 1;
}

}  // namespace sluice

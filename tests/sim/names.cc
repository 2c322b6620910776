#include "tests/sim/names.h"

#include <algorithm>

namespace sluice::sim {

namespace {

Address host(uint8_t last) {
  return *parse_ip("127.0.0." + std::to_string(last));
}

}  // namespace

NamesWeather vary_names(Config& config, uint64_t seed) {
  Random random(seed ^ 0x6e616d6573);
  NamesWeather weather;
  if (!random.chance(0.25)) return weather;
  weather.used = true;
  weather.seed = random.next();
  if (random.chance(0.2)) weather.fails = 0.5;
  if (random.chance(0.5)) weather.dead = 0.3;
  weather.delay_ms = random.magnitude(1, 200);
  config.dns_ttl_min_ms = random.magnitude(100, 2'000);
  config.dns_ttl_max_ms = config.dns_ttl_min_ms + random.magnitude(1, 2'000);
  for (Route& route : config.routes) {
    for (Upstream& upstream : route.upstreams) {
      if (upstream.address.is_unix()) continue;
      upstream.port = upstream.address.port();
      upstream.name = "u" + std::to_string(upstream.port) + ".test";
      upstream.address = {};
    }
  }
  return weather;
}

Names::~Names() {
  loop_.timers().cancel(timer_);
}

void Names::ask(const std::string& /*name*/, IpFamily family, DnsAsker& asker) {
  questions_.push_back({loop_.now_ms() + random_.magnitude(1, weather_.delay_ms), family, &asker});
  schedule();
}

void Names::forget(DnsAsker& asker) {
  std::erase_if(questions_, [&](const Question& one) { return one.asker == &asker; });
}

void Names::schedule() {
  if (questions_.empty()) return;
  loop_.timers().schedule(timer_, std::ranges::min(questions_, {}, &Question::due_ms).due_ms);
}

void Names::on_timer() {
  auto due = [this](const Question& one) { return one.due_ms <= loop_.now_ms(); };
  for (auto one = std::ranges::find_if(questions_, due); one != questions_.end();
       one = std::ranges::find_if(questions_, due)) {
    Question question = *one;
    questions_.erase(one);
    question.asker->on_answer(answer(question.family));
  }
  schedule();
}

DnsAnswer Names::answer(IpFamily family) {
  if (random_.chance(weather_.fails)) return {.reason = "no_answer"};
  if (family == IpFamily::kV6) return {.status = DnsAnswer::Status::kNone, .reason = "no_address"};
  DnsAnswer all{.status = DnsAnswer::Status::kFound, .ttl_ms = random_.magnitude(1, 5'000)};
  all.addresses.push_back(host(1));
  for (uint8_t dead : {kRefusingHost, kSilentHost})
    if (random_.chance(weather_.dead)) all.addresses.push_back(host(dead));
  return all;
}

}  // namespace sluice::sim

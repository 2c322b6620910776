#include "tests/sim/hub.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "net/hub/hub_store.h"
#include "tests/sim/hub_disk.h"
#include "tests/sim/hub_group.h"
#include "tests/sim/hub_member.h"
#include "tests/sim/hub_publisher.h"
#include "tests/sim/hub_subscriber.h"
#include "tests/sim/hub_workers.h"
#include "tests/sim/weather.h"

namespace sluice::sim {

namespace {

constexpr uint64_t kEndsWithinNs = 60 * kSecond;
constexpr uint64_t kPublishesWithinNs = 1200 * kSecond;
constexpr uint64_t kSettlesWithinNs = 120 * kSecond;
constexpr uint64_t kSameWithinNs = 3 * kSecond;
constexpr uint64_t kSlotBytes = 4096;

struct Scale {
  uint64_t publishers;
  uint64_t requests;  // of each
  uint64_t pause_ns_max;
  uint64_t subscribers;
  uint64_t groups;
  uint64_t members;  // those who want to be, of each
  uint64_t reloads;
  uint64_t restarts;
  uint64_t within_ns;  // of these
  EventClient::Manners manners;
};

class HubSimulation {
 public:
  HubSimulation(uint64_t seed, bool traced, const Scale* scale);
  SimulationReport run();

 private:
  static Scale draw_scale(Random& random);
  StreamSettings make_settings();
  void limit_history(StreamSettings& settings);
  void draw_reads();
  void start_process();
  void end_process(bool kill);
  std::unique_ptr<HubExchange> open_store();
  void reload();
  void check_workers();
  void make_group();
  bool is_settled(const HubGroup& group) const;

  World world_;
  Scale scale_;
  HubJudge judge_{world_};
  HubDisk disk_;
  HubScene scene_{.world = world_, .judge = judge_, .disk = disk_};
  HubDiskStore::Traits disk_traits_;
  HubDiskStore* store_ = nullptr;
  HubWorkers::Options options_;
  Features features_;
  std::vector<std::unique_ptr<HubWorkers>> processes_;
  std::vector<std::unique_ptr<HubPublisher>> publishers_;
  std::vector<std::unique_ptr<HubSubscriber>> subscribers_;
  std::vector<std::unique_ptr<HubGroup>> groups_;
  std::vector<std::unique_ptr<HubMember>> members_;
  // What is to happen to the process, by the time.
  struct Planned {
    uint64_t at_ns;
    enum class What : uint8_t { kReload, kEnd, kKill } what;
  };
  std::vector<Planned> planned_;
};

Scale HubSimulation::draw_scale(Random& random) {
  EventClient::Manners manners;
  if (random.chance(0.5)) manners.rests = 0.2;
  if (random.chance(0.7)) manners.cut_per_s = random.chance(0.5) ? 2 : 0.2;
  if (random.chance(0.4)) manners.http2 = 0.7;
  manners.returns_ns_max = random.magnitude(10 * kMillisecond, 5 * kSecond);
  return {.publishers = random.between(1, 4),
          .requests = random.magnitude(2, 30),
          .pause_ns_max = random.magnitude(5 * kMillisecond, 2 * kSecond),
          .subscribers = random.magnitude(1, 12),
          .groups = random.chance(0.6) ? random.between(1, 2) : 0,
          .members = random.between(1, 6),
          .reloads = random.chance(0.3) ? random.between(1, 3) : 0,
          .restarts = random.chance(0.5) ? random.between(1, 3) : 0,
          .within_ns = random.magnitude(kSecond, 20 * kSecond),
          .manners = manners};
}

HubSimulation::HubSimulation(uint64_t seed, bool traced, const Scale* scale)
    : world_(~seed * 11, traced), scale_(scale ? *scale : draw_scale(world_.random)) {
  Random& random = world_.random;
  Liberties& liberties = options_.liberties = make_weather(random).kernel;
  liberties.no_outages();
  features_ = make_features(random);
  options_.workers = static_cast<unsigned>(random.between(1, 3));
  options_.lags = random.chance(0.3) ? 0.02 : 0;
  // The least that a batch of every worker fits into.
  if (random.chance(0.2)) options_.lanes = {.changes = 4096, .calls = 64};
  scene_.stored = random.chance(0.5);
  if (random.chance(0.3)) disk_traits_.fails = 0.1;
  // A slow disk makes a thousand readers wait for longer than a gateway lets them.
  if (!scale) draw_reads();
  scene_.streams = random.between(1, 8);
  scene_.pads = random.chance(0.7);
  scene_.batch_max = random.chance(0.2) ? 1000 : 8;
  Config& config = options_.config;
  Route route{.path = "/hub", .upstreams = {}, .settings = make_settings()};
  route.hub = "main";
  route.settings.heal = Heal::kOff;  // as the reader of the configuration has it for hubs
  route.upstreams.push_back({.url = "hub:main", .host = "main", .address = {}});
  scene_.durable = scene_.stored && route.settings.hub_ack == HubAck::kDisk;
  scene_.busy = options_.lanes.changes < limits::kHubLaneChanges || disk_traits_.fails > 0 ||
                route.settings.hub_rate > 0 || route.settings.hub_streams < 100;
  scene_.lease_ns = route.settings.hub_lease_ms * kMillisecond;
  scene_.key_window_ns = route.settings.hub_dedup_window_ms * kMillisecond;
  config.defaults = route.settings;
  config.routes.push_back(std::move(route));
  config.listen.push_back(*parse_address("127.0.0.1:8080", nullptr));
  config.pool_sse_event = {kSlotBytes, 64};
  config.pool_http_message = {kSlotBytes, 64};
  for (uint64_t i = scale_.reloads; i > 0; --i)
    planned_.push_back(
        {world_.now_ns() + random.between(1, scale_.within_ns), Planned::What::kReload});
  for (uint64_t i = scale_.restarts; i > 0; --i)
    planned_.push_back({world_.now_ns() + random.between(1, scale_.within_ns),
                        random.chance(0.5) ? Planned::What::kEnd : Planned::What::kKill});
  std::ranges::sort(planned_, {}, &Planned::at_ns);
}

StreamSettings HubSimulation::make_settings() {
  Random& random = world_.random;
  StreamSettings settings;
  settings.heartbeat_ms = random.chance(0.5) ? random.magnitude(100, 5'000) : 0;
  settings.buffer_size = 1024 * random.magnitude(1, 256);
  settings.buffer_size_max = settings.buffer_size << random.between(0, 4);
  settings.hub_dedup_window_ms = random.magnitude(20'000, 120'000);
  settings.hub_ack = random.chance(0.7) ? HubAck::kDisk : HubAck::kMemory;
  settings.hub_lease_ms = random.magnitude(3'000, 30'000);
  if (random.chance(0.1)) settings.hub_rate = random.magnitude(5, 200);
  if (random.chance(0.3)) {
    using enum ContentCoding;
    constexpr CodingOrder kOrders[] = {{kGzip}, {kZstd}, {kBrotli}};
    settings.compress = kOrders[random.between(0, 2)];
    scene_.accepts = "gzip, br, zstd";
  }
  if (random.chance(0.6)) limit_history(settings);
  if (random.chance(0.1)) {
    settings.hub_streams = random.between(1, 6);
    judge_.forgets = judge_.evicts = true;
  }
  return settings;
}

void HubSimulation::limit_history(StreamSettings& settings) {
  Random& random = world_.random;
  judge_.evicts = true;
  if (random.chance(0.5)) settings.hub_history_events = random.magnitude(1, 200);
  if (random.chance(0.3)) settings.hub_history_bytes = random.magnitude(2'000, 100'000);
  // Streams count, too, at each worker.
  if (settings.hub_history_bytes < 30'000 && !scene_.stored) judge_.forgets = true;
  if (random.chance(0.2)) settings.hub_history_age_ms = random.magnitude(1'000, 10'000);
  if (random.chance(0.3)) settings.hub_stream_events = random.magnitude(1, 20);
  if (random.chance(0.2)) {
    settings.hub_stream_bytes = random.magnitude(500, 20'000);
    judge_.stream_events = 1;
  }
  if (settings.hub_stream_events > 0)
    judge_.stream_events = std::min(judge_.stream_events, settings.hub_stream_events);
}

// Pages of the disk come late, and some not at all, alone or for a while.
void HubSimulation::draw_reads() {
  Random& random = world_.random;
  if (random.chance(0.3)) disk_traits_.page_ns_max = 300 * kMillisecond;
  if (!random.chance(0.4)) return;
  bool for_long = random.chance(0.5);
  disk_traits_.unread = for_long ? 0.05 : 0.3;
  if (for_long) disk_traits_.unread_ns_max = 10 * kSecond;
}

std::unique_ptr<HubExchange> HubSimulation::open_store() {
  const StreamSettings& settings = options_.config.routes.front().settings;
  HubProcess& hubs = processes_.back()->hubs();
  auto make = [&](StoreUser& user) {
    StoreAck ack = scene_.durable ? StoreAck::kDisk : StoreAck::kMemory;
    auto made = std::make_unique<HubDiskStore>(world_, disk_, ack, disk_traits_, user);
    store_ = made.get();
    return made;
  };
  auto store = std::make_unique<HubStore>(
      settings.hub_ack, make, options_.workers,
      [&hubs](std::optional<unsigned> worker) { (void)hubs.wake(worker.value_or(0)); });
  std::string error = store->load(settings, world_.now_ns() / kMillisecond);
  if (!error.empty()) violation("a store is not loaded: " + error);
  auto hub = std::make_unique<HubExchange>("main", options_.workers, 0, store->history().seed,
                                           options_.lanes);
  hub->next.store(store->history().next);
  hub->store = std::move(store);
  return hub;
}

void HubSimulation::start_process() {
  options_.config.instance = std::to_string(world_.random.next());
  processes_.push_back(std::make_unique<HubWorkers>(world_, options_, features_));
  HubWorkers& workers = *processes_.back();
  if (scene_.stored) {
    HubProcess::Opened opened;
    opened.emplace("main", open_store());
    workers.hubs().add(opened);
  }
  workers.serve();
  judge_.begin_process(Home::epoch_of(workers.hubs().hub("main", 0).seed),
                       scene_.stored ? &disk_ : nullptr);
  scene_.workers = &workers;
}

void HubSimulation::end_process(bool kill) {
  HubWorkers& workers = *scene_.workers;
  uint64_t began_ns = world_.now_ns();
  world_.trace("the process %s", kill ? "is killed" : "is told to end");
  judge_.draining = true;
  if (kill) {
    if (scene_.stored) store_->kill();
    workers.abort_all();
  } else {
    workers.drain();
    uint64_t grace_ns = world_.random.magnitude(1, 3 * kSecond);
    while (!workers.ended() && world_.now_ns() < began_ns + grace_ns) workers.turn();
    workers.end_all();
  }
  while (!workers.ended()) {
    workers.turn();
    if (world_.now_ns() > began_ns + kEndsWithinNs) violation("a process does not end");
  }
  scene_.workers = nullptr;
  workers.close();
  world_.advance_to(world_.now_ns() + world_.random.magnitude(1, 500 * kMillisecond));
}

void HubSimulation::reload() {
  StreamSettings& settings = options_.config.routes.front().settings;
  if (judge_.evicts) limit_history(settings);
  settings.heartbeat_ms = world_.random.magnitude(100, 5'000);
  world_.trace("another configuration");
  scene_.workers->reload(options_.config);
}

// Whoever has heard of the same changes has the same log.
void HubSimulation::check_workers() {
  auto log_of = [](const HubCounts& of) {
    return std::tuple(of.global_position, of.events, of.bytes, of.streams);
  };
  uint64_t until_ns = world_.now_ns() + kSameWithinNs;
  for (;; scene_.workers->turn()) {
    std::vector<HubCounts> all = scene_.workers->counts();
    auto differ = std::ranges::adjacent_find(all, std::not_equal_to(), log_of);
    if (differ == all.end()) return;
    if (world_.now_ns() > until_ns)
      violation("workers have different logs of a hub: " + std::to_string(differ->events) +
                " and " + std::to_string((differ + 1)->events) + " events");
  }
}

void HubSimulation::make_group() {
  Random& random = world_.random;
  HubWish wish{.size = random.between(1, 4)};
  wish.categories.emplace_back(random.chance(0.5) ? "acc" : "ord");
  if (random.chance(0.2)) wish.streams.push_back(scene_.shared_stream());
  if (random.chance(0.2)) wish.categories.emplace_back("own");
  const char* start = random.chance(0.7) ? "" : "&position=latest";
  groups_.push_back(std::make_unique<HubGroup>(scene_, groups_.size(), std::move(wish), start));
  for (uint64_t i = 0; i < scale_.members; ++i)
    members_.push_back(std::make_unique<HubMember>(scene_, *groups_.back(), i, scale_.manners));
}

// Each of its members has an owner, as far as there are enough, who has handled all.
bool HubSimulation::is_settled(const HubGroup& group) const {
  std::set<uint64_t> owned;
  uint64_t wanted = std::min(scale_.members, group.size());
  for (const auto& member : members_)
    if (&member->group() == &group && member->up_to_date()) owned.insert(*member->owns());
  return owned.size() == wanted;
}

SimulationReport HubSimulation::run() {
  start_process();
  for (uint64_t i = 0; i < scale_.publishers; ++i)
    publishers_.push_back(
        std::make_unique<HubPublisher>(scene_, i, scale_.requests, scale_.pause_ns_max));
  for (uint64_t i = 0; i < scale_.subscribers; ++i)
    subscribers_.push_back(std::make_unique<HubSubscriber>(scene_, i, scale_.manners));
  for (uint64_t i = 0; i < scale_.groups; ++i) make_group();
  uint64_t until_ns = world_.now_ns() + kPublishesWithinNs;
  auto done = [](const auto& publisher) { return publisher->done(); };
  while (!std::ranges::all_of(publishers_, done) || !planned_.empty()) {
    scene_.workers->turn();
    if (world_.now_ns() > until_ns) violation("publishers do not come to their end");
    if (planned_.empty() || world_.now_ns() < planned_.front().at_ns) continue;
    Planned::What what = planned_.front().what;
    planned_.erase(planned_.begin());
    if (what == Planned::What::kReload) {
      reload();
      continue;
    }
    end_process(what == Planned::What::kKill);
    start_process();
  }
  world_.trace("nobody publishes any more");
  scene_.settles = true;
  // A member without events is never further than its group's beginning, so it reads all of it each
  // time that a page has failed.
  disk_.can_be_read = true;
  until_ns = world_.now_ns() + kSettlesWithinNs;
  auto late = [](const auto& subscriber) { return !subscriber->up_to_date(); };
  for (auto one = subscribers_.begin(); one != subscribers_.end();) {
    if (late(*one))
      scene_.workers->turn();
    else
      ++one;
    if (world_.now_ns() > until_ns)
      violation("subscriber " + std::to_string(one - subscribers_.begin()) +
                " does not get what there is");
  }
  for (const auto& group : groups_)
    for (; !is_settled(*group); scene_.workers->turn())
      if (world_.now_ns() > until_ns)
        violation("group " + group->name() + " does not handle what there is");
  check_workers();
  for (const auto& subscriber : subscribers_) subscriber->leave();
  for (const auto& member : members_) member->leave();
  // Pages that nobody waits for any more.
  until_ns = world_.now_ns() + disk_traits_.page_ns_max;
  while (world_.now_ns() < until_ns) scene_.workers->turn();
  scene_.workers->run_until_idle();
  end_process(/*kill=*/false);
  if (scene_.stored) judge_.check_disk(disk_);
  SimulationReport report{.requests = scene_.asked,
                          .complete = scene_.answered,
                          .aborted = scene_.cut,
                          .healed = scene_.gaps};
  for (const auto& process : processes_) report.turns += process->turns();
  return report;
}

}  // namespace

SimulationReport simulate_hub(uint64_t seed, bool traced) {
  return HubSimulation(seed, traced, nullptr).run();
}

SimulationReport simulate_hub_resume(uint64_t seed, bool traced) {
  constexpr uint64_t kMinutesNs = 600 * kSecond;
  constexpr Scale kScale{
      .publishers = 4,
      .requests = 300,
      .pause_ns_max = 4 * kSecond,
      .subscribers = 1000,
      .groups = 1,
      .members = 10,
      .reloads = 10,
      .restarts = 6,
      .within_ns = kMinutesNs,
      .manners = {.rests = 0.01, .cut_per_s = 0.05, .returns_ns_max = 2 * kSecond}};
  return HubSimulation(seed, traced, &kScale).run();
}

}  // namespace sluice::sim

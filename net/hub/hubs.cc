#include "net/hub/hubs.h"

#include <functional>
#include <set>
#include <utility>

#include "core/text.h"

namespace sluice {

namespace {

constexpr uint64_t kTickMs = 1000;
constexpr size_t kHubCallsKept = 16;
constexpr size_t kJsonBytes = 64UL * 1024;  // of texts that the checker has room for at first

// What goes to a hub is read as it is, so no head is written for it.
class NoRequestWriter final : public RequestWriter {
 public:
  const BodyFraming* write_head(const Head&, const RequestRewrite&, std::string&) const override {
    return nullptr;
  }
};

uint64_t seed_of(const Config& config, std::string_view name) {
  return hash_text(config.instance) ^ mix(hash_text(name));
}

}  // namespace

Hubs::Hubs(WorkerContext& context, HubProcess* process)
    : context_(context),
      own_process_(process ? nullptr : std::make_unique<HubProcess>(1, context.number)),
      process_(process ? *process : *own_process_),
      random_(seed_of(context.config(), "drain") + context.number),
      timer_(this),
      calls_(kHubCallsKept) {
  context.loop.add_turn_hook(*this);
  process_.join(context.number);
  reload();
}

Hubs::~Hubs() {
  while (HubRequest* request = requests_.front()) bury(*request);
  graveyard_.clear();
  process_.leave(context_.number);
}

void Hubs::reload() {
  std::map<std::string, const Route*> first;
  for (const Route& route : context_.snapshot->routes())
    if (!route.hub.empty()) first.try_emplace(route.hub, &route);
  std::map<std::string, std::set<std::string, std::less<>>> fed;
  for (const Route& route : context_.snapshot->routes())
    if (!route.feeds.hub.empty()) fed[route.feeds.hub].insert(route.feeds.stream);
  for (const auto& [name, route] : first) hub(name).set_limits(route->settings);
  for (const auto& [name, hub] : hubs_) hub->set_fed(std::move(fed[name]));
  // What others have sent to a hub that was not here yet.
  for (const auto& [name, hub] : hubs_) hub->on_news();
  if (!hubs_.empty()) context_.loop.timers().schedule(timer_, context_.loop.now_ms() + kTickMs);
}

LocalHub& Hubs::hub(const std::string& name) {
  std::unique_ptr<LocalHub>& place = hubs_[name];
  if (!place)
    place = std::make_unique<LocalHub>(
        context_, process_, process_.hub(name, seed_of(context_.config(), name)), slots_, coder_);
  return *place;
}

void Hubs::on_timer() {
  for (const auto& [name, hub] : hubs_) hub->tick();
  context_.loop.timers().schedule(timer_, context_.loop.now_ms() + kTickMs);
}

void Hubs::on_request_head(const Stream& stream, const Head& head) {
  called_stream_ = stream.id();
  if (call_) give_back(std::move(call_));
  call_ = calls_.acquire();
  read_hub_call(head, stream.route(), *call_);
  call_has_body_ = head.body() != BodyKind::kNone;
}

bool Hubs::choose(Stream& stream, uint64_t tried) {
  stream.upstream_index = 0;
  return tried == 0;
}

void Hubs::acquire(Stream& stream, bool) {
  if (!call_ || called_stream_ != stream.id()) {
    stream.on_no_upstream(Ending::kUnavailable, "hub");
    return;
  }
  auto* request =
      new HubRequest(*this, hub(stream.route().hub), stream, std::move(call_), call_has_body_);
  requests_.push_front(*request);
  request->begin();
}

const RequestWriter& Hubs::writer(const Stream&) const {
  static constexpr NoRequestWriter kWriter;
  return kWriter;
}

void Hubs::on_news() {
  process_.looks(context_.number);
  for (const auto& [name, hub] : hubs_) hub->on_news();
}

void Hubs::drain() {
  // Those who end leave the list.
  for (HubRequest* request = requests_.front(); request;) {
    HubRequest* next = decltype(requests_)::next(*request);
    request->on_drain();
    request = next;
  }
}

std::vector<HubCounts> Hubs::counts() const {
  std::vector<HubCounts> all;
  for (const auto& [name, hub] : hubs_) all.push_back(hub->snapshot());
  return all;
}

JsonCheck& Hubs::json_check() {
  if (!json_check_) json_check_.emplace(kJsonBytes);
  return *json_check_;
}

void Hubs::bury(HubRequest& request) {
  requests_.remove(request);
  graveyard_.emplace_back(&request);
}

void Hubs::on_turn_end() {
  graveyard_.clear();
  for (const auto& [name, hub] : hubs_) hub->on_turn_end();
}

}  // namespace sluice

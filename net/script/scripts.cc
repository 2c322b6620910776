#include "net/script/scripts.h"

#include <algorithm>
#include <utility>

namespace sluice {

namespace {

class OpenScripts final : public StreamScripts {
 public:
  explicit OpenScripts(std::shared_ptr<ScriptState> state) : state_(std::move(state)) {}
  ~OpenScripts() override {
    for (const Own& own : owns_) state_->close(own.reference);
  }
  OpenScripts(const OpenScripts&) = delete;
  OpenScripts& operator=(const OpenScripts&) = delete;

  bool has(size_t place) const {
    return std::ranges::find(owns_, place, &Own::place) != owns_.end();
  }
  bool empty() const { return owns_.empty(); }
  void add(size_t place, int reference) { owns_.push_back({place, reference}); }

  Result on_event(size_t place, FilterBench& bench) override {
    auto own = std::ranges::find(owns_, place, &Own::place);
    return state_->on_event(place, own->reference, bench);
  }
  void on_end(std::string_view ending) override {
    for (const Own& own : owns_) state_->on_end(own.place, own.reference, ending);
  }

 private:
  struct Own {
    size_t place;
    int reference;
  };

  std::shared_ptr<ScriptState> state_;
  std::vector<Own> owns_;
};

}  // namespace

Scripts::Opened Scripts::open(const Config& config, uint64_t generation, const Filters& filters,
                              Filters::Chosen chosen, const ScriptRequest& request) {
  Opened opened{.chosen = chosen};
  std::shared_ptr<ScriptState> state = state_of(config, generation);
  if (!state->wrong().empty()) {
    const FilterRule& rule = config.filters[state->wrong_place()];
    host_.script_failed(rule.id, rule.name, ScriptFailure::kError, state->wrong());
    opened.failure = ScriptFailure::kError;
    return opened;
  }
  auto scripts = std::make_unique<OpenScripts>(state);
  for (unsigned bit = 0; bit < limits::kFiltersMax; ++bit) {
    Filters::Chosen mask = Filters::Chosen{1} << bit;
    if ((chosen & filters.scripts() & mask) == 0) continue;
    size_t place = filters.place_of(bit);
    if (scripts->has(place)) continue;  // a route may name one twice
    int own = 0;
    switch (state->open(place, request, own)) {
      case ScriptState::Opened::kYes:
        scripts->add(place, own);
        break;
      case ScriptState::Opened::kNo:
        opened.chosen &= ~mask;
        break;
      case ScriptState::Opened::kFailed:
        opened.failure = state->last_failure();
        opened.scripts = std::move(scripts);
        return opened;
    }
  }
  if (!scripts->empty()) opened.scripts = std::move(scripts);
  return opened;
}

// A stream may have begun with a configuration from before. Scripts that keep more and more fill
// their state: others then begin in a new one, as long as there are few.
std::shared_ptr<ScriptState> Scripts::state_of(const Config& config, uint64_t generation) {
  unsigned exhausted = 0;
  for (const std::weak_ptr<ScriptState>& weak : states_) {
    auto state = weak.lock();
    if (!state || state->generation() != generation) continue;
    if (!state->exhausted() || ++exhausted == limits::kScriptStatesMax) return state;
  }
  auto state = std::make_shared<ScriptState>(config, generation, host_);
  states_.push_back(state);
  if (!newest_ || newest_->generation() <= generation) newest_ = state;
  return state;
}

void Scripts::collect(uint64_t generation) {
  if (newest_ && newest_->generation() != generation) newest_.reset();
  if (newest_ && states_.size() == 1) {
    newest_->collect();
    return;
  }
  std::erase_if(states_, [](const std::weak_ptr<ScriptState>& weak) { return weak.expired(); });
  for (const std::weak_ptr<ScriptState>& weak : states_)
    if (auto state = weak.lock()) state->collect();
}

void Scripts::snapshot(ScriptMetrics& into) const {
  for (const std::weak_ptr<ScriptState>& weak : states_) {
    auto state = weak.lock();
    if (!state) continue;
    ++into.states;
    into.memory_bytes += state->memory_bytes();
  }
}

}  // namespace sluice

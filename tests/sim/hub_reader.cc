#include "tests/sim/hub_reader.h"

namespace sluice::sim {

namespace {

std::string text_of(HubId id) {
  std::string text;
  append_hub_id(text, id);
  return text;
}

}  // namespace

std::string text_member(std::string_view json, std::string_view name) {
  std::string quoted = "\"" + std::string(name) + "\":\"";
  size_t at = json.find(quoted);
  if (at == json.npos) return "";
  at += quoted.size();
  return std::string(json.substr(at, json.find('"', at) - at));
}

void HubReader::wrong(const std::string& what) const {
  violation(name_ + " (several): " + what);
}

void HubReader::begin(size_t life, size_t process, std::optional<uint64_t> next) {
  life_ = life;
  process_ = process;
  next_ = next;
  any_ = newest_only_ = false;
}

void HubReader::on_gap(uint64_t next, bool newest_only) {
  excuse_what_has_gone();
  newest_only_ = newest_only;
  next_ = next;
}

// It has all that it wants from what was due to before `to`, which is due now.
void HubReader::advance(uint64_t to) {
  uint64_t from = next_.value_or(to);
  next_ = to;
  if (to <= from) return;
  bool goes_on = !claims_.empty() && claims_.back().life == life_ && claims_.back().to == from &&
                 claims_.back().newest_only == newest_only_ && claims_.back().told_ns == told_ns_;
  if (goes_on)
    claims_.back().to = to;
  else
    claims_.push_back({life_, from, to, newest_only_, told_ns_});
}

// An id without an event: all before it are known, or not asked for.
void HubReader::on_place(HubId id) {
  if (any_) wrong("a place behind an event: " + text_of(id));
  if (next_ && id.position + 1 < *next_) wrong("is put back, behind " + text_of(id));
  advance(id.position + 1);
}

void HubReader::on_event(HubId id, const std::string& data) {
  any_ = true;
  std::string what = "event " + text_of(id) + " " + data.substr(0, 90);
  std::string epoch;
  append_epoch(epoch, id.epoch);
  if (epoch != scene_.judge.epoch() && process_ == scene_.judge.process())
    wrong("another epoch: " + what);
  if (number_member(data, "globalPosition") != static_cast<int64_t>(id.position))
    wrong("an id of another event: " + what);
  if (!next_) next_ = 1;
  if (id.position < *next_) wrong(what + ", due is " + std::to_string(*next_));
  got_[life_].insert(id.position);
  advance(id.position + 1);
  HubEvent seen{.stream = text_member(data, "stream"), .data = {}};
  if (poke_) {
    HubWish all = wish_;
    all.correlation.clear();
    if (!all.wants(seen)) wrong("is poked for what it does not want: " + what);
    return;
  }
  std::optional<size_t> number = HubJudge::number_in(data);
  if (!number) wrong("nobody's " + what);
  const HubEvent& event = scene_.judge.event(*number);
  if (event.stream != seen.stream) wrong("of another stream: " + what);
  if (event.json && data.find("\"data\":" + event.data + "}") == data.npos)
    wrong("another data: " + what);
  if (!wish_.wants(event)) wrong("what it does not want: " + what);
  scene_.judge.place(
      life_, *number,
      {static_cast<uint64_t>(number_member(data, "position").value_or(0)), id.position},
      name_.c_str());
}

bool HubReader::up_to_date() const {
  return !scene_.judge.is_due(life_, wish_, next_.value_or(1), told_ns_);
}

void HubReader::check() const {
  for (const HubJudge::Claim& claim : claims_) {
    auto got = got_.find(claim.life);
    scene_.judge.check(name_, wish_, claim,
                       got == got_.end() ? std::unordered_set<uint64_t>() : got->second);
  }
}

}  // namespace sluice::sim

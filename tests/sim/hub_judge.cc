#include "tests/sim/hub_judge.h"

#include <algorithm>
#include <array>
#include <openssl/evp.h>

#include "core/text.h"
#include "net/hub/hub_id.h"

namespace sluice::sim {

namespace {

std::string text(uint64_t number) {
  return std::to_string(number);
}

std::string category(const std::string& stream) {
  return stream.substr(0, stream.find('-'));
}

}  // namespace

std::optional<uint64_t> group_hash_of(std::string_view stream) {
  size_t dash = stream.find('-');
  if (dash == stream.npos) return std::nullopt;
  std::string_view id = stream.substr(dash + 1);
  id = id.substr(0, id.find('+'));
  std::array<uint8_t, EVP_MAX_MD_SIZE> sum{};
  EVP_Digest(id.data(), id.size(), sum.data(), nullptr, EVP_md5(), nullptr);
  int64_t number = 0;
  for (size_t i = 0; i < 8; ++i)
    number = static_cast<int64_t>(static_cast<uint64_t>(number) << 8 | sum[i]);
  return number < 0 ? -static_cast<uint64_t>(number) : static_cast<uint64_t>(number);
}

bool HubWish::wants(const HubEvent& event) const {
  if (!correlation.empty() && event.correlation != correlation) return false;
  if (member && !(event.group_hash && *event.group_hash % size == *member)) return false;
  return std::ranges::find(streams, event.stream) != streams.end() ||
         std::ranges::find(categories, category(event.stream)) != categories.end();
}

std::string HubWish::target() const {
  bool category = streams.empty() && categories.size() == 1;
  return category ? "/hub/categories/" + categories.front() : "/hub/subscribe";
}

std::string HubWish::query() const {
  std::string text;
  if (streams.empty() && categories.size() == 1) return text;
  for (const std::string& stream : streams) text += "&stream=" + stream;
  for (const std::string& category : categories) text += "&category=" + category;
  return text;
}

void HubJudge::begin_process(uint32_t epoch, const HubDisk* disk) {
  ++processes_;
  draining = false;
  std::string name;
  append_epoch(name, epoch);
  if (!lives_.empty() && lives_.back().epoch == name) {
    if (!disk) violation("a hub in memory has the epoch of the process before");
    check_disk(*disk);
  } else {
    lives_.emplace_back().epoch = name;
  }
  world_.trace("process %zu, epoch %s", processes_, name.c_str());
  if (!disk) return;
  for (const HubDisk::Event& event : disk->events)
    place(life(), *number_in(event.data), {event.position, event.global}, "the disk");
}

void HubJudge::check_disk(const HubDisk& disk) const {
  for (const auto& [global, number] : lives_.back().by_global) {
    bool there = global <= disk.events.size() && number_in(disk.events[global - 1].data) == number;
    if (!there) violation("event " + text(number) + " is not on the disk, though it was shown");
  }
}

size_t HubJudge::add(HubEvent event) {
  events_.push_back(std::move(event));
  return events_.size() - 1;
}

void HubJudge::place(size_t life, size_t number, HubPlace place, const char* who) {
  Life& of = lives_[life];
  const HubEvent& event = events_[number];
  std::string what = std::string(who) + ": event " + text(number) + " of " + event.stream + " at " +
                     text(place.position) + ", globally at " + text(place.global);
  if (event.asked_ns == 0) violation(what + ", and nobody has ever published it as a whole");
  if (event.refused) violation(what + ", and its publisher was told that it is not there");
  auto [known, fresh] = of.places.try_emplace(number, place);
  if (!fresh && known->second != place)
    violation(what + ", before it was at " + text(known->second.position) + ", globally at " +
              text(known->second.global));
  if (!fresh) return;
  auto [there, alone] = of.by_global.try_emplace(place.global, number);
  if (!alone) violation(what + ", where event " + text(there->second) + " is");
  uint64_t& newest = of.newest[event.stream];
  newest = std::max(newest, place.global);
  if (forgets) return;
  auto [before, first] = of.by_position.try_emplace({event.stream, place.position}, number);
  if (!first) violation(what + ", where event " + text(before->second) + " is");
}

void HubJudge::place_in_stream(size_t life, const std::string& epoch, size_t number,
                               uint64_t position) {
  Life& of = lives_[life];
  const HubEvent& event = events_[number];
  std::string what = "a reader: event " + text(number) + " of " + event.stream + " at " +
                     text(position) + " of epoch " + epoch;
  if (event.asked_ns == 0) violation(what + ", and nobody has ever published it as a whole");
  if (event.refused) violation(what + ", and its publisher was told that it is not there");
  // An epoch is one stream's in one life.
  for (Life& one : lives_) {
    auto found = one.by_position.find({'#' + epoch, position});
    if (found != one.by_position.end() && found->second != number)
      violation(what + ", where event " + text(found->second) + " is");
  }
  of.by_position.try_emplace({'#' + epoch, position}, number);
  auto known = of.places.find(number);
  if (known != of.places.end() && known->second.position != position)
    violation(what + ", and elsewhere it is at " + text(known->second.position));
}

std::optional<HubPlace> HubJudge::place_of(size_t life, size_t number) const {
  auto found = lives_[life].places.find(number);
  if (found == lives_[life].places.end()) return std::nullopt;
  return found->second;
}

void HubJudge::check(const std::string& who, const HubWish& wish, const Claim& claim,
                     const std::unordered_set<uint64_t>& got) const {
  const Life& of = lives_[claim.life];
  for (auto at = of.by_global.lower_bound(claim.from);
       at != of.by_global.end() && at->first < claim.to; ++at) {
    const HubEvent& event = events_[at->second];
    if (got.contains(at->first) || !wish.wants(event)) continue;
    bool newer = of.newest.at(event.stream) > at->first;
    if (claim.newest_only && newer) continue;
    if (claim.told_ns != 0 && let_go(of, at->second, claim.told_ns)) continue;
    violation(who + " has not got event " + text(at->second) + " of " + event.stream +
              ", globally at " + text(at->first));
  }
}

// So many have followed it in its stream that this did not have to keep it.
bool HubJudge::let_go(const Life& life, size_t number, uint64_t by_ns) const {
  const HubEvent& event = events_[number];
  if (forgets) return true;
  return std::ranges::any_of(life.places, [&](const auto& other) {
    const HubEvent& later = events_[other.first];
    return later.stream == event.stream && later.asked_ns <= by_ns &&
           other.second.position >= stream_events &&
           other.second.position - stream_events >= life.places.at(number).position;
  });
}

bool HubJudge::is_due(size_t life, const HubWish& wish, uint64_t from, uint64_t told_ns) const {
  const Life& of = lives_[life];
  return std::any_of(of.by_global.lower_bound(from), of.by_global.end(), [&](const auto& one) {
    return wish.wants(events_[one.second]) && !(told_ns != 0 && let_go(of, one.second, told_ns));
  });
}

int64_t HubJudge::last_in_stream(size_t life, const std::string& stream) const {
  const Life& of = lives_[life];
  auto newest = of.newest.find(stream);
  if (newest == of.newest.end()) return -1;
  return static_cast<int64_t>(of.places.at(of.by_global.at(newest->second)).position);
}

std::optional<size_t> HubJudge::number_in(std::string_view data) {
  size_t begin = data.find('#');
  size_t end = begin == data.npos ? begin : data.find('#', begin + 1);
  if (end == data.npos) return std::nullopt;
  return parse_decimal(data.substr(begin + 1, end - begin - 1));
}

}  // namespace sluice::sim

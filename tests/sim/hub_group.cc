#include "tests/sim/hub_group.h"

#include <algorithm>

namespace sluice::sim {

HubGroup::HubGroup(HubScene& scene, size_t number, HubWish wish, std::string start)
    : scene_(scene),
      name_("g" + std::to_string(number)),
      wish_(std::move(wish)),
      start_query_(std::move(start)),
      members_(wish_.size) {}

void HubGroup::wrong(const std::string& what) const {
  violation("group " + name_ + ": " + what);
}

HubWish HubGroup::share(uint64_t member) const {
  HubWish wish = wish_;
  wish.member = member;
  return wish;
}

// A hub in memory knows nothing of the life before. One that has shown what was not yet on its disk
// may know a part.
void HubGroup::enter_life() {
  if (life_ == scene_.judge.life()) return;
  life_ = scene_.judge.life();
  exact_ = !scene_.stored;
  start_.reset();
  members_.assign(members_.size(), {});
}

HubGroup::Known HubGroup::known() {
  enter_life();
  Known known{.life = life_, .token = scene_.newest_token, .members = {}};
  for (const Member& member : members_) known.members.push_back({member.kept, member.token});
  return known;
}

void HubGroup::check_position(const std::string& what, const HubLease& at, const Known& before) {
  uint64_t kept = before.members[at.member].kept;
  if (at.position < kept)
    wrong(what + ", though all up to " + std::to_string(kept) + " was acknowledged before");
  Member& member = members_[at.member];
  if (!start_ && exact_) {
    start_ = at.position;
    for (Member& one : members_) one.kept = std::max(one.kept, *start_);
  }
  if (exact_ && at.position > std::max(*start_, member.asked))
    wrong(what + ", and nobody has acknowledged that");
  member.kept = std::max(member.kept, at.position);
}

void HubGroup::on_lease(const std::string& who, const HubLease& lease, const Known& before) {
  enter_life();
  std::string what = who + " gets member " + std::to_string(lease.member) + " with token " +
                     std::to_string(lease.token) + " behind " + std::to_string(lease.position);
  if (lease.member >= size()) wrong(what + ", which there is not");
  if (lease.token <= before.token)
    wrong(what + ", though token " + std::to_string(before.token) + " was given before");
  if (!scene_.tokens.insert(lease.token).second) wrong(what + ", which another one has got, too");
  scene_.newest_token = std::max(scene_.newest_token, lease.token);
  if (!is_of_now(before)) return;
  check_position(what, lease, before);
  members_[lease.member].token = std::max(members_[lease.member].token, lease.token);
}

void HubGroup::on_asks(const HubLease& lease, uint64_t position) {
  enter_life();
  uint64_t& asked = members_[lease.member].asked;
  asked = std::max(asked, position);
}

void HubGroup::on_kept(const std::string& who, const HubLease& lease, uint64_t asked,
                       uint64_t position, const Known& before) {
  enter_life();
  std::string what = who + " has acknowledged " + std::to_string(asked) + " of member " +
                     std::to_string(lease.member) + " with token " + std::to_string(lease.token);
  if (before.members[lease.member].token > lease.token)
    wrong(what + ", though another owner had followed it");
  if (position < asked) wrong(what + ", and is told of " + std::to_string(position));
  if (is_of_now(before))
    check_position(what, {.member = lease.member, .token = 0, .position = position}, before);
}

void HubGroup::on_read(uint64_t member, uint64_t position, uint64_t token, const Known& before) {
  enter_life();
  if (!is_of_now(before)) return;
  std::string what = "member " + std::to_string(member) + " is read at " + std::to_string(position);
  check_position(what, {.member = member, .token = 0, .position = position}, before);
  if (token != 0 && token < before.members[member].token)
    wrong(what + ", with the token of a former owner");
  members_[member].token = std::max(members_[member].token, token);
  scene_.newest_token = std::max(scene_.newest_token, token);
}

// Whose members have had owners.
void HubGroup::on_missing(const Known& before) const {
  bool known = std::ranges::any_of(before.members, &Known::Member::token);
  if (known && is_of_now(before)) wrong("is not there any more");
}

}  // namespace sluice::sim

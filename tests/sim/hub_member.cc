#include "tests/sim/hub_member.h"

#include <algorithm>
#include <utility>

#include "core/text.h"

namespace sluice::sim {

namespace {

constexpr uint64_t kLooksNsMax = kSecond;

uint64_t number_of(std::string_view json, std::string_view name) {
  return static_cast<uint64_t>(number_member(json, name).value_or(0));
}

double draw_zeal(Random& random) {
  return random.chance(0.4) ? 1 : random.chance(0.7) ? 0.2 : 0;
}

}  // namespace

HubMember::HubMember(HubScene& scene, HubGroup& group, size_t number,
                     const EventClient::Manners& manners)
    : scene_(scene),
      group_(group),
      name_("member " + std::to_string(number) + " of " + group.name()),
      waits_(scene.world.random.chance(0.7)),
      poke_(scene.world.random.chance(0.3)),
      acknowledges_(draw_zeal(scene.world.random)),
      client_(scene, *this, manners),
      known_(group.known()) {
  scene_.world.after(scene_.world.random.magnitude(1, kSecond), [this] { connect(); });
  work();
}

void HubMember::wrong(const std::string& what) const {
  violation(name_ + ": " + what);
}

void HubMember::connect() {
  if (left_) return;
  known_ = group_.known();
  owns_ = over_ = gap_due_ = fenced_ = false;
  connected_ns_ = scene_.world.now_ns();
  std::string query = group_.wish().query() + "&group=" + group_.name() +
                      "&size=" + std::to_string(group_.size()) + group_.start();
  if (waits_) query += "&wait=yes";
  if (poke_) query += "&mode=poke";
  client_.ask(name_, group_.wish().target() + "?" + query.substr(1), {});
}

void HubMember::come_back() {
  owns_ = false;
  if (left_) return;
  scene_.world.after(scene_.world.random.magnitude(kMillisecond, client_.returns_ns_max()),
                     [this] { connect(); });
}

void HubMember::on_cut() {
  scene_.world.trace("%s is cut", name_.c_str());
  come_back();
}

void HubMember::on_head(const MessageHead& head) {
  lease_field_ = head.find("sluice-lease").value_or("");
  if (lease_field_.empty() && !waits_) wrong("gets a stream, and no lease");
  gap_due_ = head.find("sluice-replay") == "gap";
}

void HubMember::on_block(const EventBlock& block) {
  scene_.world.trace("%s: %s %s %.90s", name_.c_str(), block.id.c_str(), block.type.c_str(),
                     block.data.c_str());
  if (block.type == "sluice.lease") return on_lease(block.data);
  if (!owns_) wrong("gets an event, and has no lease: " + block.data);
  if (block.type == "sluice.gap") return on_gap(block.data);
  if (block.type == "sluice.lease-over") return on_lease_over(block.data);
  if (gap_due_) wrong("an event before the gap that its head tells of");
  std::optional<HubId> id = parse_hub_id(block.id);
  if (!id) wrong("an id that is none: " + block.id);
  if (!block.has_data) return readers_.back()->on_place(*id);
  readers_.back()->on_event(*id, block.data);
  held_->handled = id->position;
}

void HubMember::on_lease(const std::string& data) {
  HubLease lease{.member = number_of(data, "member"),
                 .token = number_of(data, "token"),
                 .position = number_of(data, "position")};
  if (owns_) wrong("gets a second lease: " + data);
  std::string field =
      "member=" + std::to_string(lease.member) + ", size=" + std::to_string(group_.size()) +
      ", token=" + std::to_string(lease.token) + ", position=" + std::to_string(lease.position);
  if (!lease_field_.empty() && lease_field_ != field)
    wrong("has another lease in its head: " + lease_field_ + ", " + field);
  group_.on_lease(name_, lease, known_);
  owns_ = true;
  held_ = {.lease = lease,
           .life = client_.life(),
           .process = client_.process(),
           .handled = lease.position,
           .kept = lease.position};
  readers_.push_back(std::make_unique<HubReader>(scene_, name_, group_.share(lease.member), poke_));
  readers_.back()->begin(client_.life(), client_.process(), lease.position + 1);
}

void HubMember::on_gap(const std::string& data) {
  ++scene_.gaps;
  gap_due_ = false;
  uint64_t wanted = held_->lease.position + 1;
  if (!scene_.may_lose()) wrong("is told of a gap, and nothing can be missing");
  if (readers_.back()->next() != wanted) wrong("is told of a gap in the midst");
  std::optional<HubId> got = parse_hub_id(text_member(data, "got"));
  if (!got || got->position < wanted || number_of(data, "wanted") != wanted)
    wrong("a gap that goes nowhere: " + data);
  readers_.back()->on_gap(got->position, /*newest_only=*/false);
}

// Something has waited for as long as a lease lasts. Acknowledgements do not count here: those that
// come late are taken, too.
void HubMember::on_lease_over(const std::string& data) {
  if (number_of(data, "token") != held_->lease.token) wrong("the end of another lease: " + data);
  if (scene_.world.now_ns() + kMillisecond < connected_ns_ + scene_.lease_ns)
    wrong("loses its lease too early");
  owns_ = false;
  over_ = true;
}

void HubMember::on_end(int status, bool cleanly) {
  bool excused = client_.process_ends();
  bool troubled = scene_.disk_in_trouble() || scene_.busy;
  if (status == 200 && cleanly) {
    bool slow = owns_ && scene_.may_lose();
    if (!over_ && !slow && !excused) wrong("its stream ends without a reason");
  } else if (status == 200) {
    if (!excused && !client_.has_rested() && !scene_.disk_in_trouble())
      wrong("its stream is aborted without a reason");
  } else if (status == 409) {
    if (waits_) wrong("is refused, though it waits");
  } else if (!excused && !((status == 503 || status == 507) && troubled)) {
    wrong("gets no stream, but " + std::to_string(status));
  }
  come_back();
}

// Now and then, on and on.
void HubMember::work() {
  Random& random = scene_.world.random;
  scene_.world.after(random.magnitude(10 * kMillisecond, kLooksNsMax), [this] {
    if (left_) return;
    if (!asking_) {
      bool former = held_ && !owns_ && scene_.world.random.chance(0.1);
      bool zealous = held_ && owns_ &&
                     (scene_.settles ? held_->kept < held_->handled
                                     : scene_.world.random.chance(acknowledges_));
      if (former || zealous)
        acknowledge();
      else if (scene_.world.random.chance(0.05))
        read_group();
    }
    work();
  });
}

void HubMember::ask(const HubCaller::Request& request,
                    std::function<void(const HubCaller::Answer&)> done) {
  asking_ = true;
  callers_.push_back(std::make_unique<HubCaller>(
      scene_, request, [] {},
      [this, done = std::move(done)](const HubCaller::Answer& answer) {
        asking_ = false;
        done(answer);
      }));
}

void HubMember::acknowledge() {
  Random& random = scene_.world.random;
  const HubLease& lease = held_->lease;
  uint64_t position = held_->handled;
  if (!scene_.settles && random.chance(0.2)) position = random.between(lease.position, position);
  HubGroup::Known before = group_.known();
  if (held_->life == scene_.judge.life()) group_.on_asks(lease, position);
  HubCaller::Request put{.method = "PUT",
                         .target = "/hub/groups/" + group_.name() + "/members/" +
                                   std::to_string(lease.member) +
                                   "?token=" + std::to_string(lease.token),
                         .body = "{\"position\":" + std::to_string(position) + "}",
                         .stops = random.chance(0.05) ? 1.0 : 0};
  ask(put, [this, held = *held_, position, before](const HubCaller::Answer& answer) {
    on_acknowledged(held, position, before, answer);
  });
}

void HubMember::on_acknowledged(const Held& held, uint64_t position, const HubGroup::Known& before,
                                const HubCaller::Answer& answer) {
  bool same_lease = held_->lease.token == held.lease.token;
  switch (answer.status) {
    case 200: {
      uint64_t kept = number_of(answer.body, "position");
      group_.on_kept(name_, held.lease, position, kept, before);
      if (!same_lease) return;
      held_->kept = std::max(held_->kept, kept);
      return;
    }
    case 409:
      fenced_ = fenced_ || (same_lease && owns_);  // it is about to hear of that
      return;
    case 404:  // one that has begun anew, and did not have the group on its disk
      if (scene_.durable || held.process == answer.process) break;
      return;
    case 408:
      if (!answer.slow) break;
      return;
    case 503:
    case 507:
      if (!scene_.busy && !scene_.disk_in_trouble() && !answer.excused) break;
      return;
    default:
      if (answer.status != 0 || !answer.excused) break;
      return;
  }
  wrong("an acknowledgement is answered with " + std::to_string(answer.status) + answer.body);
}

void HubMember::read_group() {
  HubGroup::Known before = group_.known();
  ask({.target = "/hub/groups/" + group_.name()}, [this, before](const HubCaller::Answer& answer) {
    if (answer.status == 404) group_.on_missing(before);
    if (answer.status == 0 && !answer.excused) wrong("the group is read, and there is no answer");
    if (answer.status != 200) return;
    constexpr std::string_view kMember = "{\"member\":";
    std::string_view rest = answer.body;
    for (uint64_t member = 0; member < group_.size(); ++member) {
      rest.remove_prefix(std::min(rest.size(), rest.find(kMember)));
      std::string_view one = rest.substr(0, rest.find('}'));
      if (one.empty()) wrong("a group without its members is read: " + answer.body);
      rest.remove_prefix(one.size());
      group_.on_read(member, number_of(one, "position"), number_of(one, "token"), before);
    }
  });
}

std::optional<uint64_t> HubMember::owns() const {
  if (!owns_ || !client_.live() || client_.life() != scene_.judge.life()) return std::nullopt;
  return held_->lease.member;
}

bool HubMember::up_to_date() const {
  return owns() && !gap_due_ && !fenced_ && held_->kept >= held_->handled &&
         readers_.back()->up_to_date();
}

void HubMember::leave() {
  left_ = true;
  client_.leave();
  for (const auto& reader : readers_) reader->check();
}

}  // namespace sluice::sim

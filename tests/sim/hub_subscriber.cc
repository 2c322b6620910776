#include "tests/sim/hub_subscriber.h"

#include <algorithm>

#include "core/text.h"

namespace sluice::sim {

namespace {

bool asks_for_position(std::string_view start) {
  return start.starts_with("&position=") && start[10] >= '0' && start[10] <= '9';
}

std::string make_start(Random& random) {
  uint64_t start = random.between(0, 4);
  return start == 0   ? ""
         : start == 1 ? "&position=latest"
         : start == 2 ? "&position=earliest"
         : start == 3 ? "&position=0"
                      : "&position=" + std::to_string(random.magnitude(0, 30));
}

}  // namespace

HubSubscriber::HubSubscriber(HubScene& scene, size_t number, const EventClient::Manners& manners)
    : scene_(scene),
      name_("subscriber " + std::to_string(number)),
      wish_(make_wish(scene)),
      single_(wish_.single()),
      poke_(scene.world.random.chance(0.3)),
      slow_(static_cast<Slow>(scene.world.random.between(0, 2))),
      wants_all_(scene.world.random.chance(0.1)),
      start_(make_start(scene.world.random)),
      client_(scene, *this, manners),
      reader_(scene, name_, wish_, poke_) {
  scene_.world.after(scene_.world.random.magnitude(1, kSecond), [this] { connect(); });
}

void HubSubscriber::wrong(const std::string& what) const {
  violation(name_ + " (" + (single_ ? wish_.streams.front() : "several") + "): " + what);
}

std::string HubSubscriber::name_of(HubId id) const {
  std::string text;
  append_hub_id(text, id);
  return text;
}

HubWish HubSubscriber::make_wish(HubScene& scene) {
  Random& random = scene.world.random;
  HubWish wish;
  uint64_t kind = random.between(0, 3);
  if (kind == 0) {
    wish.streams.push_back(random.chance(0.3) ? "own-" + std::to_string(random.between(0, 2))
                                              : scene.shared_stream());
    return wish;
  }
  if (kind == 3) {
    for (uint64_t i = random.between(1, 3); i > 0; --i)
      wish.streams.push_back(scene.shared_stream());
    if (random.chance(0.5)) wish.categories.emplace_back("own");
    if (wish.single()) wish.categories.emplace_back("own");
  } else {
    wish.categories.emplace_back(random.chance(0.7) ? "acc" : "ord");
  }
  if (kind == 2) {
    wish.size = random.between(1, 4);
    wish.member = random.between(0, wish.size - 1);
  }
  if (random.chance(0.1)) wish.correlation = random.chance(0.5) ? "left" : "right";
  return wish;
}

void HubSubscriber::connect() {
  if (left_) return;
  gap_due_ = any_ = newest_only_ = false;
  std::string target = single_ ? "/hub/streams/" + wish_.streams.front() : wish_.target();
  std::string query = single_ ? "" : wish_.query();
  if (poke_) query += "&mode=poke";
  if (slow_ != Slow::kDisconnect) query += slow_ == Slow::kSkip ? "&slow=skip" : "&slow=coalesce";
  if (wish_.member)
    query += "&member=" + std::to_string(*wish_.member) + "&size=" + std::to_string(wish_.size);
  if (!wish_.correlation.empty()) query += "&correlation=" + wish_.correlation;
  if (wants_all_) query += "&require=complete";
  std::optional<uint64_t> due;
  epoch_.reset();
  if (last_id_ && id_life_ == scene_.judge.life()) {
    due = last_id_->position + 1;
    epoch_ = last_id_->epoch;
  }
  FieldList fields;
  if (!last_id_) {
    query += start_;
    // Where a position is asked for, it is due if the answer says that nothing is missing.
    if (asks_for_position(start_))
      due = std::max<uint64_t>(*parse_decimal(start_.substr(10)), single_ ? 0 : 1);
  } else if (scene_.world.random.chance(0.5)) {
    fields.emplace_back("last-event-id", name_of(*last_id_));
    query += start_;  // the field counts
  } else {
    query += "&last_event_id=" + name_of(*last_id_);
  }
  if (!query.empty()) target += "?" + query.substr(1);
  client_.ask(name_, target, std::move(fields));
  next_ = due;
  reader_.begin(client_.life(), client_.process(), due);
}

void HubSubscriber::come_back() {
  if (left_) return;
  scene_.world.after(scene_.world.random.magnitude(kMillisecond, client_.returns_ns_max()),
                     [this] { connect(); });
}

void HubSubscriber::on_cut() {
  scene_.world.trace("%s is cut", name_.c_str());
  come_back();
}

void HubSubscriber::on_head(const MessageHead& head) {
  // Who asks for the oldest does not ask for what is not there.
  if (!last_id_ && start_ == "&position=earliest") reader_.excuse_what_has_gone();
  bool resumes = last_id_ || asks_for_position(start_);
  bool same_life = id_life_ == client_.life();
  std::string replay = head.find("sluice-replay").value_or("none");
  if (replay != "none" && !resumes) wrong("is told of a replay: " + replay);
  if (replay == "none" && resumes) wrong("is not told whether anything is missing");
  gap_due_ = replay == "gap";
  if (gap_due_ && wants_all_) wrong("gets a part, and wants all or nothing");
  if (last_id_ && !same_life && !gap_due_)
    wrong("goes on behind an id of another life as if nothing was missing");
  if (last_id_ && same_life && gap_due_ && !scene_.may_lose())
    wrong("is told of a gap, and nothing can be missing");
}

void HubSubscriber::on_block(const EventBlock& block) {
  scene_.world.trace("%s: %s %s %.60s", name_.c_str(), block.id.c_str(), block.type.c_str(),
                     block.data.c_str());
  if (block.type == "sluice.gap") {
    on_gap(block.data);
    return;
  }
  std::optional<HubId> read = parse_hub_id(block.id);
  if (!read) wrong("an id that is none: " + block.id);
  if (gap_due_) wrong("an event before the gap that its head tells of");
  if (block.has_data)
    on_event(*read, block.data);
  else
    on_place(*read);
  last_id_ = read;
  id_life_ = client_.life();
}

void HubSubscriber::on_gap(std::string_view data) {
  ++scene_.gaps;
  bool at_once = std::exchange(gap_due_, false);
  if (!at_once && slow_ == Slow::kDisconnect) wrong("is told of a gap in the midst");
  if (!at_once && !scene_.may_lose()) wrong("is told of a gap, and nothing can be missing");
  std::optional<HubId> got = parse_hub_id(text_member(data, "got"));
  if (!got) wrong("a gap that ends nowhere: " + std::string(data));
  std::string wanted = at_once && last_id_ ? "\"" + name_of(*last_id_) + "\"" : "";
  if (!wanted.empty() && data.find("\"wanted\":" + wanted) == data.npos)
    wrong("a gap behind another id: " + std::string(data));
  if (next() && !at_once && got->position < *next() && (!single_ || epoch_ == got->epoch))
    wrong("a gap that goes back: " + std::string(data));
  newest_only_ = !at_once && slow_ == Slow::kCoalesce;
  epoch_.reset();
  next_ = got->position;
  reader_.on_gap(got->position, newest_only_);
}

// An id without an event: all before it are known, or not asked for.
void HubSubscriber::on_place(HubId id) {
  if (!single_) {
    reader_.on_place(id);
    return;
  }
  if (any_) wrong("a place behind an event: " + name_of(id));
  if (next_ && id.position + 1 != *next_)
    wrong("is put behind " + name_of(id) + ", due is " + std::to_string(*next_));
  next_ = id.position + 1;
  epoch_ = id.epoch;
}

void HubSubscriber::on_event(HubId id, const std::string& data) {
  if (!single_) {
    reader_.on_event(id, data);
    return;
  }
  any_ = true;
  std::string what = "event " + name_of(id) + " " + data.substr(0, 60);
  // A stream that is made again begins anew, behind all that there was of the one before.
  if (epoch_ && *epoch_ != id.epoch) {
    if (!scene_.judge.forgets) wrong("another epoch: " + what);
    next_ = 0;
  }
  epoch_ = id.epoch;
  if (!next_) next_ = start_ == "&position=earliest" || newest_only_ ? id.position : 0;
  bool jumps = newest_only_ && id.position >= *next_;
  if (id.position != *next_ && !jumps) wrong(what + ", due is " + std::to_string(*next_));
  next_ = id.position + 1;
  if (poke_) {
    if (number_member(data, "position") != static_cast<int64_t>(id.position) ||
        text_member(data, "stream") != wish_.streams.front())
      wrong("a poke of something else: " + what);
    return;
  }
  std::optional<size_t> number = HubJudge::number_in(data);
  if (!number) wrong("nobody's " + what);
  const HubEvent& event = scene_.judge.event(*number);
  if (event.stream != wish_.streams.front() || event.data != data) wrong("another's " + what);
  std::string epoch;
  append_epoch(epoch, id.epoch);
  scene_.judge.place_in_stream(client_.life(), epoch, *number, id.position);
}

void HubSubscriber::on_end(int status, bool cleanly) {
  bool excused = client_.process_ends();
  if (status == 200 && cleanly) {
    bool slow = slow_ == Slow::kDisconnect && scene_.may_lose();
    if (!slow && !excused) wrong("its stream ends without a reason");
  } else if (status == 200) {
    if (!excused && !client_.has_rested() && !scene_.disk_in_trouble())
      wrong("its stream is aborted without a reason");
  } else if (status == 412) {
    if (!wants_all_) wrong("is refused a part, though it has not asked for all");
    last_id_.reset();
    start_ = "&position=earliest";
  } else if (!excused && !(status == 503 && scene_.disk_in_trouble())) {
    wrong("gets no stream, but " + std::to_string(status));
  }
  come_back();
}

bool HubSubscriber::up_to_date() const {
  if (!client_.live() || !client_.headed() || gap_due_ || client_.life() != scene_.judge.life())
    return false;
  if (!single_) return reader_.up_to_date();
  // Of a stream that has been forgotten there is nothing.
  if (scene_.judge.forgets && next_.value_or(0) == 0) return true;
  return static_cast<int64_t>(next_.value_or(0)) >
         scene_.judge.last_in_stream(client_.life(), wish_.streams.front());
}

void HubSubscriber::leave() {
  left_ = true;
  client_.leave();
  reader_.check();
}

}  // namespace sluice::sim

#include "tests/sim/hub_subscriber.h"

#include <algorithm>
#include <array>
#include <utility>

#include "core/text.h"

namespace sluice::sim {

namespace {

constexpr uint64_t kRestNsMax = 15 * kSecond;
constexpr std::string_view kHeartbeat = ": heartbeat\n\n";

bool asks_for_position(std::string_view start) {
  return start.starts_with("&position=") && start[10] >= '0' && start[10] <= '9';
}

std::string member_text(std::string_view json, std::string_view name) {
  std::string quoted = "\"" + std::string(name) + "\":\"";
  size_t at = json.find(quoted);
  if (at == json.npos) return "";
  at += quoted.size();
  return std::string(json.substr(at, json.find('"', at) - at));
}

}  // namespace

HubSubscriber::HubSubscriber(HubScene& scene, size_t number, const Manners& manners)
    : scene_(scene), name_("subscriber " + std::to_string(number)), manners_(manners) {
  Random& random = scene.world.random;
  wish_ = make_wish();
  single_ = wish_.single();
  poke_ = random.chance(0.3);
  slow_ = static_cast<Slow>(random.between(0, 2));
  wants_all_ = random.chance(0.1);
  uint64_t start = random.between(0, 4);
  start_ = start == 0   ? ""
           : start == 1 ? "&position=latest"
           : start == 2 ? "&position=earliest"
           : start == 3 ? "&position=0"
                        : "&position=" + std::to_string(random.magnitude(0, 30));
  scene_.world.after(random.magnitude(1, kSecond), [this] { connect(); });
}

void HubSubscriber::wrong(const std::string& what) const {
  violation(name_ + " (" + (single_ ? wish_.streams.front() : "several") + "): " + what);
}

std::string HubSubscriber::name_of(HubId id) const {
  std::string text;
  append_hub_id(text, id);
  return text;
}

HubWish HubSubscriber::make_wish() {
  Random& random = scene_.world.random;
  HubWish wish;
  uint64_t kind = random.between(0, 3);
  if (kind == 0) {
    wish.streams.push_back(random.chance(0.3) ? "own-" + std::to_string(random.between(0, 2))
                                              : scene_.shared_stream());
    return wish;
  }
  if (kind == 3) {
    for (uint64_t i = random.between(1, 3); i > 0; --i)
      wish.streams.push_back(scene_.shared_stream());
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
  Random& random = scene_.world.random;
  ++scene_.asked;
  ++connections_;
  live_ = true;
  headed_ = gap_due_ = any_ = newest_only_ = false;
  has_rested_ = false;
  text_.clear();
  decoder_.reset();
  reader_.begin(false);
  life_ = scene_.judge.life();
  process_ = scene_.judge.process();
  std::string target = "/hub/";
  std::string query;
  if (single_) {
    target += "streams/" + wish_.streams.front();
  } else if (wish_.streams.empty() && wish_.categories.size() == 1) {
    target += "categories/" + wish_.categories.front();
  } else {
    target += "subscribe";
    for (const std::string& stream : wish_.streams) query += "&stream=" + stream;
    for (const std::string& category : wish_.categories) query += "&category=" + category;
  }
  if (poke_) query += "&mode=poke";
  if (slow_ != Slow::kDisconnect) query += slow_ == Slow::kSkip ? "&slow=skip" : "&slow=coalesce";
  if (wish_.member)
    query += "&member=" + std::to_string(*wish_.member) + "&size=" + std::to_string(wish_.size);
  if (!wish_.correlation.empty()) query += "&correlation=" + wish_.correlation;
  if (wants_all_) query += "&require=complete";
  next_.reset();
  epoch_.reset();
  if (last_id_ && id_life_ == life_) {
    next_ = last_id_->position + 1;
    epoch_ = last_id_->epoch;
  }
  std::string fields = "Host: sim\r\nAccept: text/event-stream\r\n";
  if (!last_id_) {
    query += start_;
    // Where a position is asked for, it is due if the answer says that nothing is missing.
    if (asks_for_position(start_))
      next_ = std::max<uint64_t>(*parse_decimal(start_.substr(10)), single_ ? 0 : 1);
  } else if (random.chance(0.5)) {
    fields += "Last-Event-ID: " + name_of(*last_id_) + "\r\n";
    query += start_;  // the field counts
  } else {
    query += "&last_event_id=" + name_of(*last_id_);
  }
  if (!scene_.accepts.empty()) fields += "Accept-Encoding: " + scene_.accepts + "\r\n";
  if (!query.empty()) target += "?" + query.substr(1);
  connection_ = scene_.connect(*this);
  connection_->write("GET " + target + " HTTP/1.1\r\n" + fields + "\r\n");
  scene_.world.trace("%s: connection %lu, %s, behind %s", name_.c_str(), connections_,
                     target.c_str(), last_id_ ? name_of(*last_id_).c_str() : "nothing");
  if (manners_.cut_per_s <= 0) return;
  auto most_ns = static_cast<uint64_t>(2e9 / manners_.cut_per_s);
  scene_.world.after(random.magnitude(1, most_ns), [this, connection = connections_] {
    if (connection == connections_ && live_ && !left_ && !scene_.settles) cut();
  });
}

void HubSubscriber::cut() {
  ++scene_.cut;
  scene_.world.trace("%s is cut", name_.c_str());
  if (scene_.world.random.chance(0.5))
    connection_->reset_peer_end();
  else
    connection_->close_peer_end();
  come_back();
}

void HubSubscriber::come_back() {
  live_ = headed_ = false;
  if (left_) return;
  scene_.world.after(scene_.world.random.magnitude(kMillisecond, manners_.returns_ns_max),
                     [this] { connect(); });
}

void HubSubscriber::on_change() {
  if (!live_ || std::exchange(reading_, true)) return;
  Random& random = scene_.world.random;
  uint64_t wait_ns = random.magnitude(1, 10 * kMillisecond);
  if (!scene_.settles && random.chance(manners_.rests)) {
    wait_ns = random.magnitude(kSecond, kRestNsMax);
    has_rested_ = true;
  }
  scene_.world.after(wait_ns, [this] { read(); });
}

void HubSubscriber::read() {
  reading_ = false;
  if (!live_) return;
  std::string bytes = connection_->read(SIZE_MAX);
  uint64_t connection = connections_;
  for (std::string_view rest = bytes; !rest.empty();) {
    if (reader_.state() == MessageReader::State::kComplete) wrong("bytes behind the end");
    std::string body;
    rest.remove_prefix(reader_.feed(rest, [&body](std::string_view piece) { body += piece; }));
    if (reader_.state() == MessageReader::State::kBroken)
      wrong("is sent " + reader_.what_is_wrong());
    if (reader_.state() == MessageReader::State::kHead) break;
    if (!headed_ && reader_.head().status() == 200) on_head();
    if (headed_) take(body);
    if (connection != connections_ || !live_) return;
  }
  if (reader_.state() == MessageReader::State::kComplete) {
    on_end(true);
  } else if (connection_->reset_at_peer() || connection_->finished_at_peer()) {
    on_end(false);
  }
}

void HubSubscriber::on_head() {
  const MessageHead& head = reader_.head();
  headed_ = true;
  // Who asks for the oldest does not ask for what is not there.
  if (!last_id_ && start_ == "&position=earliest") told_ns_ = scene_.world.now_ns();
  ++scene_.answered;
  if (head.find("content-type") != "text/event-stream") wrong("gets no event stream");
  if (auto coding = head.find("content-encoding")) {
    for (AppliedCoding known : {AppliedCoding::kGzip, AppliedCoding::kZstd, AppliedCoding::kBrotli})
      if (*coding == coding_name(known)) decoder_ = make_decoder(known, scene_.decoders);
    if (!decoder_) wrong("gets a coding that is none: " + *coding);
  }
  bool resumes = last_id_ || asks_for_position(start_);
  std::string replay = head.find("sluice-replay").value_or("none");
  if (replay != "none" && !resumes) wrong("is told of a replay: " + replay);
  if (replay == "none" && resumes) wrong("is not told whether anything is missing");
  gap_due_ = replay == "gap";
  if (gap_due_ && wants_all_) wrong("gets a part, and wants all or nothing");
  if (last_id_ && id_life_ != life_ && !gap_due_)
    wrong("goes on behind an id of another life as if nothing was missing");
  if (last_id_ && id_life_ == life_ && gap_due_ && !scene_.judge.evicts && !scene_.judge.forgets)
    wrong("is told of a gap, and nothing can be missing");
}

void HubSubscriber::take(std::string_view body) {
  if (decoder_) {
    std::array<char, 4096> room;
    for (bool more = true; more;) {
      Decoder::Step step = decoder_->decode(body, room);
      if (step.fault != DecodingFault::kNone) wrong("a body that is not of its coding");
      text_.append(room.data(), step.written);
      body.remove_prefix(step.taken);
      more = step.written == room.size() || (!body.empty() && step.taken > 0);
    }
  } else {
    text_ += body;
  }
  uint64_t connection = connections_;
  for (size_t end;
       live_ && connection == connections_ && (end = text_.find("\n\n")) != text_.npos;) {
    std::string block = text_.substr(0, end + 2);
    text_.erase(0, end + 2);
    on_block(block);
  }
}

void HubSubscriber::on_block(std::string_view block) {
  if (block == kHeartbeat) return;
  std::string id;
  std::string type;
  std::string data;
  bool has_data = false;
  for (std::string_view rest = block.substr(0, block.size() - 1); !rest.empty();) {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(line.size() + 1);
    if (line.starts_with("id: ")) {
      id = line.substr(4);
    } else if (line.starts_with("event: ")) {
      type = line.substr(7);
    } else if (line.starts_with("data: ")) {
      if (std::exchange(has_data, true)) data += '\n';
      data += line.substr(6);
    } else if (line.starts_with("retry: ")) {
      uint64_t ms = parse_decimal(line.substr(7)).value_or(0);
      if (ms < 1'000 || ms > 10'000) wrong("is told to come back " + std::string(line));
      if (!scene_.judge.draining && process_ == scene_.judge.process())
        wrong("is sent away, and nothing ends");
    } else {
      wrong("a line that is none of a hub's: " + std::string(line));
    }
  }
  scene_.world.trace("%s: %s %s %.60s", name_.c_str(), id.c_str(), type.c_str(), data.c_str());
  if (type == "sluice.gap") {
    on_gap(data);
    return;
  }
  if (id.empty() && !has_data) return;
  std::optional<HubId> read = parse_hub_id(id);
  if (!read) wrong("an id that is none: " + id);
  if (gap_due_) wrong("an event before the gap that its head tells of");
  if (has_data)
    on_event(*read, type, data);
  else
    on_place(*read);
  last_id_ = read;
  id_life_ = life_;
}

void HubSubscriber::on_gap(std::string_view data) {
  ++scene_.gaps;
  bool at_once = std::exchange(gap_due_, false);
  if (!at_once && slow_ == Slow::kDisconnect) wrong("is told of a gap in the midst");
  if (!at_once && !scene_.judge.evicts && !scene_.judge.forgets)
    wrong("is told of a gap, and nothing can be missing");
  std::optional<HubId> got = parse_hub_id(member_text(data, "got"));
  if (!got) wrong("a gap that ends nowhere: " + std::string(data));
  std::string wanted = at_once && last_id_ ? "\"" + name_of(*last_id_) + "\"" : "";
  if (!wanted.empty() && data.find("\"wanted\":" + wanted) == data.npos)
    wrong("a gap behind another id: " + std::string(data));
  if (next_ && !at_once && got->position < *next_ && (!single_ || epoch_ == got->epoch))
    wrong("a gap that goes back: " + std::string(data));
  told_ns_ = scene_.world.now_ns();
  newest_only_ = !at_once && slow_ == Slow::kCoalesce;
  if (single_) epoch_.reset();
  next_ = got->position;
}

// It has all that it wants from what was due to before `to`, which is due now.
void HubSubscriber::advance(uint64_t to) {
  uint64_t from = next_.value_or(to);
  next_ = to;
  if (single_ || to <= from) return;
  bool goes_on = !claims_.empty() && claims_.back().life == life_ && claims_.back().to == from &&
                 claims_.back().newest_only == newest_only_ && claims_.back().told_ns == told_ns_;
  if (goes_on)
    claims_.back().to = to;
  else
    claims_.push_back({life_, from, to, newest_only_, told_ns_});
}

// An id without an event: all before it are known, or not asked for.
void HubSubscriber::on_place(HubId id) {
  if (any_) wrong("a place behind an event: " + name_of(id));
  if (single_) {
    if (next_ && id.position + 1 != *next_)
      wrong("is put behind " + name_of(id) + ", due is " + std::to_string(*next_));
    next_ = id.position + 1;
    epoch_ = id.epoch;
    return;
  }
  if (next_ && id.position + 1 < *next_) wrong("is put back, behind " + name_of(id));
  advance(id.position + 1);
}

void HubSubscriber::on_event(HubId id, std::string_view /*type*/, const std::string& data) {
  any_ = true;
  if (single_)
    on_stream_event(id, data);
  else
    on_hub_event(id, data);
}

void HubSubscriber::on_stream_event(HubId id, const std::string& data) {
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
        member_text(data, "stream") != wish_.streams.front())
      wrong("a poke of something else: " + what);
    return;
  }
  std::optional<size_t> number = HubJudge::number_in(data);
  if (!number) wrong("nobody's " + what);
  const HubEvent& event = scene_.judge.event(*number);
  if (event.stream != wish_.streams.front() || event.data != data) wrong("another's " + what);
  std::string epoch;
  append_epoch(epoch, id.epoch);
  scene_.judge.place_in_stream(life_, epoch, *number, id.position);
}

void HubSubscriber::on_hub_event(HubId id, const std::string& data) {
  std::string what = "event " + name_of(id) + " " + data.substr(0, 90);
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
  HubEvent seen{.stream = member_text(data, "stream"), .data = {}};
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

void HubSubscriber::on_end(bool cleanly) {
  bool ended = !scene_.workers || process_ != scene_.judge.process() || scene_.judge.draining;
  int status = reader_.state() == MessageReader::State::kHead ? 0 : reader_.head().status();
  connection_->close_peer_end();
  scene_.world.trace("%s: its connection ends%s, status %d", name_.c_str(),
                     cleanly ? " in order" : "", status);
  if (headed_ && cleanly) {
    bool slow = slow_ == Slow::kDisconnect && (scene_.judge.evicts || scene_.judge.forgets);
    if (!slow && !ended) wrong("its stream ends without a reason");
    if (!text_.empty()) wrong("is left within an event: " + text_);
  } else if (headed_) {
    if (!ended && !has_rested_) wrong("its stream is aborted without a reason");
  } else if (status == 412) {
    if (!wants_all_) wrong("is refused a part, though it has not asked for all");
    last_id_.reset();
    start_ = "&position=earliest";
  } else if (!ended) {
    wrong("gets no stream, but " + std::to_string(status));
  }
  come_back();
}

bool HubSubscriber::up_to_date() const {
  if (!live_ || !headed_ || gap_due_ || life_ != scene_.judge.life()) return false;
  // Of a stream that has been forgotten there is nothing.
  if (single_ && scene_.judge.forgets && next_.value_or(0) == 0) return true;
  if (single_)
    return static_cast<int64_t>(next_.value_or(0)) >
           scene_.judge.last_in_stream(life_, wish_.streams.front());
  return !scene_.judge.is_due(life_, wish_, next_.value_or(1), told_ns_);
}

void HubSubscriber::leave() {
  left_ = true;
  if (live_) {
    live_ = false;
    connection_->close_peer_end();
  }
  for (const HubJudge::Claim& claim : claims_)
    scene_.judge.check(name_, wish_, claim, got_[claim.life]);
}

}  // namespace sluice::sim

#include "tests/sim/hub_publisher.h"

#include <algorithm>
#include <utility>

namespace sluice::sim {

namespace {

constexpr unsigned kTriesMax = 12;
constexpr size_t kTakenMax = 50;

}  // namespace

HubPublisher::HubPublisher(HubScene& scene, size_t number, uint64_t requests, uint64_t pause_ns_max)
    : scene_(scene),
      name_("publisher-" + std::to_string(number)),
      own_stream_("own-" + std::to_string(number)),
      left_(requests),
      pause_ns_max_(pause_ns_max) {
  next();
}

void HubPublisher::wrong(const std::string& what) const {
  violation(name_ + ": " + what);
}

void HubPublisher::next() {
  asking_ = false;
  if (left_ == 0) return;
  --left_;
  asking_ = true;
  scene_.world.after(scene_.world.random.magnitude(1, pause_ns_max_), [this] { act(); });
}

void HubPublisher::ask(const HubCaller::Request& request, std::function<void()> whole,
                       std::function<void(const HubCaller::Answer&)> done) {
  callers_.push_back(
      std::make_unique<HubCaller>(scene_, request, std::move(whole), std::move(done)));
}

void HubPublisher::act() {
  Random& random = scene_.world.random;
  if (random.chance(0.1) && !taken_.empty())
    send_again_what_was_taken();
  else if (random.chance(0.1))
    read_version();
  else if (random.chance(0.1) && !taken_.empty())
    read_back();
  else if (random.chance(0.05))
    store_position();
  else
    send(make());
}

size_t HubPublisher::make_event(const Publish& publish, bool json, std::string& text) {
  Random& random = scene_.world.random;
  HubEvent event{.stream = publish.stream, .data = {}, .json = json};
  size_t number = scene_.judge.add({});
  std::string mark = "#" + std::to_string(number) + "#";
  size_t pad = !scene_.pads ? 0 : random.magnitude(0, random.chance(0.05) ? 4000 : 100);
  if (json)
    event.data = "{\"n\":\"" + mark + "\",\"pad\":\"" + std::string(pad, 'x') + "\"}";
  else
    event.data = mark + (random.chance(0.5) ? "\n" : " ") + std::string(pad, 'y');
  text = event.data;
  scene_.judge.event(number) = std::move(event);
  return number;
}

HubPublisher::Publish HubPublisher::make() {
  Random& random = scene_.world.random;
  Publish publish;
  publish.own = random.chance(0.3);
  publish.stream = publish.own ? own_stream_ : scene_.shared_stream();
  HubCaller::Request& request = publish.request;
  request.method = "POST";
  request.chunked = random.chance(0.3);
  request.stops = random.chance(0.1) ? 1 : 0;
  uint64_t form = random.between(0, 3);  // text, an object, an array, lines
  size_t count = form < 2 ? 1 : random.magnitude(1, random.chance(0.03) ? 700 : scene_.batch_max);
  bool keyed = random.chance(0.4);
  bool with_ids = random.chance(0.3);
  publish.named = keyed || with_ids;
  std::string prefix = name_ + "." + std::to_string(keys_++);
  std::string text;
  for (size_t i = 0; i < count; ++i) {
    size_t number = make_event(publish, form != 0, text);
    publish.events.push_back(number);
    std::string id = prefix + "." + std::to_string(i);
    if (form == 0) {
      request.body = text;
      if (with_ids) publish.query = "&id=" + id;
      continue;
    }
    std::string object = "{\"type\":\"T" + std::to_string(number % 3) + "\",\"data\":" + text;
    if (random.chance(0.3)) {
      std::string category = random.chance(0.5) ? "left" : "right";
      scene_.judge.event(number).correlation = category;
      object += ",\"metadata\":{\"correlationStreamName\":\"" + category + "-1\"}";
    }
    if (with_ids) object += ",\"id\":\"" + id + "\"";
    object += "}";
    request.body += i == 0 ? (form == 2 ? "[" : "") : (form == 2 ? "," : "\n");
    request.body += object;
  }
  if (form == 2) request.body += "]";
  request.fields = form == 0   ? "Content-Type: text/plain\r\n"
                   : form == 3 ? "Content-Type: application/x-ndjson\r\n"
                               : "Content-Type: application/json\r\n";
  if (keyed) request.fields += "Idempotency-Key: " + prefix + "\r\n";
  if (publish.own && random.chance(0.6)) {
    publish.wrong_version = random.chance(0.2);
    if (version_ || publish.wrong_version) {
      publish.expected = publish.wrong_version ? 1'000'000 : *version_;
      publish.query += "&expected_version=" + std::to_string(*publish.expected);
    }
  }
  if (scene_.stored && !scene_.durable && random.chance(0.2)) publish.query += "&ack=disk";
  request.target = "/hub/streams/" + publish.stream;
  if (!publish.query.empty()) request.target += "?" + publish.query.substr(1);
  publish.began_ns = scene_.world.now_ns();
  return publish;
}

void HubPublisher::send(const Publish& publish) {
  for (size_t number : publish.events)
    if (publish.tries > 0) scene_.judge.event(number).refused = false;
  auto whole = [this, events = publish.events] {
    for (size_t number : events) {
      HubEvent& event = scene_.judge.event(number);
      if (event.asked_ns == 0) event.asked_ns = scene_.world.now_ns();
    }
  };
  ask(publish.request, whole,
      [this, publish](const HubCaller::Answer& answer) { on_answer(publish, answer); });
}

void HubPublisher::on_answer(Publish publish, const HubCaller::Answer& answer) {
  Random& random = scene_.world.random;
  if (answer.process != scene_.judge.process()) version_.reset();
  if (answer.status == 201 || answer.status == 200) {
    on_taken(publish, answer);
    if (publish.own && random.chance(0.3))
      read_version();
    else
      next();
    return;
  }
  if (answer.status != 0)
    on_refused(publish, answer);
  else if (!answer.excused)
    wrong("a request gets no answer");
  else if (publish.own)
    version_.reset();
  // Whether it has been taken is not known where it has no answer; only a name makes sure.
  bool final = answer.status == 409 || answer.status == 403 || !publish.named;
  bool in_time = scene_.world.now_ns() < publish.began_ns + scene_.key_window_ns * 8 / 10;
  if (final || !in_time || ++publish.tries > kTriesMax || publish.request.stops > 0) {
    next();
    return;
  }
  scene_.world.after(random.magnitude(kMillisecond, kSecond), [this, publish] { send(publish); });
}

void HubPublisher::on_taken(Publish& publish, const HubCaller::Answer& answer) {
  auto position = static_cast<uint64_t>(number_member(answer.body, "position").value_or(0));
  auto global = static_cast<uint64_t>(number_member(answer.body, "globalPosition").value_or(0));
  auto appended = static_cast<uint64_t>(number_member(answer.body, "appended").value_or(-1));
  size_t count = publish.events.size();
  if (appended != (answer.status == 201 ? count : 0))
    wrong("a batch of " + std::to_string(count) + " is answered with " + answer.body);
  if (answer.status == 200 && publish.tries == 0 && publish.last.global == 0)
    wrong("a new request is taken for one that was sent before: " + answer.body);
  if (publish.wrong_version) wrong("a wrong version is accepted: " + answer.body);
  if (answer.status == 201 && publish.last.global != 0)
    wrong("what was sent again is appended again: " + answer.body);
  if (publish.expected && answer.status == 201 && publish.tries == 0 &&
      static_cast<int64_t>(position) != *publish.expected + static_cast<int64_t>(count))
    wrong("the version was not the expected one: " + answer.body);
  for (size_t i = 0; i < count; ++i)
    scene_.judge.place(answer.life, publish.events[i],
                       {position - (count - 1 - i), global - (count - 1 - i)}, name_.c_str());
  if (answer.process != scene_.judge.process()) return;
  if (publish.own && answer.status == 201) {
    version_ = position;
    version_process_ = answer.process;
  }
  publish.life = answer.life;
  publish.process = answer.process;
  publish.last = {position, global};
  if (taken_.size() < kTakenMax)
    taken_.push_back(std::move(publish));
  else
    taken_[scene_.world.random.between(0, kTakenMax - 1)] = std::move(publish);
}

void HubPublisher::on_refused(Publish& publish, const HubCaller::Answer& answer) {
  int status = answer.status;
  bool known = version_ && version_process_ == answer.process && !scene_.judge.forgets;
  bool excused = answer.excused || scene_.busy;
  bool due = status == 409   ? publish.expected && (publish.wrong_version || !known)
             : status == 429 ? scene_.busy
             : status == 403 ? scene_.judge.forgets || scene_.busy
             : status == 503 ? excused
             : status == 408 ? answer.slow
             : status == 507 ? scene_.stored && scene_.busy
                             : false;
  if (!due) wrong("is refused with " + std::to_string(status) + ": " + answer.body);
  if (status == 409) version_.reset();
  // Of what was sent before, an earlier request may have been taken.
  if (publish.tries > 0) return;
  for (size_t number : publish.events) scene_.judge.event(number).refused = true;
}

void HubPublisher::send_again_what_was_taken() {
  Publish again = taken_[scene_.world.random.between(0, taken_.size() - 1)];
  bool in_time = scene_.world.now_ns() < again.began_ns + scene_.key_window_ns * 9 / 10;
  bool same = again.process == scene_.judge.process() ||
              (scene_.stored && again.life == scene_.judge.life());
  if (!again.named || !in_time || !same || again.tries > 0) {
    next();
    return;
  }
  again.request.stops = 0;
  again.expected.reset();
  ask(
      again.request, [] {},
      [this, again](const HubCaller::Answer& answer) {
        Publish publish = again;
        if (answer.status == 200 || (answer.status == 201 && answer.life == again.life))
          on_taken(publish, answer);
        else if (answer.status != 0 && answer.status != 201 && answer.status != 503 &&
                 answer.status != 507 && answer.status != 409)
          wrong("what was sent again is refused with " + std::to_string(answer.status));
        next();
      });
}

// Whoever was told of a position on one worker finds it on every other.
void HubPublisher::read_version() {
  std::optional<int64_t> least =
      version_process_ == scene_.judge.process() ? version_ : std::nullopt;
  ask(
      {.target = "/hub/streams/" + own_stream_ + "/version"}, [] {},
      [this, least](const HubCaller::Answer& answer) {
        if (answer.status == 0 && !answer.excused) wrong("a version gets no answer");
        std::optional<int64_t> version = number_member(answer.body, "version");
        if (answer.status == 200 && answer.process == scene_.judge.process()) {
          if (least && *version != *least && !scene_.judge.forgets)
            wrong("the version is " + std::to_string(*version) + ", and was " +
                  std::to_string(*least));
          version_ = *version;
          version_process_ = answer.process;
        }
        next();
      });
}

void HubPublisher::read_back() {
  const Publish& taken = taken_.back();
  bool same = taken.process == scene_.judge.process();
  std::string position = std::to_string(taken.last.position);
  std::string mark = "#" + std::to_string(taken.events.back()) + "#";
  ask(
      {.target = "/hub/streams/" + taken.stream + "/messages?position=" + position + "&batch=3"},
      [] {},
      [this, same, mark](const HubCaller::Answer& answer) {
        bool there = answer.body.find(mark) != answer.body.npos;
        bool counts = answer.status == 200 && same && answer.process == scene_.judge.process();
        if (counts && !there && !scene_.judge.evicts && !scene_.judge.forgets)
          wrong("what was taken is not there: " + answer.body);
        next();
      });
}

void HubPublisher::store_position() {
  ++consumed_;
  HubCaller::Request put{.method = "PUT",
                         .target = "/hub/consumers/" + name_,
                         .body = "{\"position\":" + std::to_string(consumed_) + "}"};
  ask(
      put, [] {},
      [this, stored = consumed_](const HubCaller::Answer& answer) {
        if (answer.status != 200) {
          if (!answer.excused && !scene_.busy)
            wrong("a position is not stored: " + std::to_string(answer.status) + answer.body);
          next();
          return;
        }
        ask(
            {.target = "/hub/consumers/" + name_}, [] {},
            [this, stored, process = answer.process](const HubCaller::Answer& read) {
              bool counts = read.status != 0 && (read.process == process || scene_.durable);
              if (counts && process != read.process && read.status == 503) counts = false;
              if (counts &&
                  (read.status != 200 ||
                   number_member(read.body, "position") != static_cast<int64_t>(stored)) &&
                  !(read.status == 503 && scene_.busy) && !read.excused)
                wrong("a position that was stored is read as " + read.body);
              next();
            });
      });
}

}  // namespace sluice::sim

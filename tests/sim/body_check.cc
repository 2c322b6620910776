#include "tests/sim/body_check.h"

#include <algorithm>
#include <string>

#include "tests/sim/world.h"

namespace sluice::sim {

namespace {

constexpr std::string_view kHeartbeat = ": heartbeat\n\n";

}  // namespace

BodyCheck::BodyCheck(const Script& script, const StreamSettings& settings, bool early)
    : script_(script),
      framed_(script.event_stream && settings.framing != EventFraming::kOff),
      beats_(settings.heartbeat_ms > 0),
      early_(early),
      promised_(!early || (script.event_stream && script.status == 200)) {}

// A line ends with its CR; a LF may still follow (html.spec.whatwg.org 9.2.6).
bool BodyCheck::at_boundary() const {
  const std::vector<size_t>& ends = script_.boundaries;
  const bool before_lf = at_ > 0 && at_ < script_.body.size() && script_.body[at_ - 1] == '\r' &&
                         script_.body[at_] == '\n';
  return heartbeat_ == 0 && (std::binary_search(ends.begin(), ends.end(), at_) ||
                             (before_lf && std::binary_search(ends.begin(), ends.end(), at_ + 1)));
}

bool BodyCheck::complete_up_to(size_t sent) const {
  const std::vector<size_t>& ends = script_.boundaries;
  size_t whole = *(std::upper_bound(ends.begin(), ends.end(), sent) - 1);
  // A byte order mark waits for the line that it stands before.
  return at_ >= whole || (script_.marked && whole == kByteOrderMark.size());
}

bool BodyCheck::may_beat() const {
  if (!beats_) return false;
  if (heartbeat_ > 0 || (early_ && at_ == start_)) return true;
  return framed_ && at_boundary();
}

BodyCheck::Fed BodyCheck::feed(std::string_view bytes) {
  Fed fed;
  for (char c : bytes) {
    if (may_beat() && c == kHeartbeat[heartbeat_]) {
      heartbeat_ = (heartbeat_ + 1) % kHeartbeat.size();
      if (heartbeat_ != 0) continue;
      fed.heartbeats = true;
      // It would be content behind a heartbeat.
      if (at_ == 0 && script_.marked) at_ = start_ = kByteOrderMark.size();
      continue;
    }
    if (heartbeat_ > 0) own_comment();
    if (!promised_) violation("script " + std::to_string(script_.id) + " is no event stream");
    if (heartbeat_ > 0 || at_ == script_.body.size() || script_.body[at_] != c)
      violation("script " + std::to_string(script_.id) + ": byte " + std::to_string(at_) + " of " +
                std::to_string(script_.body.size()) + " is not the upstream's");
    ++at_;
    fed.others = true;
  }
  return fed;
}

// What began like a heartbeat was a comment of the script's, if there is one here.
void BodyCheck::own_comment() {
  if (script_.body.compare(at_, heartbeat_, kHeartbeat, 0, heartbeat_) != 0) return;
  at_ += heartbeat_;
  heartbeat_ = 0;
}

}  // namespace sluice::sim

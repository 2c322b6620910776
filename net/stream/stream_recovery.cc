// What a stream does when an attempt fails: before its client has content another upstream may
// answer; behind that the stream may be resumed. All decisions are here; net/base/failure.h is
// their table.
#include <algorithm>
#include <utility>

#include "core/clock.h"
#include "net/http/semantics.h"
#include "net/stream/stream.h"
#include "net/stream/streams.h"

namespace sluice {

bool Stream::may_heal() const {
  return settings().heal != Heal::kOff && settings().framing == EventFraming::kEvent &&
         facts_.method() == "GET";
}

// What a stale connection may have to send again has a bound of its own.
uint64_t Stream::kept_body_max() const {
  bool may_be_stale = attempt_.reused && !attempt_.response_begun && repeatable_ && !retried_;
  uint64_t most = keeps_until_content_ ? settings().retry_buffer : 0;
  return may_be_stale || keeps_request_ ? std::max<uint64_t>(most, limits::kRequestWindow) : most;
}

bool Stream::at_hand() const {
  if (owns_head()) return true;
  if (!outgoing_ || !outgoing_->bytes.kept_for_replay()) return false;
  return keeps_request_ ||
         (keeps_until_content_ && outgoing_->bytes.kept_body_bytes() <= settings().retry_buffer);
}

void Stream::lose_attempt(Ending ending, const char* reason, bool nothing_sent) {
  if (is_over()) {
    end_behind_last_event(ending);
    return;
  }
  Failure failure = failure_of(ending, reason);
  bool goes_on =
      without_content() ? fail_over(failure, ending, nothing_sent) : heal(failure, ending);
  if (!goes_on) give_up(ending, reason);
}

// What another upstream has said is a better answer than that this one has said nothing.
void Stream::give_up(Ending ending, const char* reason) {
  if (!head_queued_ && recovery_ && recovery_->kept)
    give_kept_answer(ending);
  else if (!head_queued_ && recovery_ && recovery_->answered != 0)
    refuse(recovery_->answered, ending_detail(ending), ending, reason);
  else
    fail(ending, reason);
}

void Stream::lose_silent_attempt(Ending ending) {
  lose_attempt(ending, "", phase_ <= Phase::kConnecting);
}

// --- before content ---

// To another upstream of the group, where none can have executed the request twice to any harm.
// `answer`: one that says that it was not executed, or that twice does no harm; an error event that
// a gate holds says the same, and is no answer to keep.
bool Stream::fail_over(Failure failure, Ending ending, bool nothing_sent, const Head* answer) {
  bool harmless = nothing_sent || repeatable_ || failure == Failure::kStatus;
  if (!fails_over(failure) || !harmless || !(nothing_sent || at_hand())) return false;
  uint64_t tried = (recovery_ ? recovery_->tried : 0) | uint64_t{1} << upstream_index;
  if ((recovery_ ? recovery_->retries : 0) >= settings().retries) return false;
  std::optional<uint32_t> other = another_upstream(tried);
  if (!other) return false;
  if (!streams_.retry_budget().take_retry(route_->upstreams[*other].id)) {
    ++context().metrics.retries_denied;
    return false;
  }
  ++recovery().retries;
  recovery_->tried = tried;
  recovery_->failure = failure;
  recovery_->lost_by = failure == Failure::kStatus ? Ending::kUnavailable : ending;
  recovery_->next_attempt_ms = attempt_.upstream ? 0 : loop().now_ms() + 1;
  end_attempt(ending);
  if (waits_for_connection()) streams_.upstreams().forget(*this);
  if (answer) keep_answer(*answer);
  upstream_index = *other;
  leave_attempt();
  return true;
}

bool Stream::fails_over_from(const Head& head) {
  const Statuses& named = repeatable_ ? settings().retry_on : settings().retry_on_post;
  if (std::ranges::count(named, head.status()) == 0) return false;
  if (fail_over(Failure::kStatus, Ending::kComplete, /*nothing_sent=*/false, &head)) return true;
  if (!has_better_answer(head.status())) return false;
  give_kept_answer(Ending::kComplete);
  return true;
}

bool Stream::has_better_answer(int status) const {
  return !head_queued_ && recovery_ && recovery_->kept &&
         recovery_->kept->rank() > answer_rank(status);
}

// Of two that are alike the later one counts. With a request that is still arriving, its attempt
// would have to be served for longer.
void Stream::keep_answer(const Head& head) {
  if (recovery_->answered == 0 || answer_rank(head.status()) >= answer_rank(recovery_->answered))
    recovery_->answered = static_cast<uint16_t>(head.status());
  if (head_queued_ || has_better_answer(head.status()) || !request_arrived_) return;
  uint64_t until_ms = loop().now_ms() + limits::kKeptAnswerMs;
  recovery_->arriving = KeptAnswer::of(context().memory_limit, head, upstream_index, until_ms);
  if (recovery_->arriving) loop().timers().schedule_earlier(timer_, until_ms);
}

void Stream::append_answer(std::string_view bytes) {
  if (!recovery_->arriving->append(bytes)) drop_arriving_answer();
}

// Too large, too slow, or cut off.
void Stream::drop_arriving_answer() {
  recovery_->arriving.reset();
  if (attempt_.upstream) attempt_.upstream->cancel();
}

void Stream::give_kept_answer(Ending ending) {
  std::unique_ptr<KeptAnswer> answer = std::move(recovery_->kept);
  let_go_of_upstream(ending);
  upstream_index = answer->upstream();
  commit_response(answer->head());
  if (phase_ == Phase::kDraining) return;  // there was no memory for its head
  response_.append_own(answer->body());
  response_body_bytes_ += answer->body().size();
  on_over();
}

// The choice is made, but not taken yet.
std::optional<uint32_t> Stream::another_upstream(uint64_t tried) {
  if (route_->upstreams.size() == 1 || drains()) return {};
  uint32_t mine = upstream_index;
  bool found = streams_.upstreams().choose(*this, tried);
  uint32_t other = std::exchange(upstream_index, mine);
  return found ? std::optional(other) : std::nullopt;
}

// The upstream was chosen when the last attempt failed. It may have been ejected since, or another
// request may have begun to try it. False: no other is left, and the client has its answer.
bool Stream::begin_retry() {
  if (!streams_.upstreams().stands(*this)) {
    std::optional<uint32_t> other = another_upstream(recovery_->tried);
    if (!other) {
      give_up(recovery_->lost_by, "no_other_upstream");
      return false;
    }
    upstream_index = *other;
  }
  ++context().metrics.retries[static_cast<unsigned>(recovery_->failure)];
  return true;
}

// There is content now, or will be: what was kept for another upstream goes, unless the stream may
// be resumed.
void Stream::settle_request() {
  notes_ids_ = framed_ && owns_head() && may_heal();
  if (recovery_) {
    recovery_->tried = 0;
    recovery_->kept.reset();
  }
  bool kept = keeps_until_content_ && !keeps_request_;
  keeps_until_content_ = false;
  if (!kept) return;
  keep_no_request();
  if (!notes_ids_) give_head_back();
}

// --- behind it ---

// False: it cannot be resumed, or no longer.
bool Stream::heal(Failure failure, Ending ending, std::optional<uint64_t> retry_after_ms) {
  if (!notes_ids_ || !heals(failure) || attempt_.torn) return false;
  Healing* known = healing();
  if (!owns_head() || !known || !known->can_ask()) return false;
  Healing& healing = *known;
  Metrics& metrics = context().metrics;
  uint64_t now_ms = loop().now_ms();
  healing.breaks(now_ms, ending);
  uint64_t due_ms =
      now_ms + std::max<uint64_t>(
                   healing.wait_ms(recovery_->retry_ms, retry_after_ms, streams_.random()), 1);
  if (due_ms >= healing.broken_since_ms + settings().heal_for_ms) {
    ++metrics.heals[static_cast<unsigned>(HealResult::kGivenUp)];
    return false;
  }
  ++metrics.heal_attempts[static_cast<unsigned>(failure)];
  end_attempt(ending);
  resumes_ = false;
  recovery_->tried |= uint64_t{1} << upstream_index;
  recovery_->next_attempt_ms = due_ms;
  recovery_->not_before_ms =
      retry_after_ms ? due_ms : now_ms + healing.asked_ms(recovery_->retry_ms);
  recovery_->paced = false;
  leave_attempt();
  return true;
}

void Stream::give_up_healing() {
  ++context().metrics.heals[static_cast<unsigned>(HealResult::kGivenUp)];
  Ending by = recovery_->healing->broken_by;
  fail(by == Ending::kComplete ? Ending::kUnavailable : by, "not_healed");
}

// It may be long until then. A head that is written anew need not hold a slot as long.
void Stream::await_attempt() {
  clear_attempt();
  if (owns_head()) outgoing_.reset();
  if (healing_waits() && recovery_->not_before_ms < recovery_->next_attempt_ms)
    streams_.healing_waits().add(upstream().id, *recovery_);
  set_phase(Phase::kHealing);
}

void Stream::end_wait() {
  if (recovery_ && recovery_->in_wait.linked())
    streams_.healing_waits().remove(upstream().id, *recovery_);
}

// It has left the list of those that wait.
void Stream::on_upstream_back() {
  recovery_->tried &= ~(uint64_t{1} << upstream_index);
  recovery_->next_attempt_ms = std::max(recovery_->not_before_ms, loop().now_ms() + 1);
  loop().timers().schedule_earlier(timer_, recovery_->next_attempt_ms);
}

void Stream::on_attempt_due() {
  end_wait();
  if (healing_waits() && waits_for_pace()) return;
  recovery_->next_attempt_ms = 0;
  begin_next_attempt();
}

// Another upstream of the group comes first. Where all have been tried, all may be again.
void Stream::choose_for_reconnect() {
  std::optional<uint32_t> other = another_upstream(recovery_->tried);
  if (!other) {
    recovery_->tried = 0;
    other = another_upstream(0);
  }
  upstream_index = other.value_or(upstream_index);
}

// Its turn at an upstream may come late, and that upstream have been ejected by then: it chooses
// again, and waits for its turn at the other one.
bool Stream::waits_for_pace() {
  uint32_t paced_for = upstream_index;
  if (!recovery_->paced || !streams_.upstreams().stands(*this)) choose_for_reconnect();
  if (recovery_->paced && upstream_index == paced_for) return false;
  uint64_t now_ms = loop().now_ms();
  uint64_t given_up_ms = recovery_->healing->broken_since_ms + settings().heal_for_ms;
  UpstreamHealth& health = context().snapshot->board().health(upstream().id);
  recovery_->next_attempt_ms = health.take_reconnect(settings().heal_rate, now_ms, given_up_ms);
  recovery_->paced = true;
  if (recovery_->next_attempt_ms <= now_ms) return false;
  ++context().metrics.heal_attempts_paced;
  return true;
}

// The answer to a reconnect.
void Stream::on_comeback(const Head& head) {
  auto count = [this](HealResult result) {
    ++context().metrics.heals[static_cast<unsigned>(result)];
  };
  switch (comeback_of(head.status(), head.status() == 200 && brings_events(head))) {
    case Comeback::kResumed:
      count(HealResult::kResumed);
      recovery_->healing->resumes(loop().now_ms());
      recovery_->tried = 0;
      streams_.upstream_back(upstream().id);
      // Of ids that name several events each, none tells what has come before.
      resumes_ = !recovery_->healing->ids.repeat();
      no_transform_ |= has_no_transform(head);
      set_phase(Phase::kFirstEvent);
      break;
    case Comeback::kOver:
      count(HealResult::kEnded);
      on_over();
      break;
    case Comeback::kNotYet: {
      std::optional<uint64_t> wait_ms = retry_after_ms(head, wall_clock_ms());
      end_attempt(Ending::kComplete);
      if (!heal(Failure::kStatus, Ending::kUpstreamBadResponse, wait_ms))
        fail(Ending::kUpstreamBadResponse, "not_healed");
      break;
    }
    case Comeback::kNever:
      count(HealResult::kRefused);
      fail(Ending::kUpstreamBadResponse, "heal_refused");
      break;
  }
}

}  // namespace sluice

#include "tests/sim/failover_judge.h"

#include <algorithm>
#include <numeric>

#include "net/base/limits.h"

namespace sluice::sim {

namespace {

// For what is on its way when a mood changes.
constexpr uint64_t kSettledNs = 2 * kSecond;
constexpr uint64_t kSlackNs = 10 * kSecond;
// An answer that takes no longer is kept, whatever the network adds.
constexpr uint64_t kQuickNs = limits::kKeptAnswerMs * kMillisecond / 3;

// Which of two answers a client should rather get.
int rank_of(int status) {
  constexpr int kBestLast[] = {503, 429};
  const int* at = std::ranges::find(kBestLast, status);
  return at == std::end(kBestLast) ? 0 : 1 + static_cast<int>(at - kBestLast);
}

}  // namespace

FailoverJudge::FailoverJudge(FailoverScene& scene, CheckedGateway& gateway)
    : scene_(scene), gateway_(gateway), ids_(scene.servers.size()), watched_(scene.servers.size()) {
  for (size_t i = 0; i < scene.routes.size(); ++i)
    for (size_t k = 0; k < scene.groups[i].size(); ++k)
      ids_[scene.groups[i][k]] =
          gateway.snapshot().find_upstream(scene.routes[i].upstreams[k].url).value();
}

uint64_t FailoverJudge::retries() const {
  const auto& by_failure = gateway_.metrics().retries;
  return std::accumulate(by_failure.begin(), by_failure.end(), uint64_t{0});
}

uint64_t FailoverJudge::begun(size_t server) const {
  const auto& upstreams = gateway_.metrics().upstreams;
  return ids_[server] < upstreams.size() ? upstreams[ids_[server]].begun : 0;
}

uint64_t FailoverJudge::attempts() const {
  uint64_t sum = 0;
  for (size_t i = 0; i < scene_.servers.size(); ++i) sum += begun(i);
  return sum;
}

UpstreamState FailoverJudge::state(size_t server) const {
  return health(server).state(scene_.world.now_ns() / kMillisecond);
}

std::string FailoverJudge::text_of(size_t server) const {
  return "upstream " + std::to_string(server) + " (" + mood_name(scene_.servers[server].mood) + ")";
}

// --- a request ---

void FailoverJudge::on_request(FailoverRequest& request) {
  request.denied_before = gateway_.metrics().retries_denied;
}

uint64_t FailoverJudge::bound_ns(const FailoverRequest& request) const {
  const StreamSettings& settings = scene_.settings(request);
  uint64_t attempt_ms = 2 * settings.connect_timeout_ms + settings.first_byte_timeout_ms;
  // A stale connection is one more attempt.
  return (settings.retries + 2) * attempt_ms * kMillisecond + kSlackNs;
}

bool FailoverJudge::well(size_t server, const FailoverRequest& request) const {
  const Server& its = scene_.servers[server];
  return its.mood == Mood::kWell && its.since_ns + kSettledNs < request.began_ns &&
         state(server) == UpstreamState::kClosed && watched_[server].out_ns < request.began_ns;
}

bool FailoverJudge::unreachable(size_t server, const FailoverRequest& request) const {
  const Server& its = scene_.servers[server];
  return (its.mood == Mood::kRefuses || its.mood == Mood::kIgnores) &&
         its.since_ns + kSettledNs < request.began_ns;
}

// Some upstream of its group was there and well from before it began until now, and the request may
// be tried often enough to reach it, whatever the others do. A limit of connections, which holds
// for all routes of an upstream, may make it wait for too long.
bool FailoverJudge::must_succeed(const FailoverRequest& request) const {
  const std::vector<size_t>& group = scene_.groups[request.route];
  const StreamSettings& settings = scene_.settings(request);
  size_t good = 0;
  size_t unreached = 0;
  for (size_t server : group) {
    good += well(server, request) ? 1 : 0;
    unreached += unreachable(server, request) ? 1 : 0;
  }
  size_t others = group.size() - good;
  auto limited = [](const Route& route) { return route.settings.upstream_max_connections != 0; };
  if (good == 0 || std::ranges::any_of(scene_.routes, limited)) return false;
  if (others == 0 || good + unreached == group.size())
    return others == 0 || (others <= settings.retries &&
                           request.denied_before == gateway_.metrics().retries_denied);
  bool kept = !request.has_body || request.body_bytes <= settings.retry_buffer;
  return request.repeatable && kept && others <= settings.retries &&
         request.denied_before == gateway_.metrics().retries_denied;
}

void FailoverJudge::on_end(const FailoverRequest& request, const FailoverOutcome& outcome) const {
  if (outcome.left) return;
  std::string name = request.method + " " + std::to_string(request.number);
  auto status = static_cast<uint16_t>(outcome.status);
  bool ours = outcome.answer.empty();
  bool retried = scene_.retried(request, status);
  auto says = [&](const FailoverAnswer& answer) { return answer.status == outcome.status; };
  bool theirs_too = std::ranges::any_of(request.answers, says);
  if (scene_.world.now_ns() > request.began_ns + bound_ns(request))
    violation(name + " is answered long after all its time-outs");
  if (outcome.status == 0) violation(name + " gets no answer");
  if (!ours && !theirs_too) violation(name + " gets an answer that nobody gave to it");
  if (ours && status != 502 && status != 503 && status != 504 && !theirs_too)
    violation(name + " gets an answer that is nobody's: " + std::to_string(status));
  auto is_whole = [](const FailoverAnswer& answer) { return answer.whole; };
  auto is_there = [&](const FailoverAnswer& answer) {
    return answer.whole || (answer.head_read && scene_.retried(request, answer.status));
  };
  if (ours && !theirs_too && std::ranges::any_of(request.answers, is_there))
    violation(name + " gets an answer that we made up, in place of an upstream's");
  for (const FailoverAnswer& answer : request.answers) {
    bool quick = answer.small && answer.whole && answer.lasted_ns <= kQuickNs && !request.has_body;
    if (quick && ours) violation(name + " gets an answer of ours, and an upstream's was there");
    if (quick && retried && outcome.whole && rank_of(status) < rank_of(answer.status))
      violation(name + " gets " + std::to_string(status) + ", and " +
                std::to_string(answer.status) + " was there");
  }
  if (!outcome.whole && std::ranges::all_of(request.answers, is_whole))
    violation(name + " gets a part of an answer, and its upstream gave all of it");
  bool error = ours || retried;
  if (error && must_succeed(request))
    violation(name + " gets " + std::to_string(status) + ", and an upstream was well all the time");
}

// --- a turn ---

void FailoverJudge::before_turn() {
  for (size_t i = 0; i < watched_.size(); ++i) {
    watched_[i].before = state(i);
    watched_[i].begun = begun(i);
  }
  stale_before_ = gateway_.metrics().upstream_retries;
  denied_before_ = gateway_.metrics().retries_denied;
}

bool FailoverJudge::alone_in_some_group(size_t server) const {
  return std::ranges::any_of(
      scene_.groups, [server](const auto& group) { return group == std::vector<size_t>{server}; });
}

void FailoverJudge::after_turn() {
  const Metrics& metrics = gateway_.metrics();
  // One that is chosen anew for a stale connection has been chosen before.
  uint64_t stale = metrics.upstream_retries - stale_before_;
  for (size_t i = 0; i < watched_.size(); ++i) {
    Watched& watched = watched_[i];
    UpstreamState now = state(i);
    uint64_t under_way = gateway_.snapshot().board().outstanding(ids_[i]);
    if (now == UpstreamState::kClosed) {
      watched.old_ones_over = false;
      continue;
    }
    watched.out_ns = scene_.world.now_ns();
    watched.old_ones_over |= under_way == 0;
    if (alone_in_some_group(i)) continue;
    uint64_t begun_now = begun(i) - watched.begun;
    bool open = watched.before == UpstreamState::kOpen && now == UpstreamState::kOpen;
    if (open && begun_now > stale) violation(text_of(i) + " gets a request while it is ejected");
    if (watched.old_ones_over && under_way > 1)
      violation(text_of(i) + " is tried by several requests at a time");
  }
  // One is counted when it begins, which is after it was decided, or never: where its client has
  // left by then, or no upstream is there any more.
  uint64_t complete = metrics.endings[static_cast<unsigned>(Ending::kComplete)];
  uint64_t decided_at_most = retries() + metrics.streams_started - complete;
  if (metrics.retries_denied > denied_before_ && decided_at_most < limits::kRetriesAtFirst)
    violation("a retry is denied, and no budget can be used up");
}

// --- all of it ---

bool FailoverJudge::backup_everywhere(size_t server) const {
  for (size_t i = 0; i < scene_.routes.size(); ++i)
    for (size_t k = 0; k < scene_.groups[i].size(); ++k) {
      const auto& upstreams = scene_.routes[i].upstreams;
      bool primary = std::ranges::all_of(upstreams, &Upstream::backup) || !upstreams[k].backup;
      if (scene_.groups[i][k] == server && primary) return false;
    }
  return true;
}

bool FailoverJudge::gets_requests(size_t server) const {
  for (size_t i = 0; i < scene_.routes.size(); ++i)
    for (size_t k = 0; k < scene_.groups[i].size(); ++k) {
      const Route& route = scene_.routes[i];
      bool by_key = route.settings.balance.method == Balance::Method::kHash;
      if (scene_.groups[i][k] == server && !by_key && !route.upstreams[k].backup) return true;
    }
  return false;
}

void FailoverJudge::at_end() const {
  const Metrics& metrics = gateway_.metrics();
  uint64_t requests = scene_.requests.size();
  bool all_asked = std::ranges::none_of(scene_.requests, &FailoverRequest::leaves);
  uint64_t caused = requests + retries() + metrics.upstream_retries;
  if (all_asked ? attempts() != caused : attempts() > caused)
    violation(std::to_string(attempts()) + " attempts, " + std::to_string(requests) +
              " requests, " + std::to_string(retries()) + " retries and " +
              std::to_string(metrics.upstream_retries) + " stale connections");
  uint64_t budget = scene_.servers.size() * limits::kRetriesAtFirst;
  if (retries() > budget + requests / limits::kRequestsPerRetry)
    violation(std::to_string(retries()) + " retries of " + std::to_string(requests) + " requests");
  std::vector<uint64_t> seen(scene_.servers.size());
  for (const FailoverRequest& request : scene_.requests)
    for (size_t i = 1; i < request.readers.size(); ++i)
      if (request.readers[i].server != request.readers[i - 1].server)
        ++seen[request.readers[i].server];
  for (size_t i = 0; i < seen.size(); ++i)
    if (seen[i] > limits::kRetriesAtFirst + begun(i) / limits::kRequestsPerRetry)
      violation(text_of(i) + " gets " + std::to_string(seen[i]) + " retries among " +
                std::to_string(begun(i)) + " attempts");
  if (std::accumulate(seen.begin(), seen.end(), uint64_t{0}) > retries())
    violation("upstreams have seen more retries than are counted");
  uint64_t ejections = 0;
  for (size_t i = 0; i < seen.size(); ++i) ejections += health(i).ejections_noted;
  if (ejections + retries() > 0) return;
  for (size_t i = 0; i < seen.size(); ++i)
    if (backup_everywhere(i) && begun(i) > 0)
      violation(text_of(i) + " is a backup, and gets requests while all others are there");
}

}  // namespace sluice::sim

#include "tests/sim/kernel_state.h"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace sluice::sim {

namespace {

constexpr std::array<const char*, 6> kKindNames{"accept", "connect", "recv",
                                                "send",   "poll",    "cancel"};
constexpr int kFirstFd = 10;
constexpr uint64_t kTurnCostNsMax = 50 * kMicrosecond;
constexpr uint64_t kLateNsMax = 3 * kMillisecond;
constexpr uint64_t kSettledNs = 400 * kMillisecond;
constexpr uint64_t kDeferNsMax = 500 * kMicrosecond;
constexpr unsigned kIdleTurnsMax = 100;

}  // namespace

std::string name(const Op& op) {
  return std::string(kKindNames[static_cast<size_t>(op.kind)]) + " on fd " + std::to_string(op.fd);
}

int Kernel::State::new_fd(Socket socket) {
  int fd = kFirstFd;
  while (sockets.contains(fd)) ++fd;  // the lowest, as ever
  sockets.emplace(fd, std::move(socket));
  return fd;
}

Socket& Kernel::State::socket(int fd) {
  auto found = sockets.find(fd);
  if (found == sockets.end()) violation("fd " + std::to_string(fd) + " is not open");
  return found->second;
}

void Kernel::State::post(Op& op, int32_t result, bool more, const Buffer* buffer) {
  Posted posted{{op.id, result, more ? Completion::kMore : 0}, -1, op.fd};
  if (buffer) {
    posted.completion.flags |= Completion::kHasBuffer | uint32_t{buffer->id}
                                                            << Completion::kBufferIdShift;
    posted.group = op.group;
    ++groups[op.group].on_their_way;
  }
  if (!more) ++ended_unseen;
  world.trace("  kernel: %s: %d%s%s", name(op).c_str(), result, more ? ", more" : "",
              buffer ? ", with a buffer" : "");
  uint64_t at_ns = std::max(op.posted_until_ns, world.now_ns());
  // A buffer is picked when its completion is posted (so that a group that is emptied has none
  // on their way but those in the queue), which a receive that is put off shows as well.
  if (op.kind != Kind::kRecv && random().chance(liberties.late_completion))
    at_ns += random().magnitude(1, kLateNsMax);
  op.posted_until_ns = at_ns;
  if (at_ns == world.now_ns()) {
    completions.push_back(posted);
  } else {
    ++late;
    world.after(at_ns - world.now_ns(), [this, posted] {
      --late;
      completions.push_back(posted);
    });
  }
  if (completions.size() > liberties.completion_entries) ++overflows;
}

void Kernel::State::submit() {
  size_t count = queued.size();
  if (count == 0) return;
  if (overflown() || (!completions.empty() && random().chance(liberties.busy))) {
    ++busy;
    if (overflown() || random().chance(0.5)) return;
    count = random().between(0, count);
  }
  for (; count > 0; --count) {
    Op op = std::move(queued.front());
    queued.pop_front();
    if (op.kind == Kind::kCancel)
      cancel(op);
    else
      pending.push_back(std::move(op));
  }
}

void Kernel::State::cancel(Op& op) {
  auto target = std::find_if(pending.begin(), pending.end(),
                             [&op](const Op& other) { return other.id == op.target; });
  if (target == pending.end() || random().chance(liberties.unfound)) {
    post(op, -ENOENT, false);
    return;
  }
  // It may be running: then it ends with what it has.
  bool running = random().chance(liberties.data_on_cancel);
  if (running)
    attempt(*target, true);
  else
    post(*target, -ECANCELED, false);
  pending.erase(target);
  post(op, running ? -EALREADY : 0, false);
}

void Kernel::State::progress() {
  std::vector<std::list<Op>::iterator> order;
  // One of several kernels is looked at often, so the others are left out at once.
  for (auto op = pending.begin(); op != pending.end(); ++op)
    if (waits || ready(*op)) order.push_back(op);
  for (size_t i = order.size(); i > 1; --i)
    std::swap(order[i - 1], order[random().between(0, i - 1)]);
  for (auto op : order) {
    if (!ready(*op)) continue;
    if (random().chance(liberties.defer))
      look_again();
    else if (attempt(*op, false))
      pending.erase(op);
  }
}

void Kernel::State::look_again() {
  if (std::exchange(looks_again, true)) return;
  world.after(random().magnitude(1, kDeferNsMax), [this] { looks_again = false; });
}

void Kernel::State::wait(uint64_t timeout_ns, uint64_t gather_ns) {
  last_timeout_ns = timeout_ns;
  idle_turns = timeout_ns > 0 ? 0 : idle_turns + 1;
  if (idle_turns > kIdleTurnsMax) violation("the loop turns without waiting, and has no news");
  world.advance_to(world.now_ns() + random().between(1, kTurnCostNsMax));
  if (random().chance(liberties.stopped)) {
    uint64_t stopped_ns = random().magnitude(1, liberties.stopped_ns_max);
    world.trace("the process stands still for %.3f s", static_cast<double>(stopped_ns) / 1e9);
    // Soon after another time, what came during that one may not have been heard of yet.
    if (stood_still.ended_ns == 0 || world.now_ns() > stood_still.ended_ns + kSettledNs)
      stood_still.began_ns = world.now_ns();
    world.advance_to(world.now_ns() + stopped_ns);
    stood_still.ended_ns = world.now_ns();
  }
  submit();
  progress();
  uint64_t deadline_ns = world.now_ns() + timeout_ns;
  uint64_t gathers_until_ns = world.now_ns() + std::min(gather_ns, timeout_ns);
  while (waits && timeout_ns > 0 && !woken &&
         (completions.empty() || world.now_ns() < gathers_until_ns)) {
    uint64_t until_ns = completions.empty() ? deadline_ns : gathers_until_ns;
    uint64_t next_ns = std::min(world.next_ns(), until_ns);
    world.advance_to(next_ns);
    progress();
    if (next_ns == until_ns) break;
  }
  woken = false;
}

size_t Kernel::State::reap(std::span<Completion> into) {
  size_t count = std::min(into.size(), completions.size());
  if (count > 0) idle_turns = 0;
  for (size_t i = 0; i < count; ++i) {
    const Posted& posted = completions.front();
    if (posted.group >= 0) --groups[static_cast<size_t>(posted.group)].on_their_way;
    if (!posted.completion.more()) --ended_unseen;
    into[i] = posted.completion;
    completions.pop_front();
  }
  return count;
}

}  // namespace sluice::sim

#include "net/upstream/balance.h"

#include <array>
#include <cmath>

#include "core/text.h"
#include "net/base/limits.h"

namespace sluice {

namespace {

// As if it had the request already, so that an upstream of little weight is not first whenever it
// has none.
double load_of(const Candidate& candidate, const UpstreamBoard& board) {
  return static_cast<double>(board.outstanding(candidate.id) + 1) / candidate.weight;
}

// Weighted rendezvous hashing: each upstream draws a number from the key, and the largest wins. So
// an upstream that comes or goes moves only the keys that it gets or had.
double draw(const Candidate& candidate, uint64_t key) {
  constexpr double kOf53Bits = 0x1p-53;
  uint64_t bits = mix(key ^ candidate.url_hash) >> 11;
  return -candidate.weight / std::log((static_cast<double>(bits) + 0.5) * kOf53Bits);
}

}  // namespace

const Candidate& Balancer::pick(const Route& route, std::span<const Candidate> candidates,
                                std::optional<uint64_t> key, const UpstreamBoard& board) {
  if (candidates.size() == 1) return candidates.front();
  switch (route.settings.balance.method) {
    case Balance::Method::kRoundRobin:
      return pick_in_turn(candidates, turns_of(route), route.upstreams.size());
    case Balance::Method::kRandomTwo:
      return pick_of_two(candidates, board);
    case Balance::Method::kHash:
      if (key) return pick_by_hash(candidates, *key, board);
      break;
    case Balance::Method::kLeast:
      break;
  }
  return pick_least(candidates, board, turns_of(route));
}

Balancer::Turns& Balancer::turns_of(const Route& route) {
  if (turns_.size() <= route.id) turns_.resize(route.id + 1);
  return turns_[route.id];
}

// Ties in turn.
const Candidate& Balancer::pick_least(std::span<const Candidate> candidates,
                                      const UpstreamBoard& board, Turns& turns) {
  size_t first = turns.next++ % candidates.size();
  size_t best = first;
  double least = load_of(candidates[first], board);
  for (size_t i = 1; i < candidates.size(); ++i) {
    size_t at = (first + i) % candidates.size();
    double load = load_of(candidates[at], board);
    if (load >= least) continue;
    least = load;
    best = at;
  }
  return candidates[best];
}

// Smooth: a heavy upstream's turns lie between those of others. Each is due its weight more, and
// whoever is due most pays for all.
const Candidate& Balancer::pick_in_turn(std::span<const Candidate> candidates, Turns& turns,
                                        size_t group_size) {
  if (turns.shares.size() != group_size) turns.shares.assign(group_size, 0);
  double total = 0;
  const Candidate* best = &candidates.front();
  for (const Candidate& candidate : candidates) {
    double& due = turns.shares[candidate.index];
    due += candidate.weight;
    total += candidate.weight;
    if (due > turns.shares[best->index]) best = &candidate;
  }
  turns.shares[best->index] -= total;
  return *best;
}

const Candidate& Balancer::pick_of_two(std::span<const Candidate> candidates,
                                       const UpstreamBoard& board) {
  size_t one = random_.between(0, candidates.size() - 1);
  size_t other = random_.between(0, candidates.size() - 2);
  if (other >= one) ++other;
  bool less = load_of(candidates[one], board) <= load_of(candidates[other], board);
  return candidates[less ? one : other];
}

// The largest draw among those with room. There is always one: not all have more than the mean.
const Candidate& Balancer::pick_by_hash(std::span<const Candidate> candidates, uint64_t key,
                                        const UpstreamBoard& board) {
  std::array<double, limits::kUpstreamsMax> outstanding;
  double total = 1;  // with this request
  double weights = 0;
  for (size_t i = 0; i < candidates.size(); ++i) {
    outstanding[i] = static_cast<double>(board.outstanding(candidates[i].id));
    total += outstanding[i];
    weights += candidates[i].weight;
  }
  const Candidate* best = &candidates.front();
  double largest = -1;
  for (size_t i = 0; i < candidates.size(); ++i) {
    double room = std::ceil(limits::kHashLoadMax * total * candidates[i].weight / weights);
    double drawn = draw(candidates[i], key);
    if (outstanding[i] + 1 > room || drawn <= largest) continue;
    largest = drawn;
    best = &candidates[i];
  }
  return *best;
}

}  // namespace sluice

#include "net/hub/lease_holders.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "net/hub/hub_request.h"
#include "net/hub/local_hub.h"

namespace sluice {

void LeaseHolders::hold(HubRequest& request) {
  std::erase_if(standbys_, [&](const Standby& one) { return one.request == &request; });
  holders_.emplace(request.lease()->token, &request);
}

void LeaseHolders::stand_by(HubRequest& request, bool soon) {
  ask_again_ = ask_again_ || soon;
  auto found = std::ranges::find(standbys_, &request, &Standby::request);
  if (found == standbys_.end())
    standbys_.push_back({.request = &request, .asks = false});
  else
    found->asks = false;
}

void LeaseHolders::forget(HubRequest& request) {
  std::erase_if(standbys_, [&](const Standby& one) { return one.request == &request; });
  const MemberLease* lease = request.lease();
  if (!lease || holders_.erase(lease->token) == 0) return;
  releases_.push_back({.kind = GroupCall::Kind::kRelease,
                       .group = lease->group,
                       .member = lease->member,
                       .token = lease->token});
  release_rest();
}

void LeaseHolders::on_unwanted(const HomeCall& call) {
  const GroupCall& group = *call.group;
  if (group.kind != GroupCall::Kind::kLease || !call.stored) return;
  releases_.push_back({.kind = GroupCall::Kind::kRelease,
                       .group = group.group,
                       .member = group.member,
                       .token = group.token});
  release_rest();
}

void LeaseHolders::on_news(const Groups::News& news) {
  if (news.kind == Groups::News::Kind::kOver) {
    auto holder = holders_.find(news.number);
    if (holder != holders_.end()) holder->second->on_lease_over();
    return;
  }
  // One member, so one of them asks.
  auto first = std::ranges::find_if(standbys_, [&](const Standby& one) {
    return !one.asks && Groups::hash_of(one.request->call()->group) == news.number;
  });
  if (first == standbys_.end()) return;
  first->asks = true;
  first->request->ask_lease();
}

void LeaseHolders::tick() {
  release_rest();
  for (const auto& [token, request] : holders_) {
    MemberLease& lease = *request->lease();
    if (lease.delivered == lease.reported) continue;
    GroupCall call{.kind = GroupCall::Kind::kDelivered,
                   .group = lease.group,
                   .member = lease.member,
                   .token = token,
                   .position = lease.delivered};
    if (!send(std::move(call))) return;
    lease.reported = lease.delivered;
  }
  if (!std::exchange(ask_again_, false)) return;
  std::vector<HubRequest*> all;
  for (Standby& one : standbys_)
    if (!std::exchange(one.asks, true)) all.push_back(one.request);
  for (HubRequest* request : all) request->ask_lease();
}

bool LeaseHolders::send(GroupCall call) {
  std::unique_ptr<HomeCall> ask = hub_.new_call();
  ask->kind = HomeCall::Kind::kGroup;
  ask->group = std::make_unique<GroupCall>(std::move(call));
  return hub_.ask(std::move(ask));
}

void LeaseHolders::release_rest() {
  while (!releases_.empty() && send(releases_.back())) releases_.pop_back();
}

}  // namespace sluice

// A hub's groups at its home, and what it tells all workers of them.
#include <algorithm>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "net/hub/hub_store.h"
#include "net/hub/local_hub.h"

namespace sluice {

void LocalHub::serve_group(HomeCall& call) {
  GroupCall& group = *call.group;
  if (group.changes()) {
    if (std::optional<PublishResult::Status> why = refusal()) {
      call.result.status = *why;
      return;
    }
  }
  groups_->answer(group, {pages_ ? 1 : log_.first(), log_.next()}, context_.loop.now_ms());
  call.stored = group.status == GroupCall::Status::kDone;
  if (group.kind == GroupCall::Kind::kLease && call.stored) ++counts_.leases_granted;
  if (group.status == GroupCall::Status::kFenced) ++counts_.acks_fenced;
  if (!groups_->news().empty()) context_.loop.flush_later(*this);
}

// What finds no room in the lanes is told with the next tick.
void LocalHub::tell_of_groups() {
  std::deque<Groups::News>& all = groups_->news();
  while (!all.empty() && lanes_have_room()) {
    Groups::News news = all.front();
    all.pop_front();
    tell_all({.kind = HubChange::Kind::kGroups, .groups = news});
    holders_.on_news(news);
  }
}

// Groups come before their members.
void LocalHub::restore_consumers(const HubHistory& history) {
  std::vector<const GroupRow*> rows;
  for (const GroupRow& row : history.consumers) {
    if (Groups::is_group_row(row.id))
      rows.push_back(&row);
    else
      (void)home_->set_consumer(row.id, row.position);
  }
  std::ranges::sort(rows, {}, [](const GroupRow* row) -> const std::string& { return row->id; });
  for (const GroupRow* row : rows) (void)groups_->restore(*row, history.next - 1);
}

}  // namespace sluice

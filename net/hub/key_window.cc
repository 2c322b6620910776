#include "net/hub/key_window.h"

#include <utility>

namespace sluice {

const KeyWindow::Outcome* KeyWindow::find(const std::string& key) const {
  auto found = outcomes_.find(key);
  return found == outcomes_.end() ? nullptr : &found->second;
}

void KeyWindow::add(std::string key, const Outcome& outcome, uint64_t now_ms) {
  auto [entry, is_new] = outcomes_.try_emplace(std::move(key), outcome);
  if (!is_new) return;
  order_.push_back({now_ms, entry->first});
  while (outcomes_.size() > keys_max_) drop_oldest();
}

void KeyWindow::expire(uint64_t before_ms) {
  while (!order_.empty() && order_.front().at_ms < before_ms) drop_oldest();
}

void KeyWindow::take_back(uint64_t global) {
  while (!order_.empty()) {
    auto newest = outcomes_.find(std::string(order_.back().key));
    if (newest->second.global < global) return;
    outcomes_.erase(newest);
    order_.pop_back();
  }
}

void KeyWindow::drop_oldest() {
  outcomes_.erase(outcomes_.find(std::string(order_.front().key)));
  order_.pop_front();
}

}  // namespace sluice

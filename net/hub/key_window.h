// What publishers have named their requests and messages by, for a while, so that one that is sent
// again is not appended again. Bounded by time and by number; the oldest goes first. Owned by a
// hub's home, used on its thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>

namespace sluice {

class KeyWindow {
 public:
  struct Outcome {
    uint64_t position = 0;  // of the last event
    uint64_t global = 0;
    uint64_t count = 0;
    uint64_t fingerprint = 0;  // of what was asked for
  };

  explicit KeyWindow(size_t keys_max) : keys_max_(keys_max) {}

  // Null: it has not been used within the window.
  const Outcome* find(const std::string& key) const;
  void add(std::string key, const Outcome& outcome, uint64_t now_ms);
  // Forgets those that were added before that time.
  void expire(uint64_t before_ms);
  // Forgets those whose events have come to nothing: from that global position on.
  void take_back(uint64_t global);
  size_t size() const { return outcomes_.size(); }

 private:
  struct Added {
    uint64_t at_ms;
    std::string_view key;  // of the map
  };

  void drop_oldest();

  const size_t keys_max_;
  std::unordered_map<std::string, Outcome> outcomes_;
  std::deque<Added> order_;
};

}  // namespace sluice

#include "net/config/numbers.h"

#include <unordered_map>
#include <utility>

namespace sluice {

// A name that comes back has its own number again where no other has got that.
std::vector<Numbers::Number> Numbers::give(const std::vector<std::string_view>& names) {
  renamed_.clear();
  std::unordered_map<std::string, uint32_t> ids;
  for (const std::string& name : names_) ids.emplace(name, ids.size());
  std::vector<Number> numbers(names.size());
  for (size_t i = 0; i < names.size(); ++i)
    if (auto known = ids.find(std::string(names[i])); known != ids.end())
      numbers[i] = number_of(known->second);
  std::vector<uint32_t> free = free_numbers();
  for (size_t i = 0; i < names.size(); ++i) {
    if (numbers[i].in_use) continue;
    auto [place, is_new] = ids.try_emplace(std::string(names[i]), 0);
    if (is_new) place->second = take_number(free, place->first);
    numbers[i] = number_of(place->second);
  }
  return numbers;
}

Numbers::Number Numbers::number_of(uint32_t id) {
  InUse mark = marks_[id].held.lock();
  if (!mark) {
    // What was done by a number was done before its last mark went, and is seen by who finds it
    // over.
    auto over = std::make_shared<std::atomic<bool>>(false);
    mark = InUse(over.get(), [over](const void*) { over->store(true, std::memory_order_release); });
    marks_[id] = {mark, std::move(over)};
  }
  return {id, std::move(mark)};
}

// Of several the lowest one comes last.
std::vector<uint32_t> Numbers::free_numbers() const {
  std::vector<uint32_t> free;
  for (auto id = static_cast<uint32_t>(marks_.size()); id-- > 0;)
    if (marks_[id].over->load(std::memory_order_acquire)) free.push_back(id);
  return free;
}

uint32_t Numbers::take_number(std::vector<uint32_t>& free, const std::string& name) {
  if (free.empty()) {
    names_.push_back(name);
    marks_.emplace_back();
    return static_cast<uint32_t>(names_.size() - 1);
  }
  uint32_t id = free.back();
  free.pop_back();
  names_[id] = name;
  renamed_.push_back(id);
  return id;
}

}  // namespace sluice

// Numbers for names: what is known of a route or an upstream stands in tables, by a number that
// outlives a configuration. A name keeps its number as long as that is in use. So everything that
// may look there holds the number's mark: each snapshot that has the name, and by a copy of that an
// endpoint, a probe, a tap. A number that nobody holds is free for another name, so the tables are
// as long as what is in use at once, however many names come and go. A mark may be let go of on
// any thread; all else is for the main thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

// A number's mark. Empty: the number is not used yet.
using InUse = std::shared_ptr<const void>;

class Numbers {
 public:
  struct Number {
    uint32_t id = 0;
    InUse in_use = nullptr;
  };

  // One for each of these names, which may repeat.
  std::vector<Number> give(const std::vector<std::string_view>& names);
  // Those that the last give() has taken from a name for another one. What is known by them is to
  // be forgotten.
  const std::vector<uint32_t>& renamed() const { return renamed_; }
  // By number: also the last names of free ones.
  const std::vector<std::string>& names() const { return names_; }

 private:
  struct Mark {
    std::weak_ptr<const void> held;
    std::shared_ptr<std::atomic<bool>> over = nullptr;  // nobody holds it any more
  };

  Number number_of(uint32_t id);
  std::vector<uint32_t> free_numbers() const;
  uint32_t take_number(std::vector<uint32_t>& free, const std::string& name);

  std::vector<std::string> names_;
  std::vector<Mark> marks_;
  std::vector<uint32_t> renamed_;
};

}  // namespace sluice

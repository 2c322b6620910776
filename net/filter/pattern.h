// A regular expression (RE2): the time of one search is linear in the text, whatever it is. (That
// of searching on behind each match is not: SearchBudget.) Each worker uses a copy of its own,
// since the copies' caches have locks. Made when the configuration is read.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace re2 {
class RE2;
}

namespace sluice {

class Pattern {
 public:
  // `copies`: for as many workers. `wrong` is set where it is none.
  Pattern(const std::string& expression, unsigned copies, std::string& wrong);
  Pattern(Pattern&&) noexcept;
  Pattern& operator=(Pattern&&) noexcept;
  ~Pattern();

  static constexpr size_t kGroupsMax = 9;

  // The first match at or behind `at`. False: there is none.
  bool find(unsigned worker, std::string_view text, size_t at, std::string_view& match) const {
    return find(worker, text, at, {&match, 1});
  }
  // And what its groups have matched, as many as there is room for. One without a part in it has a
  // null view.
  bool find(unsigned worker, std::string_view text, size_t at,
            std::span<std::string_view> match) const;
  // At the most, for a text of so many bytes (SearchBudget).
  uint64_t steps(size_t bytes) const { return uint64_t{bytes} * program_; }
  // Up to kGroupsMax.
  size_t groups() const;
  bool found_in(unsigned worker, std::string_view text) const {
    std::string_view match;
    return find(worker, text, 0, match);
  }

 private:
  uint64_t program_ = 1;  // instructions
  std::vector<std::unique_ptr<re2::RE2>> copies_;
};

}  // namespace sluice

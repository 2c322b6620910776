#include "net/filter/pattern.h"

#include <algorithm>
#include <array>
#include <re2/re2.h>

#include "net/base/limits.h"

namespace sluice {

namespace {

// Of a copy. As fast as RE2's own 8 MiB for expressions of the usual size.
constexpr int64_t kMemoryMax = 512 << 10;

// `\C` is one byte, and could cut a character in two.
bool has_any_byte(std::string_view expression) {
  for (size_t i = 0; i + 1 < expression.size(); ++i)
    if (expression[i] == '\\' && expression[++i] == 'C') return true;
  return false;
}

}  // namespace

Pattern::Pattern(const std::string& expression, unsigned copies, std::string& wrong) {
  if (expression.size() > limits::kExpressionBytes) {
    wrong = "is longer than " + std::to_string(limits::kExpressionBytes) + " bytes";
    return;
  }
  re2::RE2::Options options(re2::RE2::Quiet);
  options.set_max_mem(kMemoryMax);
  for (unsigned i = 0; i < std::max(copies, 1U); ++i) {
    copies_.push_back(std::make_unique<re2::RE2>(expression, options));
    if (!copies_.back()->ok()) {
      wrong = "is no regular expression: " + copies_.back()->error();
      return;
    }
  }
  program_ = static_cast<uint64_t>(copies_.front()->ProgramSize());
  if (program_ > limits::kExpressionProgram)
    wrong = "is too large: write it as several, or with smaller {counts}";
  if (has_any_byte(expression)) wrong = "may not have \\C, which can cut a character in two";
}

Pattern::Pattern(Pattern&&) noexcept = default;
Pattern& Pattern::operator=(Pattern&&) noexcept = default;
Pattern::~Pattern() = default;

bool Pattern::find(unsigned worker, std::string_view text, size_t at,
                   std::span<std::string_view> match) const {
  const re2::RE2& copy = *copies_[worker % copies_.size()];
  std::array<re2::StringPiece, 1 + kGroupsMax> found;
  auto wanted = static_cast<int>(std::min(match.size(), found.size()));
  if (!copy.Match({text.data(), text.size()}, at, text.size(), re2::RE2::UNANCHORED, found.data(),
                  wanted))
    return false;
  for (size_t i = 0; i < match.size(); ++i) match[i] = {found[i].data(), found[i].size()};
  return true;
}

size_t Pattern::groups() const {
  return std::min(static_cast<size_t>(copies_.front()->NumberOfCapturingGroups()), kGroupsMax);
}

}  // namespace sluice

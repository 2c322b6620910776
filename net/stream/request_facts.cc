#include "net/stream/request_facts.h"

#include <cstring>
#include <string>

#include "net/base/limits.h"
#include "net/http/head_builder.h"

namespace sluice {

void RequestFacts::keep(const Texts& texts) {
  keep_parts({texts.method.substr(0, limits::kLoggedFieldBytes),
              texts.target.substr(0, limits::kLoggedTargetBytes),
              texts.client.substr(0, limits::kLoggedFieldBytes),
              texts.id.substr(0, limits::kLoggedFieldBytes),
              texts.host.substr(0, limits::kLoggedFieldBytes),
              texts.user_agent.substr(0, limits::kLoggedFieldBytes), texts.protocol});
}

void RequestFacts::keep_parts(const std::array<std::string_view, kParts>& parts) {
  Ends ends{};
  size_t size = 0;
  for (size_t i = 0; i < kParts; ++i) ends[i] = static_cast<uint16_t>(size += parts[i].size());
  auto block = std::make_unique_for_overwrite<char[]>(sizeof(ends) + size);
  std::memcpy(block.get(), &ends, sizeof(ends));
  char* at = block.get() + sizeof(ends);
  for (std::string_view text : parts) at += text.copy(at, text.size());
  block_ = std::move(block);
}

// The target and a line for each field. None of them holds a LF, and no name a colon. The method is
// among the facts, uncut.
bool RequestFacts::keep_head(const Head& head) {
  static_assert(limits::kLoggedFieldBytes >= 64, "a method's limit");
  std::string text(head.target());
  for (size_t i = 0; i < head.field_count(); ++i) {
    Head::Field field = head.field(i);
    text.append("\n").append(field.name).append(":").append(field.value);
  }
  size_t facts = part(kHead).data() - (block_.get() + sizeof(Ends));
  if (facts + text.size() > UINT16_MAX) return false;
  replace_head(text);
  return true;
}

void RequestFacts::drop_head() {
  replace_head({});
}

void RequestFacts::replace_head(std::string_view head) {
  std::array<std::string_view, kParts> parts;
  for (size_t i = 0; i < kHead; ++i) parts[i] = part(i);
  parts[kHead] = head;
  keep_parts(parts);
}

void RequestFacts::restore_head(Head& into) const {
  std::string_view rest = part(kHead);
  auto next_line = [&rest] {
    std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(line.size() < rest.size() ? line.size() + 1 : line.size());
    return line;
  };
  HeadBuilder head(into, method(), next_line());
  while (!rest.empty()) {
    std::string_view line = next_line();
    size_t colon = line.find(':');
    head.field(line.substr(0, colon), line.substr(colon + 1));
  }
}

std::string_view RequestFacts::part(size_t which) const {
  if (!block_) return {};
  Ends ends{};
  std::memcpy(&ends, block_.get(), sizeof(ends));
  size_t begin = which == 0 ? 0 : ends[which - 1];
  return {block_.get() + sizeof(ends) + begin, ends[which] - begin};
}

}  // namespace sluice

#include "net/stream/request_facts.h"

#include <cstring>

#include "net/base/limits.h"

namespace sluice {

void RequestFacts::keep(const Texts& texts) {
  const std::array<std::string_view, kParts> parts = {
      texts.method.substr(0, limits::kLoggedFieldBytes),
      texts.target.substr(0, limits::kLoggedTargetBytes),
      texts.client.substr(0, limits::kLoggedFieldBytes),
      texts.id.substr(0, limits::kLoggedFieldBytes),
      texts.host.substr(0, limits::kLoggedFieldBytes),
      texts.user_agent.substr(0, limits::kLoggedFieldBytes),
      texts.protocol};
  Ends ends{};
  size_t size = 0;
  for (size_t i = 0; i < kParts; ++i) ends[i] = static_cast<uint16_t>(size += parts[i].size());
  auto block = std::make_unique_for_overwrite<char[]>(sizeof(ends) + size);
  std::memcpy(block.get(), &ends, sizeof(ends));
  char* at = block.get() + sizeof(ends);
  for (std::string_view text : parts) at += text.copy(at, text.size());
  block_ = std::move(block);
}

std::string_view RequestFacts::part(size_t which) const {
  if (!block_) return {};
  Ends ends{};
  std::memcpy(&ends, block_.get(), sizeof(ends));
  size_t begin = which == 0 ? 0 : ends[which - 1];
  return {block_.get() + sizeof(ends) + begin, ends[which] - begin};
}

}  // namespace sluice

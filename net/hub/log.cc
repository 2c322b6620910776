#include "net/hub/log.h"

#include <algorithm>
#include <utility>

#include "core/check.h"
#include "net/hub/group.h"
#include "net/hub/names.h"

namespace sluice {

namespace {

constexpr uint64_t kFirstCapacity = 64;
// Of a stream or a category: its place in the table of names, and what the heap takes for itself.
constexpr uint64_t kNamedBytes = 96;

template <typename T>
uint64_t named_bytes(const T& named) {
  return kNamedBytes + sizeof(T) + named.name.size();
}

std::optional<uint64_t> group_of(std::string_view name) {
  std::optional<std::string_view> cardinal_id = cardinal_id_of(name);
  if (!cardinal_id) return std::nullopt;
  return group_hash(*cardinal_id);
}

}  // namespace

LogStream::LogStream(std::string its_name, LogCategory& its_category, uint32_t its_epoch)
    : name(std::move(its_name)), category(its_category), epoch(its_epoch), group(group_of(name)) {}

Log::~Log() {
  evict_through(next_ - 1);
  for (const auto& [name, stream] : streams_)
    if (stream->in_empty.linked()) empty_.remove(*stream);
}

LogStream* Log::stream(std::string_view name) {
  auto found = streams_.find(name);
  return found == streams_.end() ? nullptr : found->second.get();
}

LogCategory* Log::category(std::string_view name) {
  auto found = categories_.find(name);
  return found == categories_.end() ? nullptr : found->second.get();
}

LogStream& Log::stream_of(const Block& block, bool* created) {
  LogStream* known = stream(block.stream());
  *created = known == nullptr;
  if (known) return *known;
  return make_stream(block.stream(), block.stream_epoch(), block.position());
}

LogStream& Log::make_stream(std::string_view name, uint32_t epoch, uint64_t next) {
  std::string_view category_name = category_of(name);
  LogCategory* its_category = category(category_name);
  if (!its_category) {
    auto made = std::make_unique<LogCategory>(LogCategory{.name = std::string(category_name)});
    its_category = made.get();
    // It may have been known before, and forgotten with what was lost of it.
    its_category->events.lose(forgotten_through_, ++holes_);
    stream_bytes_ += named_bytes(*its_category);
    categories_.emplace(its_category->name, std::move(made));
  }
  ++its_category->streams;
  auto made = std::make_unique<LogStream>(std::string(name), *its_category, epoch);
  made->next = next;
  made->events.lose(forgotten_through_, ++holes_);
  stream_bytes_ += named_bytes(*made);
  LogStream& result = *made;
  streams_.emplace(result.name, std::move(made));
  return result;
}

// Whatever lies before is as good as forgotten, also in a category of which all is there.
void Log::restore(uint64_t next) {
  first_ = next_ = next;
  forgotten_through_ = next - 1;
  forgotten_hole_ = ++holes_;
}

void Log::restore_stream(std::string_view name, uint32_t epoch, uint64_t next) {
  if (!stream(name)) empty_.push_back(make_stream(name, epoch, next));
}

LogStream& Log::append(Block& block, bool* created) {
  SLUICE_CHECK(block.global() == next_);
  LogStream& stream = stream_of(block, created);
  SLUICE_CHECK(block.position() == stream.next);
  if (next_ - first_ == capacity_) grow();
  ring_[next_ & (capacity_ - 1)] = {slots_.lend(block), &block, &stream};
  ++next_;
  ++events_;
  bytes_ += block.bytes();
  stream.bytes += block.bytes();
  if (stream.in_empty.linked()) empty_.remove(stream);
  stream.events.push(block.global());
  stream.category.events.push(block.global());
  ++stream.next;
  // What the stream may not keep any more lies somewhere in the midst of the others.
  while (stream.first() < block.stream_first()) {
    uint64_t oldest = stream.events.front();
    drop(ring_[oldest & (capacity_ - 1)]);
    stream.category.events.lose(oldest, ++holes_);
    stream.events.lose_first(holes_);
  }
  return stream;
}

void Log::grow() {
  uint64_t capacity = std::max(capacity_ * 2, kFirstCapacity);
  auto ring = std::make_unique<Entry[]>(capacity);
  for (uint64_t global = first_; global < next_; ++global)
    ring[global & (capacity - 1)] = std::move(ring_[global & (capacity_ - 1)]);
  ring_ = std::move(ring);
  capacity_ = capacity;
}

void Log::drop(Entry& entry) {
  --events_;
  bytes_ -= entry.block->bytes();
  entry.stream->bytes -= entry.block->bytes();
  entry = {};
}

void Log::evict_through(uint64_t global) {
  for (; first_ <= global && first_ < next_; ++first_) {
    Entry& entry = ring_[first_ & (capacity_ - 1)];
    if (!entry.block) continue;
    LogStream& stream = *entry.stream;
    drop(entry);
    stream.events.evict_through(first_);
    stream.category.events.evict_through(first_);
    if (stream.events.empty()) empty_.push_back(stream);
  }
}

void Log::forget(LogStream& stream) {
  empty_.remove(stream);
  forgotten_through_ = std::max(forgotten_through_, stream.events.loss().through());
  LogCategory& category = stream.category;
  forgotten_hole_ = ++holes_;
  stream_bytes_ -= named_bytes(stream);
  streams_.erase(streams_.find(stream.name));
  if (--category.streams == 0) {
    forgotten_through_ = std::max(forgotten_through_, category.events.loss().through());
    stream_bytes_ -= named_bytes(category);
    categories_.erase(categories_.find(category.name));
  }
}

}  // namespace sluice

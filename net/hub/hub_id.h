// The id of an event as subscribers see it: `<epoch8>.<position>`. To them it is opaque; it comes
// back as Last-Event-ID, so any text may. The epoch's eight hex digits tell which life of a stream
// (or, over categories, of the hub) the position belongs to: an id of another life names nothing
// that is held. Pure functions, any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sluice {

struct HubId {
  uint32_t epoch = 0;
  uint64_t position = 0;

  bool operator==(const HubId&) const = default;
};

// nullopt: it is none of ours. One number has one spelling.
std::optional<HubId> parse_hub_id(std::string_view text);
void append_hub_id(std::string& out, HubId id);
void append_epoch(std::string& out, uint32_t epoch);

}  // namespace sluice

// The body of a publisher's request, read: one event of plain text, one as a JSON object, or
// several as a JSON array or as lines of JSON. An object's members are `type`, `data`, `metadata`
// and `id`; any other is refused, so that a mistake does not go unseen. Pure but for the checker's
// memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/filter/json_check.h"
#include "net/hub/block.h"

namespace sluice {

enum class BodyForm : uint8_t { kText, kJson, kJsonLines };

struct PublishFault {
  int status = 0;  // of the answer; 0: there is none
  std::string detail = {};

  explicit operator bool() const { return status != 0; }
};

struct PublishRules {
  size_t event_bytes_max;
  size_t events_max;
  // Of a text, which has none within.
  std::string_view type = {};
  std::string_view message_id = {};
};

// `events` become views of `body`, which is given room behind its end for the checker. What escapes
// stand for takes their place in it, and what a text has no place for follows behind it.
PublishFault read_publish_body(std::string& body, BodyForm form, const PublishRules& rules,
                               JsonCheck& check, std::vector<EventDraft>& events);

// The number in {"position": N}; nullopt: the body is something else.
std::optional<uint64_t> read_position(std::string& body, JsonCheck& check);

// The category that an event's metadata correlates it with; empty: none.
std::string correlation_of(std::string_view metadata);

// What no type of an event, and no message's id, may be; nullptr: it may.
const char* type_fault(std::string_view type);
const char* message_id_fault(std::string_view id);

}  // namespace sluice

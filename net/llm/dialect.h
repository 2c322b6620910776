// What one event says in a dialect of language models: whether it has content, whether it is the
// last one, whether it is an error; and what a path or an event tells of the dialect. An event's
// fields are looked at first, then the names in its data; JSON is walked only where one of them
// counts at the outermost level alone. Pure: no I/O, no clock; what it returns are views of the
// event.
//
// Dialects differ in how they end. OpenAI's (Chat and legacy Completions) ends with `data: [DONE]`,
// Responses with `response.completed` or `response.incomplete`, Anthropic's with `message_stop`.
// Every dialect may say in mid-stream that it has failed, and nothing has to follow that.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "net/base/dialects.h"
#include "net/llm/event_members.h"
#include "sse/events.h"
#include "sse/pieces.h"

namespace sluice {

enum class EventRole : uint8_t {
  kOther,      // not known, or behind the content: usage, the end of a part
  kHeartbeat,  // says nothing: a comment, an empty event, a ping
  kLifecycle,  // before the content, without any: message_start, response.created, a role alone
  kContent,    // text, reasoning, a call of a tool: what a client waits for
  kEnd,        // the dialect's last event; nothing may follow
  kError,      // the upstream says that it has failed
};

struct EventSight {
  EventRole role = EventRole::kOther;
  // It says why the content is over (finish_reason, stop_reason). An event with content may, too.
  bool finishes = false;
  // Its `event` field. Where it has none, and its dialect has types: its data's `type`.
  std::string_view type;
  std::string_view data;  // its `data`, lines joined by LF
  EventMembers members;   // of that
};

// What a request's path (without its query, as it came) speaks for. A guess: other services use
// such paths.
Dialect dialect_of_path(std::string_view path);
// A request to such a path costs no tokens, though it goes to one of these APIs: it counts them, or
// is about files and batches.
bool is_path_without_cost(std::string_view path);
// What a stream's first event speaks for that is no heartbeat. No guess: kNone unless it bears the
// dialect's own marks. `first`: its sight in any dialect.
Dialect dialect_of_event(const EventSight& first);

// Looks at events one by one: reads one, and then says what it is in a dialect. It has a buffer for
// those whose data does not lie in one piece. A sight's views are good until the next event is
// read, and as long as that one. One a worker.
class EventLook {
 public:
  // `event` is whole, or the begin of one: of that, lines that have no end yet are not seen.
  // Pass a stream's first event without its byte order mark (sse/events.h).
  void read(const Pieces& event);
  // Reads the next one of a run. False: there is none.
  bool read_next(EventReader& run, Pieces& event);
  // Of the event that was read last. `begin`: that of the stream's events; null where none is kept.
  EventSight sight(Dialect dialect, SharedBegin* begin = nullptr) const;

  EventSight look(Dialect dialect, const Pieces& event) {
    read(event);
    return sight(dialect);
  }

 private:
  void clear();
  void take_line(const Pieces& line);

  std::string_view type_;
  std::string_view data_;
  size_t data_lines_ = 0;
  std::string type_room_;
  std::string data_room_;
};

// The value of a member of the outermost object of `json`, as it is written there: a string with
// its quotes. Empty: there is none. Of text that is no valid JSON it may be any part. Of several
// the last counts, as in JSON.parse().
std::string_view json_member_of(std::string_view json, std::string_view name);

}  // namespace sluice

// What a stream knows of its dialect: what it is taken for, how far its events have come, and what
// its content gate holds. Made with its request's head where path or route speak for a dialect, or
// with its first event where that does. Owned by the stream's Inspection, used on its worker's
// thread. What the gate holds belongs to the attempt that it came from, and goes with it.
#pragma once

#include <cstdint>
#include <memory>

#include "net/base/dialects.h"
#include "net/http/head.h"
#include "net/llm/event_members.h"
#include "net/stream/staging.h"

namespace sluice {

struct LlmWatch {
  Dialect dialect = Dialect::kNone;  // kNone: a guess that has turned out to be wrong
  bool named = false;                // by the route
  bool sure = false;                 // by the route, or by the marks of an event
  bool acts = true;  // it may add and drop; not where no-transform stands against it

  // Of the events so far.
  bool begun = false;        // any has been seen
  bool known = false;        // one that says something
  bool finished = false;     // one has said why the content is over
  bool over = false;         // the last one of the dialect
  bool failed = false;       // the upstream has said that it has failed
  bool blind = false;        // one was not seen, so it may have been the last
  uint64_t last_number = 0;  // where the dialect counts events
  uint64_t end_due_ms = 0;   // by then its upstream has to end; 0: the last one is not whole yet

  SharedBegin shared_begin;  // of its events

  // Its content gate.
  bool holds = false;
  bool mark_is_late = false;  // bytes of ours have overtaken a byte order mark that it may hold
  uint32_t head_charged = 0;
  uint32_t events = 0;
  std::unique_ptr<Head> head;  // the upstream's, that the client has not got
  StagedPtr held;              // whole events; null: none
  uint64_t until_ms = 0;
  uint64_t body_bytes_before = 0;  // of the stream, when it began to hold
};

}  // namespace sluice

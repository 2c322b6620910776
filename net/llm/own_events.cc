#include "net/llm/own_events.h"

#include "core/text.h"

namespace sluice {

namespace {

constexpr std::string_view kComment = ": heartbeat\n\n";
constexpr std::string_view kLine = "\n";
constexpr std::string_view kPing = "event: ping\ndata: {\"type\": \"ping\"}\n\n";
// Clients put the members of each chunk over those of the ones before, so it names no others.
constexpr std::string_view kChunk =
    "data: {\"object\":\"chat.completion.chunk\",\"choices\":[]}\n\n";

}  // namespace

std::string_view heartbeat_in(Dialect dialect, HeartbeatForm form, bool open) {
  switch (form) {
    case HeartbeatForm::kAuto:
      return dialect == Dialect::kAnthropic && open ? kPing : kComment;
    case HeartbeatForm::kComment:
      return kComment;
    case HeartbeatForm::kLine:
      return kLine;
    case HeartbeatForm::kEvent:
      return open ? kPing : kLine;
    case HeartbeatForm::kChunk:
      return open && dialect == Dialect::kOpenAi ? kChunk : kLine;
  }
  return kComment;
}

// The endings' names and details are plain text, so they need no escapes.
void append_error_event(std::string& out, Dialect dialect, Ending ending, uint64_t number) {
  bool ours = ending_side(ending) == Side::kSelf;
  switch (dialect) {
    case Dialect::kNone:
      return;
    case Dialect::kOpenAi:
      out += R"(data: {"error":{"message":")";
      out += ending_detail(ending);
      out += R"(","type":"server_error","param":null,"code":")";
      out += ending_name(ending);
      out += "\"}}\n\n";
      return;
    case Dialect::kResponses:
      out += "event: error\n";
      out += R"(data: {"type":"error","code":")";
      out += ending_name(ending);
      out += R"(","message":")";
      out += ending_detail(ending);
      out += R"(","param":null,"sequence_number":)";
      append_number(out, number);
      out += "}\n\n";
      return;
    case Dialect::kAnthropic:
      out += "event: error\n";
      out += R"(data: {"type":"error","error":{"type":")";
      out += ours ? "overloaded_error" : "api_error";
      out += R"(","message":")";
      out += ending_detail(ending);
      out += "\"}}\n\n";
      return;
  }
}

}  // namespace sluice

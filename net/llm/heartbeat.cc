#include "net/llm/heartbeat.h"

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

}  // namespace sluice

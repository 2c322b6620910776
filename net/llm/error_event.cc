#include "net/llm/error_event.h"

#include "core/text.h"

namespace sluice {

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

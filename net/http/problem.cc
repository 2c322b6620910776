#include "net/http/problem.h"

#include "core/text.h"
#include "net/http/status.h"

namespace sluice {

std::string problem_body(int status, std::string_view detail) {
  std::string body = R"({"type":"about:blank","title":")";
  append_json_escaped(body, reason_phrase(status));
  body.append(R"(","status":)");
  append_number(body, static_cast<uint64_t>(status));
  body.append(R"(,"detail":")");
  append_json_escaped(body, detail);
  return body.append("\"}\n");
}

}  // namespace sluice

// The demo's OpenAI-style API: chat completions, legacy completions and models, in the shapes that
// the official clients expect, streaming and not. The text is canned, a word a token. Used on the
// demo server's thread.
#pragma once

#include <optional>
#include <string_view>

#include "net/httpd/httpd.h"

namespace sluice {

void add_openai_routes(Httpd& server);

// The raw text of a top-level member of a JSON object, or nullopt. Lenient: it finds members in
// valid JSON and does not judge other text.
std::optional<std::string_view> json_member(std::string_view object, std::string_view name);

}  // namespace sluice

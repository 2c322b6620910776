#include "net/filter/json_check.h"

#include <bit>
#include <new>
#include <simdjson.h>

namespace sluice {

static_assert(JsonCheck::kPadding >= simdjson::SIMDJSON_PADDING);

struct JsonCheck::Parser {
  // Its tree, too, which would grow to each longer text's exact size by itself.
  bool reserve(size_t bytes) {
    return dom.allocate(bytes) == simdjson::SUCCESS && dom.doc.allocate(bytes) == simdjson::SUCCESS;
  }
  bool parses(std::string_view text) {
    if (text.size() > dom.capacity() && !reserve(std::bit_ceil(text.size()))) return false;
    return dom.parse(text.data(), text.size(), /*realloc_if_needed=*/false).error() ==
           simdjson::SUCCESS;
  }

  simdjson::dom::parser dom;
};

JsonCheck::JsonCheck(size_t text_bytes) : parser_(std::make_unique<Parser>()) {
  if (!parser_->reserve(text_bytes)) throw std::bad_alloc();
}

JsonCheck::~JsonCheck() = default;

bool JsonCheck::is_utf8(std::string_view text) {
  return simdjson::validate_utf8(text.data(), text.size());
}

bool JsonCheck::valid(std::string_view text) {
  if (text.size() > kKeptBytes && text.size() > parser_->dom.capacity())
    return Parser().parses(text);
  return parser_->parses(text);
}

}  // namespace sluice

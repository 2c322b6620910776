#include "net/filter/json_check.h"

#include <bit>
#include <new>
#include <simdjson.h>

namespace sluice {

static_assert(JsonCheck::kPadding >= simdjson::SIMDJSON_PADDING);

struct JsonCheck::Parser {
  simdjson::dom::parser dom;
};

JsonCheck::JsonCheck(size_t text_bytes) : parser_(std::make_unique<Parser>()) {
  if (parser_->dom.allocate(text_bytes) != simdjson::SUCCESS) throw std::bad_alloc();
}

JsonCheck::~JsonCheck() = default;

bool JsonCheck::is_utf8(std::string_view text) {
  return simdjson::validate_utf8(text.data(), text.size());
}

bool JsonCheck::valid(std::string_view text) {
  simdjson::dom::parser& dom = parser_->dom;
  // By itself it would grow to each longer text's exact size.
  if (text.size() > dom.capacity() && dom.allocate(std::bit_ceil(text.size())) != simdjson::SUCCESS)
    return false;
  return dom.parse(text.data(), text.size(), /*realloc_if_needed=*/false).error() ==
         simdjson::SUCCESS;
}

}  // namespace sluice

#include "net/filter/json_pointer.h"

#include <algorithm>
#include <utility>

#include "core/text.h"
#include "net/filter/json_text.h"

namespace sluice {

namespace {

std::optional<size_t> array_index(std::string_view token) {
  if (token.size() > 1 && token.front() == '0') return std::nullopt;
  return parse_decimal(token);
}

// "~1" is "/", and "~0" is "~".
std::optional<std::string> unescape_token(std::string_view token) {
  std::string text;
  for (size_t i = 0; i < token.size(); ++i) {
    if (token[i] != '~') {
      text += token[i];
      continue;
    }
    if (++i == token.size() || (token[i] != '0' && token[i] != '1')) return std::nullopt;
    text += token[i] == '0' ? '~' : '/';
  }
  return text;
}

}  // namespace

std::optional<JsonPointer> JsonPointer::parse(std::string_view text) {
  JsonPointer pointer;
  if (!text.empty() && text.front() != '/') return std::nullopt;
  while (!text.empty()) {
    text.remove_prefix(1);
    size_t size = std::min(text.find('/'), text.size());
    std::optional<std::string> token = unescape_token(text.substr(0, size));
    if (!token) return std::nullopt;
    pointer.tokens_.push_back(*std::move(token));
    text.remove_prefix(size);
  }
  pointer.set_needle();
  return pointer;
}

void JsonPointer::set_needle() {
  needle_.clear();
  for (const std::string& token : tokens_) {
    if (array_index(token) || token == "-") continue;
    needle_ = '"';
    append_escaped(needle_, token);
    needle_ += '"';
  }
}

JsonPointer JsonPointer::parent() const {
  JsonPointer pointer = *this;
  pointer.tokens_.pop_back();
  pointer.set_needle();
  return pointer;
}

bool JsonPointer::find(std::string_view json, JsonPlace& place) const {
  place = {};
  place.begin = skip_blanks(json, 0);
  place.end = value_end(json, place.begin);
  return place.begin < json.size() && std::ranges::all_of(tokens_, [&](const std::string& token) {
           return find_in(json, token, place);
         });
}

// `place` is a value, and becomes the one of that name or index within it.
bool JsonPointer::find_in(std::string_view json, std::string_view token, JsonPlace& place) {
  bool found = false;
  JsonItems items(json, place);
  for (JsonPlace item; items.next(item);) {
    if (!items.is_called(item, token)) continue;
    place = item;
    found = true;
  }
  return found;
}

JsonItems::JsonItems(std::string_view json, const JsonPlace& value)
    : json_(json), object_(json[value.begin] == '{') {
  if (!object_ && json[value.begin] != '[') return;
  at_ = skip_blanks(json, value.begin + 1);
  end_ = value.end - 1;
}

bool JsonItems::next(JsonPlace& item) {
  if (at_ >= end_) return false;
  ++read_;
  item = {};
  item.item_begin = at_;
  item.comma_before = comma_before_;
  if (object_) {
    item.name_begin = at_;
    item.name_end = string_end(json_, at_);
    at_ = skip_blanks(json_, skip_blanks(json_, item.name_end) + 1);  // over the colon
  }
  item.begin = at_;
  item.end = value_end(json_, at_);
  at_ = skip_blanks(json_, item.end);
  if (at_ < end_) {
    item.comma_behind = comma_before_ = at_;
    at_ = skip_blanks(json_, at_ + 1);
  }
  return true;
}

bool JsonItems::is_called(const JsonPlace& item, std::string_view token) const {
  if (!object_) return array_index(token) == read_ - 1;
  return string_equals(json_.substr(item.name_begin + 1, item.name_end - item.name_begin - 2),
                       token);
}

}  // namespace sluice

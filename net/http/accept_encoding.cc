#include "net/http/accept_encoding.h"

#include <optional>
#include <string_view>

#include "net/http/text.h"

namespace sluice {
namespace {

// A qvalue in thousandths (RFC 9110 section 12.4.2).
std::optional<int> parse_weight(std::string_view text) {
  if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1')) return {};
  if (text.size() > 1 && text[1] != '.') return {};
  int weight = text[0] == '1' ? 1000 : 0;
  int unit = 100;
  for (char c : text.substr(text.size() > 1 ? 2 : 1)) {
    if (!is_digit(c)) return {};
    weight += (c - '0') * unit;
    unit /= 10;
  }
  if (weight > 1000) return {};
  return weight;
}

// The weight of a list element: 1 without a q, none where it cannot be read.
std::optional<int> weight_of(std::string_view element) {
  size_t semicolon = element.find(';');
  while (semicolon != std::string_view::npos) {
    element.remove_prefix(semicolon + 1);
    semicolon = element.find(';');
    std::string_view parameter = trim_blanks(element.substr(0, semicolon));
    if (starts_with_ignoring_case(parameter, "q=")) return parse_weight(parameter.substr(2));
  }
  return 1000;
}

struct Weights {
  std::array<std::optional<int>, kContentCodings> named;
  std::optional<int> others;  // "*"

  void note(std::string_view element) {
    std::string_view name = without_parameters(element);
    std::optional<int> weight = weight_of(element);
    if (!weight) return;
    if (name == "*") others = weight;
    if (equals_ignoring_case(name, "x-gzip")) name = "gzip";
    for (unsigned i = 0; i < kContentCodings; ++i)
      if (equals_ignoring_case(name, coding_name(static_cast<ContentCoding>(i)))) named[i] = weight;
  }
  int of(ContentCoding coding) const {
    return named[static_cast<unsigned>(coding)].value_or(others.value_or(0));
  }
};

}  // namespace

ContentCoding preferred_coding(const Head& request, const CodingOrder& order) {
  Weights weights;
  for (size_t i = 0; i < request.field_count(); ++i) {
    const Head::Field field = request.field(i);
    if (!equals_ignoring_case(field.name, "accept-encoding")) continue;
    any_list_element(field.value, [&weights](std::string_view element) {
      weights.note(element);
      return false;
    });
  }
  ContentCoding best = ContentCoding::kIdentity;
  // Not encoding is always acceptable unless the client says otherwise, and then as welcome as it
  // says. Where it does not say, any coding that it names is more welcome.
  int least = weights.named[0].value_or(0);
  for (ContentCoding coding : order) {
    if (coding == ContentCoding::kIdentity) break;
    int weight = weights.of(coding);
    if (weight == 0 || weight < least) continue;
    if (best != ContentCoding::kIdentity && weight == least) continue;
    best = coding;
    least = weight;
  }
  return best;
}

}  // namespace sluice

#include "net/http/semantics.h"

#include <algorithm>
#include <charconv>
#include <ctime>
#include <iterator>
#include <limits>
#include <string>
#include <system_error>

#include "core/text.h"
#include "net/http/text.h"

namespace sluice {
namespace {

// Types that are texts, whatever comes behind them.
bool is_text(std::string_view type) {
  constexpr std::string_view kTexts[] = {"application/json",  "application/x-ndjson",
                                         "application/jsonl", "application/javascript",
                                         "application/xml",   "application/graphql"};
  auto is_type = [type](std::string_view text) { return equals_ignoring_case(type, text); };
  auto ends_with = [type](std::string_view end) {
    return type.size() > end.size() &&
           equals_ignoring_case(type.substr(type.size() - end.size()), end);
  };
  return starts_with_ignoring_case(type, "text/") || ends_with("+json") || ends_with("+xml") ||
         std::ranges::any_of(kTexts, is_type);
}

}  // namespace

bool limits_forwards(const Head& request) {
  return request.method() == "TRACE" || request.method() == "OPTIONS";
}

std::optional<uint64_t> max_forwards(const Head& request) {
  const std::optional<std::string_view> text = request.find("max-forwards");
  if (!text) return std::nullopt;
  // Not parse_decimal(): a number too large for us is still a limit, and goes on as the largest.
  const char* const end = text->data() + text->size();
  uint64_t number = 0;
  const auto [stop, error] = std::from_chars(text->data(), end, number);
  if (stop != end || error == std::errc::invalid_argument) return std::nullopt;
  return error == std::errc{} ? number : std::numeric_limits<uint64_t>::max();
}

bool has_passed(const Head& request, std::string_view pseudonym) {
  for (size_t i = 0; i < request.field_count(); ++i) {
    const Head::Field field = request.field(i);
    if (!equals_ignoring_case(field.name, "via")) continue;
    // An element is a protocol, a name, and maybe a comment (RFC 9110 section 7.6.3).
    const bool found = any_list_element(field.value, [pseudonym](std::string_view element) {
      const size_t blank = element.find_first_of(" \t");
      if (blank == std::string_view::npos) return false;
      const std::string_view by = trim_blanks(element.substr(blank));
      return by.substr(0, by.find_first_of(" \t(")) == pseudonym;
    });
    if (found) return true;
  }
  return false;
}

bool is_idempotent(std::string_view method) {
  constexpr std::string_view kIdempotent[] = {"GET",    "HEAD",     "OPTIONS", "TRACE",  "PUT",
                                              "DELETE", "PROPFIND", "REPORT",  "SEARCH", "QUERY"};
  return std::ranges::find(kIdempotent, method) != std::end(kIdempotent);
}

bool max_forwards_exhausted(const Head& request) {
  return limits_forwards(request) && max_forwards(request) == uint64_t{0};
}

bool wants_event_stream(const Head& request) {
  return request.lists_token("accept", "text/event-stream");
}

bool has_event_stream_type(const Head& response) {
  const std::string_view type = response.find("content-type").value_or("");
  return equals_ignoring_case(without_parameters(type), "text/event-stream");
}

// Servers send "identity", which does not belong there (RFC 9110 section 8.4.1), and "none", which
// no registry has.
AppliedCoding applied_coding(const Head& response) {
  AppliedCoding applied = AppliedCoding::kNone;
  auto add = [&applied](std::string_view name) {
    auto is = [name](std::string_view coding) { return equals_ignoring_case(name, coding); };
    if (name.empty() || is("identity") || is("none")) return false;
    bool first = applied == AppliedCoding::kNone;
    applied = AppliedCoding::kOther;
    if (first && (is("gzip") || is("x-gzip"))) applied = AppliedCoding::kGzip;
    if (first && is("deflate")) applied = AppliedCoding::kDeflate;
    if (first && is("zstd")) applied = AppliedCoding::kZstd;
    if (first && is("br")) applied = AppliedCoding::kBrotli;
    return false;
  };
  for (size_t i = 0; i < response.field_count(); ++i) {
    const Head::Field field = response.field(i);
    if (equals_ignoring_case(field.name, "content-encoding")) any_list_element(field.value, add);
  }
  return applied;
}

bool is_event_stream(const Head& response) {
  return has_event_stream_type(response) && applied_coding(response) == AppliedCoding::kNone;
}

bool is_whole(const Head& response) {
  return response.status() != 206 && !response.find("content-range");
}

bool may_be_encoded(const Head& response) {
  // Shorter ones would not even save a packet.
  constexpr uint64_t kWorthIt = 512;
  if (response.body() == BodyKind::kNone || !is_whole(response)) return false;
  if (applied_coding(response) != AppliedCoding::kNone) return false;
  if (response.body() == BodyKind::kLength && response.content_length() < kWorthIt) return false;
  return is_text(without_parameters(response.find("content-type").value_or("")));
}

bool has_no_transform(const Head& head) {
  return head.lists_token("cache-control", "no-transform");
}

std::optional<std::string_view> find_cookie(const Head& request, std::string_view name) {
  for (size_t i = 0; i < request.field_count(); ++i) {
    if (!equals_ignoring_case(request.field(i).name, "cookie")) continue;
    std::string_view rest = request.field(i).value;
    while (!rest.empty()) {
      size_t end = std::min(rest.find(';'), rest.size());
      std::string_view pair = trim_blanks(rest.substr(0, end));
      rest.remove_prefix(std::min(end + 1, rest.size()));
      if (pair.size() > name.size() && pair.starts_with(name) && pair[name.size()] == '=')
        return pair.substr(name.size() + 1);
    }
  }
  return std::nullopt;
}

std::optional<uint64_t> retry_after_ms(const Head& response, uint64_t wall_ms) {
  std::optional<std::string_view> value = response.find("retry-after");
  if (!value) return {};
  constexpr uint64_t kSecondsMax = 1'000'000'000;
  if (auto seconds = parse_decimal(*value, kSecondsMax)) return *seconds * 1000;
  std::tm date{};
  const std::string text(*value);
  const char* end = strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &date);
  if (!end || *end != '\0') return {};
  std::time_t at_s = timegm(&date);
  if (at_s < 0) return {};
  uint64_t at_ms = static_cast<uint64_t>(at_s) * 1000;
  return at_ms > wall_ms ? at_ms - wall_ms : 0;
}

}  // namespace sluice

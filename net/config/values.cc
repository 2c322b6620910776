#include "net/config/values.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "core/text.h"

namespace sluice {
namespace {

constexpr Bounds kSlotBytes{512, 64ULL * 1024};
constexpr Bounds kSlots{16, 32768};
constexpr Bounds kUpstreamWeight{1, 1000};

std::optional<uint64_t> parse_count(std::string_view text) {
  return parse_decimal(text);
}

std::string format_count(uint64_t number) {
  return std::to_string(number);
}

// Case is ignored, as it is in a URL's scheme (RFC 3986 section 3.1).
bool has_scheme(std::string_view url, std::string_view scheme) {
  return lower_case(url.substr(0, scheme.size())) == scheme;
}

bool names_port(std::string_view authority) {
  size_t bracket = authority.rfind(']');
  return authority.find(':', bracket == authority.npos ? 0 : bracket) != authority.npos;
}

}  // namespace

const NumberKind kSize{"SIZE", "a size: a number of bytes, or one with k, m or g", parse_size,
                       format_size};
const NumberKind kTime{"TIME", "a time: a number with ms, s, m or h", parse_duration_ms,
                       format_duration_ms};
const NumberKind kFineTime{"TIME", "auto, off or a time: a number with us, ms or s",
                           parse_duration_us, format_duration_us};
const NumberKind kCount{"N", "a number", parse_count, format_count};

std::string quoted(std::string_view text) {
  return "'" + std::string(text) + "'";
}

std::string joined(const std::vector<std::string>& names, std::string_view separator) {
  std::string all;
  for (const std::string& name : names) {
    if (!all.empty()) all += separator;
    all += name;
  }
  return all;
}

bool take_scheme(std::string_view* url, std::string_view scheme) {
  if (!has_scheme(*url, scheme)) return false;
  url->remove_prefix(scheme.size());
  return true;
}

std::string not_one_of(std::string_view text, const std::vector<std::string>& names) {
  std::string wrong = quoted(text) + " is not one of " + joined(names, ", ");
  std::string near = closest_name(text, names);
  return near.empty() ? wrong : wrong + "; did you mean " + near + "?";
}

std::string parse_number(const NumberKind& kind, Bounds bounds, std::string_view text,
                         uint64_t* value) {
  auto number = kind.parse(text);
  if (!number) return quoted(text) + " is not " + kind.form;
  if ((*number == 0 && bounds.or_zero) || (*number >= bounds.least && *number <= bounds.most)) {
    *value = *number;
    return "";
  }
  return std::string(text) + " is out of bounds: " + (bounds.or_zero ? "0, or " : "") +
         kind.format(bounds.least) + " to " + kind.format(bounds.most);
}

std::string parse_switch(std::string_view text, bool* value) {
  if (text != "on" && text != "off") return quoted(text) + " is neither on nor off";
  *value = text == "on";
  return "";
}

std::string parse_pool(std::string_view text, PoolSettings* pool) {
  size_t colon = text.find(':');
  if (colon == text.npos) return quoted(text) + " is not SIZE:COUNT, such as 4k:1000";
  std::string wrong = parse_number(kSize, kSlotBytes, text.substr(0, colon), &pool->slot_bytes);
  if (!wrong.empty()) return "the slot size " + wrong;
  if (!std::has_single_bit(pool->slot_bytes)) {
    return "the slot size " + std::string(text.substr(0, colon)) + " is not a power of two";
  }
  wrong = parse_number(kCount, kSlots, text.substr(colon + 1), &pool->slots);
  return wrong.empty() ? "" : "the count " + wrong;
}

bool is_field_name(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::ranges::all_of(text, [&](char c) {
    char lower = static_cast<char>(c | 0x20);
    return (c >= '0' && c <= '9') || (lower >= 'a' && lower <= 'z') ||
           kMarks.find(c) != kMarks.npos;
  });
}

std::string parse_balance(std::string_view text, Balance* balance) {
  using enum Balance::Method;
  using enum Balance::Key;
  constexpr std::pair<std::string_view, Balance::Method> kMethods[] = {
      {"least", kLeast}, {"round-robin", kRoundRobin}, {"random-two", kRandomTwo}};
  constexpr std::pair<std::string_view, Balance::Key> kKeys[] = {{"hash:client", kClient},
                                                                 {"hash:path", kPath}};
  constexpr std::pair<std::string_view, Balance::Key> kNamedKeys[] = {{"hash:field:", kField},
                                                                      {"hash:cookie:", kCookie}};
  for (auto [word, method] : kMethods) {
    if (text != word) continue;
    *balance = {.method = method};
    return "";
  }
  for (auto [word, key] : kKeys) {
    if (text != word) continue;
    *balance = {.method = kHash, .key = key};
    return "";
  }
  for (auto [word, key] : kNamedKeys) {
    if (!text.starts_with(word)) continue;
    std::string_view name = text.substr(word.size());
    if (!is_field_name(name)) return quoted(name) + " is no name of a field or cookie";
    *balance = {.method = kHash, .key = key, .name = std::string(name)};
    return "";
  }
  return not_one_of(text, {"least", "round-robin", "random-two", "hash:client", "hash:path",
                           "hash:field:NAME", "hash:cookie:NAME"});
}

namespace {

constexpr std::string_view kUnixScheme = "unix:";

// A request that names no host (HTTP/1.0) is told to be for localhost, as it is.
std::string parse_unix_upstream(std::string_view text, Upstream* upstream) {
  std::string error;
  auto address = unix_address(text.substr(kUnixScheme.size()), &error);
  if (!address) return error;
  *upstream = {std::string(text), "localhost", *address};
  return "";
}

// Of an https upstream: "ca=FILE" and the like. False: it is another option.
bool parse_tls_option(std::string_view text, UpstreamTls& tls, std::string* wrong) {
  const std::pair<std::string_view, std::string*> kTexts[] = {
      {"ca=", &tls.ca}, {"cert=", &tls.cert}, {"key=", &tls.key}, {"sni=", &tls.name}};
  for (auto [key, value] : kTexts) {
    if (!text.starts_with(key)) continue;
    *value = text.substr(key.size());
    if (value->empty()) *wrong = quoted(text) + " has no value";
    if (value == &tls.name && !is_host_name(tls.name))
      *wrong = quoted(tls.name) + " is no name of a host";
    return true;
  }
  constexpr std::string_view kInsecureKey = "insecure=";
  if (!text.starts_with(kInsecureKey)) return false;
  *wrong = parse_switch(text.substr(kInsecureKey.size()), &tls.insecure);
  return true;
}

std::string check_tls_options(const UpstreamTls& tls) {
  if (tls.cert.empty() != tls.key.empty()) return "cert=FILE and key=FILE go together";
  if (tls.insecure && !tls.ca.empty()) return "ca=FILE means nothing with insecure=on";
  return "";
}

// As they are written in the url of the upstream that they belong to.
std::string tls_options_text(const UpstreamTls& tls, bool other_name) {
  std::string text;
  if (!tls.ca.empty()) text += ";ca=" + tls.ca;
  if (!tls.cert.empty()) text += ";cert=" + tls.cert + ";key=" + tls.key;
  if (other_name) text += ";sni=" + tls.name;
  if (tls.insecure) text += ";insecure=on";
  return text;
}

// "weight=3" or "backup", or one of TLS. "" or what is wrong.
std::string parse_upstream_option(std::string_view text, Upstream* upstream) {
  constexpr std::string_view kWeightKey = "weight=";
  if (text == "backup") {
    upstream->backup = true;
    return "";
  }
  UpstreamTls unused;
  std::string wrong;
  bool https = upstream->tls_settings.has_value();
  if (parse_tls_option(text, https ? *upstream->tls_settings : unused, &wrong))
    return https ? wrong : quoted(text) + " is for https:// upstreams only";
  if (!text.starts_with(kWeightKey))
    return quoted(text) + " is no option of an upstream: weight=N or backup" +
           (https ? ", ca=FILE, cert=FILE, key=FILE, sni=NAME or insecure=on" : "");
  uint64_t weight = 0;
  wrong = parse_number(kCount, kUpstreamWeight, text.substr(kWeightKey.size()), &weight);
  upstream->weight = static_cast<uint32_t>(weight);
  return wrong.empty() ? "" : "the weight " + wrong;
}

// A zone is for this host to know and means nothing to the upstream (RFC 6874 section 4).
std::string without_zone(std::string_view authority) {
  std::string host(authority);
  size_t zone = host.find('%');
  if (zone != std::string::npos && host.starts_with('[')) host.erase(zone, host.find(']') - zone);
  return host;
}

std::string parse_url(std::string_view text, Upstream* upstream) {
  if (has_scheme(text, kUnixScheme)) return parse_unix_upstream(text, upstream);
  std::string_view authority = text;
  bool https = take_scheme(&authority, "https://");
  if (!https && !take_scheme(&authority, "http://"))
    return quoted(text) + " is not of the form http://HOST:PORT, https://HOST:PORT or unix:/PATH";
  std::string_view path;
  if (size_t end = authority.find_first_of("/?#"); end != authority.npos) {
    path = authority.substr(end);
    authority = authority.substr(0, end);
  }
  if (!path.empty() && path != "/") {
    return "an upstream takes no path (" + quoted(path) +
           "): requests keep the path they came with";
  }
  if (authority.find('@') != authority.npos) return "an upstream takes no user name";
  if (authority.empty() || authority.starts_with(':')) return quoted(text) + " names no host";
  std::string error;
  auto parsed = parse_host_port(std::string(authority) + (names_port(authority) ? ""
                                                          : https               ? ":443"
                                                                                : ":80"),
                                &error);
  if (!parsed) return error;
  if (parsed->port == 0) return "port 0 cannot be connected to";
  *upstream = {std::string(text), without_zone(authority), {}};
  if (auto address = numeric_address(parsed->host)) {
    upstream->address = *address;
    upstream->address.set_port(parsed->port);
  } else if (is_host_name(parsed->host)) {
    upstream->name = parsed->host;
    upstream->port = parsed->port;
  } else {
    return quoted(parsed->host) + " is neither a host's name nor an IP address";
  }
  std::string name = upstream->name.empty() ? upstream->address.ip() : upstream->name;
  if (https) upstream->tls_settings = UpstreamTls{.name = std::move(name)};
  return "";
}

}  // namespace

std::string parse_upstream(std::string_view text, Upstream* upstream) {
  std::string wrong = parse_url(text.substr(0, text.find(';')), upstream);
  std::string host = upstream->tls_settings ? upstream->tls_settings->name : "";
  if (wrong.empty())
    wrong = each_option(
        text, [&](std::string_view option) { return parse_upstream_option(option, upstream); });
  if (!wrong.empty() || !upstream->tls_settings) return wrong;
  const UpstreamTls& tls = *upstream->tls_settings;
  upstream->url += tls_options_text(tls, tls.name != host);
  return check_tls_options(tls);
}

}  // namespace sluice

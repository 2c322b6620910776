#include "net/config/hub_source.h"

#include <algorithm>

#include "net/config/values.h"

namespace sluice {
namespace {

constexpr size_t kStreamBytesMax = 256;
constexpr uint64_t kFieldBytes = 4096;  // of an event, beside its data

bool is_visible(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; });
}

// Takes the target out of the URL: "http://a/b;ca=c" is "http://a;ca=c" and "/b", and
// "unix:/run/a.sock:/b" is "unix:/run/a.sock" and "/b".
std::string take_target(std::string& url, std::string* target) {
  size_t options = std::min(url.find(';'), url.size());
  constexpr std::string_view kUnix = "unix:";
  size_t host = url.starts_with(kUnix) ? url.npos : url.find("://");
  size_t at = host == url.npos ? url.find(":/", kUnix.size()) : url.find_first_of("/?#", host + 3);
  *target = "/";
  if (at >= options) return "";
  size_t begin = at + (host == url.npos ? 1 : 0);
  std::string_view given = std::string_view(url).substr(begin, options - begin);
  if (!is_visible(given) || given.find('#') != given.npos)
    return quoted(given) + " holds what no path of a URL does: blanks, controls or #";
  *target = (given.starts_with('?') ? "/" : "") + std::string(given);
  url.erase(at, options - at);
  return "";
}

}  // namespace

std::string parse_hub_source(std::string_view text, HubSource* source) {
  size_t equals = text.find('=');
  if (equals == text.npos) return quoted(text) + " is not of the form STREAM=URL";
  source->stream = text.substr(0, equals);
  const std::string& stream = source->stream;
  if (stream.empty() || stream.size() > kStreamBytesMax || stream.front() == '-' ||
      !is_visible(stream))
    return quoted(stream) + " is no name of a stream: 1 to 256 visible letters, digits and signs";
  std::string url(text.substr(equals + 1));
  std::string wrong = take_target(url, &source->target);
  if (wrong.empty()) wrong = parse_upstream(url, &source->upstream);
  if (!wrong.empty()) return wrong;
  if (source->upstream.backup || source->upstream.weight != 1)
    return "a source is one upstream: it has neither weight nor backup";
  return "";
}

Route route_of(const HubSource& source, const Route& hub) {
  Route route{.path = "hub-source:" + hub.hub + "/" + source.stream,
              .upstreams = {source.upstream},
              .settings = hub.settings};
  route.feeds = {.hub = hub.hub, .stream = source.stream, .target = source.target};
  StreamSettings& settings = route.settings;
  // Nobody is there to be kept waiting, and the source itself connects anew.
  settings.heartbeat_ms = settings.heartbeat_head_after_ms = 0;
  settings.retries = 0;
  settings.compress = {};
  settings.framing = EventFraming::kEvent;
  settings.on_encoded = OnEncoded::kDecode;
  settings.event_hold = std::max(settings.event_hold, 2 * settings.hub_event_size + kFieldBytes);
  settings.upstream_max_connections = 0;
  settings.eject_after = 0;
  return route;
}

}  // namespace sluice

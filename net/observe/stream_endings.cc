#include "net/observe/stream_endings.h"

#include <string>

#include "core/text.h"
#include "net/observe/usage_text.h"
#include "net/stream/stream.h"

namespace sluice {

void StreamEndings::stream_ended(const Stream& stream) {
  count(stream);
  if (stream.usage()) tell_usage(stream);
  tell_operator(stream);
  if (context_.logs_requests())
    access_log_.write(stream, context_.config().access_log_format, context_.loop.now_ns());
}

void StreamEndings::tell_usage(const Stream& stream) {
  count_usage(stream, context_.metrics.usage);
  if (context_.config().usage_log == "off") return;
  std::string& line = context_.scratch();
  write_usage_line(stream, context_.loop.now_ns(), line);
  log_.push(LogTarget::kUsage, line);
}

void StreamEndings::count(const Stream& stream) {
  Metrics& metrics = context_.metrics;
  ++metrics.endings[static_cast<unsigned>(stream.ending())];
  RouteMetrics& route = stream.has_route() ? metrics.of_route(stream.route().id) : metrics.no_route;
  if (int status = stream.status(); status > 0)
    route.count(static_cast<uint16_t>(status));
  else
    ++route.unanswered;
}

// A failure on the upstream's side or ours is worth a warning; the others are for debugging.
void StreamEndings::tell_operator(const Stream& stream) {
  Side side = ending_side(stream.ending());
  bool worth_a_warning = side == Side::kUpstream || side == Side::kSelf;
  LogLevel level = worth_a_warning ? LogLevel::kWarn : LogLevel::kDebug;
  if (!context_.messages.on(level)) return;
  std::string& text = context_.scratch();
  text += ending_name(stream.ending());
  if (!stream.reason().empty()) {
    text += " (";
    text += stream.reason();
    text += ')';
  }
  text += ": ";
  append_json_escaped(text, stream.facts().method());
  text += ' ';
  append_json_escaped(text, stream.facts().target());
  text += " from ";
  text += stream.client_ip();
  text += " to ";
  text += stream.has_route() ? stream.upstream_url() : "no route";
  // If the URL does not say it.
  if (const Upstream* upstream = stream.upstream_tried();
      upstream && upstream->name.empty() && !upstream->address.is_unix()) {
    std::string address = upstream->address.text();
    if (address != upstream->host) text += " (" + address + ')';
  }
  text += ", request ";
  append_json_escaped(text, stream.request_id());
  text += ", after " + std::to_string(stream.events()) + " events";
  context_.messages.write(level, context_.loop.now_ms(), text);
}

}  // namespace sluice

#include "net/observe/access_log.h"

#include "core/clock.h"
#include "core/text.h"
#include "net/observe/json_line.h"
#include "net/observe/usage_text.h"
#include "net/stream/stream.h"

namespace sluice {

namespace {

void append_or_dash(std::string& out, std::string_view text) {
  if (text.empty())
    out += '-';
  else
    append_json_escaped(out, text);
}

}  // namespace

void AccessLog::write(const Stream& stream, AccessLogFormat format, uint64_t now_ns) {
  line_.clear();
  if (format == AccessLogFormat::kJson)
    format_json(stream, now_ns);
  else
    format_text(stream, now_ns);
  queue_.push(LogTarget::kFile, line_);
}

void AccessLog::format_text(const Stream& stream, uint64_t now_ns) {
  append_timestamp(line_, wall_clock_ms() - (now_ns - stream.started_ns()) / 1'000'000);
  line_ += ' ';
  append_or_dash(line_, stream.client_ip());
  line_ += " \"";
  append_or_dash(line_, stream.facts().method());
  line_ += ' ';
  append_or_dash(line_, stream.facts().target());
  line_ += ' ';
  append_or_dash(line_, stream.facts().protocol());
  line_ += "\" ";
  append_number(line_, static_cast<uint64_t>(stream.status()));
  line_ += " in=";
  append_number(line_, stream.request_body_bytes());
  line_ += " out=";
  append_number(line_, stream.response_body_bytes());
  line_ += " events=";
  append_number(line_, stream.events());
  line_ += " first_event_ms=";
  if (stream.events() > 0)
    append_ms(line_, stream.first_event_after_ns());
  else
    line_ += '-';
  line_ += " time_ms=";
  append_ms(line_, now_ns - stream.started_ns());
  line_ += " upstream=";
  append_or_dash(line_, stream.upstream_url());
  line_ += " request_id=";
  append_or_dash(line_, stream.request_id());
  line_ += " host=";
  append_or_dash(line_, stream.facts().host());
  line_ += " agent=\"";
  append_or_dash(line_, stream.facts().user_agent());
  line_ += '"';
  if (stream.dialect() != Dialect::kNone) {
    line_ += " dialect=";
    line_ += dialect_name(stream.dialect());
  }
  line_ += " ending=";
  line_ += ending_name(stream.ending());
  if (!stream.reason().empty()) {
    line_ += " reason=";
    line_ += stream.reason();
  }
}

void AccessLog::format_json(const Stream& stream, uint64_t now_ns) {
  JsonLine line(line_);
  std::string started;
  append_timestamp(started, wall_clock_ms() - (now_ns - stream.started_ns()) / 1'000'000);
  line.text("time", started);
  line.number("id", stream.id());
  line.text("request_id", stream.request_id());
  line.text("client", stream.client_ip());
  line.text("method", stream.facts().method());
  line.text("target", stream.facts().target());
  line.text("protocol", stream.facts().protocol());
  line.text("host", stream.facts().host());
  line.text("user_agent", stream.facts().user_agent());
  line.text("route", stream.has_route() ? stream.route().path : std::string());
  line.text("upstream", stream.upstream_url());
  line.number("status", static_cast<uint64_t>(stream.status()));
  line.number("bytes_in", stream.request_body_bytes());
  line.number("bytes_out", stream.response_body_bytes());
  line.number("events", stream.events());
  if (stream.events() > 0)
    line.ms("first_event_ms", stream.first_event_after_ns());
  else
    line.null("first_event_ms");
  line.ms("time_ms", now_ns - stream.started_ns());
  if (stream.dialect() != Dialect::kNone) line.text("dialect", dialect_name(stream.dialect()));
  line.text("ending", ending_name(stream.ending()));
  line.text("side", side_name(ending_side(stream.ending())));
  if (!stream.reason().empty()) line.text("reason", stream.reason());
  if (stream.usage()) append_usage(stream, line);
  line_ += '}';
}

}  // namespace sluice

#include "net/observe/access_log.h"

#include "core/clock.h"
#include "core/text.h"
#include "net/stream/stream.h"

namespace sluice {

namespace {

// Milliseconds with three decimals.
void append_ms(std::string& out, uint64_t ns) {
  append_number(out, ns / 1'000'000);
  uint64_t us = ns / 1000 % 1000;
  out += '.';
  if (us < 100) out += '0';
  if (us < 10) out += '0';
  append_number(out, us);
}

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
    append_ms(line_, stream.first_event_ns() - stream.started_ns());
  else
    line_ += '-';
  line_ += " time_ms=";
  append_ms(line_, now_ns - stream.started_ns());
  line_ += " upstream=";
  append_or_dash(line_, stream.upstream_url());
  line_ += " request_id=";
  append_or_dash(line_, stream.facts().id());
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
  auto text = [this](std::string_view key, std::string_view value) {
    line_ += ",\"";
    line_ += key;
    line_ += "\":\"";
    append_json_escaped(line_, value);
    line_ += '"';
  };
  auto number = [this](std::string_view key, uint64_t value) {
    line_ += ",\"";
    line_ += key;
    line_ += "\":";
    append_number(line_, value);
  };
  line_ += "{\"time\":\"";
  append_timestamp(line_, wall_clock_ms() - (now_ns - stream.started_ns()) / 1'000'000);
  line_ += '"';
  number("id", stream.id());
  text("request_id", stream.facts().id());
  text("client", stream.client_ip());
  text("method", stream.facts().method());
  text("target", stream.facts().target());
  text("protocol", stream.facts().protocol());
  text("host", stream.facts().host());
  text("user_agent", stream.facts().user_agent());
  text("route", stream.has_route() ? stream.route().path : std::string());
  text("upstream", stream.upstream_url());
  number("status", static_cast<uint64_t>(stream.status()));
  number("bytes_in", stream.request_body_bytes());
  number("bytes_out", stream.response_body_bytes());
  number("events", stream.events());
  line_ += ",\"first_event_ms\":";
  if (stream.events() > 0)
    append_ms(line_, stream.first_event_ns() - stream.started_ns());
  else
    line_ += "null";
  line_ += ",\"time_ms\":";
  append_ms(line_, now_ns - stream.started_ns());
  if (stream.dialect() != Dialect::kNone) text("dialect", dialect_name(stream.dialect()));
  text("ending", ending_name(stream.ending()));
  text("side", side_name(ending_side(stream.ending())));
  if (!stream.reason().empty()) text("reason", stream.reason());
  line_ += '}';
}

}  // namespace sluice

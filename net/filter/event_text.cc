#include "net/filter/event_text.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/text.h"
#include "sse/fields.h"
#include "sse/lines.h"

namespace sluice {

namespace {

// What OpenAI's dialect ends with, where other events have JSON.
constexpr std::string_view kDone = "[DONE]";

bool is_data_line(std::string_view line) {
  constexpr std::string_view kName = "data";
  return line.starts_with(kName) && (line.size() == kName.size() || line[kName.size()] == ':');
}

bool is_type_line(std::string_view line) {
  constexpr std::string_view kName = "event";
  return line.starts_with(kName) && (line.size() == kName.size() || line[kName.size()] == ':');
}

void make_room(std::string& buffer, size_t bytes) {
  if (buffer.capacity() < bytes + JsonCheck::kPadding)
    buffer.reserve(std::max(2 * buffer.capacity(), bytes + JsonCheck::kPadding));
}

// A line with its end. Where what stood between a CR and a LF has gone, these two must not become
// one line end: the empty line that ends the event would be no more.
void append_line(std::string& out, std::string_view line) {
  if (line.starts_with('\n') && out.ends_with('\r')) out += '\n';
  out += line;
}

// Takes each line of `text` with its end.
template <typename Take>
void each_line(std::string_view text, Take take) {
  LineReader lines{Pieces(text)};
  size_t at = 0;
  for (Pieces line; lines.next(line);) {
    size_t end = text.size() - lines.rest().size();
    take(line.first(), text.substr(at, end - at));
    at = end;
  }
}

}  // namespace

EventText::EventText(size_t event_bytes) : check_(event_bytes) {
  for (std::string& buffer : buffers_) make_room(buffer, event_bytes);
}

void EventText::begin(const Pieces& event, bool padded) {
  fields_known_ = json_known_ = false;
  edits_ = 0;
  if (event.in_one_piece()) {
    text_ = event.first();
    padded_ = padded;
    return;
  }
  std::string& flat = buffers_[0];
  flat.clear();
  make_room(flat, event.size());
  for (Pieces rest = event; !rest.empty(); rest.remove_prefix(rest.first().size()))
    flat += rest.first();
  text_ = flat;
  padded_ = true;
}

void EventText::read_fields() {
  fields_ = {};
  fields_known_ = true;
  Field field;
  for (FieldReader fields{Pieces(text_)}; fields.next(field);) {
    std::string_view value = field.value.first();
    switch (field.kind) {
      case FieldKind::kEvent:
        fields_.type = value;
        fields_.has_type = true;
        break;
      case FieldKind::kId:
        fields_.id = value;
        break;
      case FieldKind::kData:
        if (fields_.data_lines++ == 0) fields_.data = value;
        break;
      case FieldKind::kComment:
      case FieldKind::kRetry:
        break;
    }
  }
}

std::string_view EventText::type() {
  return fields().type.empty() ? std::string_view("message") : fields().type;
}

std::string_view EventText::data(std::string& room) {
  if (fields().data_lines <= 1) return fields_.data;
  room.clear();
  Field field;
  for (FieldReader fields{Pieces(text_)}; fields.next(field);) {
    if (field.kind != FieldKind::kData) continue;
    room += field.value.first();
    room += '\n';
  }
  room.pop_back();
  return room;
}

bool EventText::may_have_name(std::string_view needle) {
  auto has = [this](std::string_view part) {
    return find_text(text_, part) != std::string_view::npos;
  };
  if (needle.empty() || has(needle)) return true;
  return std::memchr(text_.data(), '\\', text_.size()) && has("\\u");
}

// What ends its first data line.
std::string_view EventText::line_end() {
  std::string_view data = fields().data;
  auto at = static_cast<size_t>(data.data() - text_.data());
  if (data.empty()) return "\n";
  at += data.size();
  return text_.substr(at, text_.substr(at).starts_with("\r\n") ? 2 : 1);
}

EventText::Json EventText::json() {
  if (json_known_) return json_;
  json_known_ = true;
  json_ = Json::kNone;
  if (!has_data() || (fields_.data_lines == 1 && (fields_.data.empty() || fields_.data == kDone)))
    return json_;
  if (fields_.data_lines > 1) {
    json_ = merge_data_lines() ? Json::kValid : Json::kInvalid;
    return json_;
  }
  if (!padded_) {
    // Only the data: the rest need not be copied in order to be looked at.
    lines_.clear();
    make_room(lines_, fields_.data.size());
    lines_ = fields_.data;
  }
  json_ = check_.valid(padded_ ? fields_.data : std::string_view(lines_)) ? Json::kValid
                                                                          : Json::kInvalid;
  return json_;
}

// False: it is no JSON, and nothing has changed.
bool EventText::merge_data_lines() {
  lines_ = "data: ";
  make_room(lines_, text_.size() + 8);
  Field field;
  bool first = true;
  for (FieldReader fields{Pieces(text_)}; fields.next(field);) {
    if (field.kind != FieldKind::kData) continue;
    if (!std::exchange(first, false)) lines_ += '\n';
    lines_ += field.value.first();
  }
  constexpr size_t kName = std::string_view("data: ").size();
  if (!check_.valid(std::string_view(lines_).substr(kName))) return false;
  // Only now: an LF is no part of a string, as a blank is.
  std::ranges::replace(lines_, '\n', ' ');
  lines_ += line_end();
  std::string& out = spare();
  write_with_data(lines_, out);
  take(out);
  --edits_;
  return true;
}

void EventText::write_with_data(std::string_view lines, std::string& out) {
  out.clear();
  make_room(out, text_.size() + lines.size());
  bool first = true;
  each_line(text_, [&](std::string_view line, std::string_view whole) {
    if (!is_data_line(line))
      append_line(out, whole);
    else if (std::exchange(first, false))
      out += lines;
  });
}

// A buffer that the text does not lie in.
std::string& EventText::spare() {
  return text_.data() == buffers_[0].data() ? buffers_[1] : buffers_[0];
}

void EventText::take(std::string& written) {
  text_ = written;
  padded_ = true;
  ++edits_;
  fields_known_ = false;
}

void EventText::replace_json(std::span<const Part> parts, std::string_view with) {
  auto base = static_cast<size_t>(json_text().data() - text_.data());
  std::string& out = spare();
  out.clear();
  make_room(out, text_.size() + parts.size() * with.size());
  size_t at = 0;
  for (const Part& part : parts) {
    out += text_.substr(at, base + part.begin - at);
    out += with;
    at = base + part.end;
  }
  out += text_.substr(at);
  take(out);
}

void EventText::replace_data(std::string_view lines) {
  std::string& out = spare();
  write_with_data(lines, out);
  take(out);
  json_known_ = false;
}

void EventText::replace_type(std::string_view type) {
  std::string_view end = line_end();
  std::string& out = spare();
  out.clear();
  make_room(out, text_.size() + type.size() + 16);
  auto write_type = [&] {
    if (type.empty()) return;
    out += "event: ";
    out += type;
    out += end;
  };
  if (!fields().has_type) write_type();
  bool first = true;
  each_line(text_, [&](std::string_view line, std::string_view whole) {
    if (!is_type_line(line))
      append_line(out, whole);
    else if (std::exchange(first, false))
      write_type();
  });
  take(out);
}

}  // namespace sluice

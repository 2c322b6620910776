#include "net/http2/session.h"

#include <algorithm>
#include <array>
#include <nghttp2/nghttp2.h>
#include <utility>

#include "core/check.h"

namespace sluice {

namespace {

std::string_view text_of(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

uint8_t* data_of(std::string_view text) {
  return reinterpret_cast<uint8_t*>(const_cast<char*>(text.data()));
}

std::vector<nghttp2_nv> values_of(const std::vector<Http2Field>& fields) {
  std::vector<nghttp2_nv> values;
  values.reserve(fields.size());
  for (const Http2Field& field : fields)
    values.push_back({data_of(field.name), data_of(field.value), field.name.size(),
                      field.value.size(), NGHTTP2_NV_FLAG_NONE});
  return values;
}

Http2Stream* stream_of(nghttp2_session* session, int32_t id) {
  return static_cast<Http2Stream*>(nghttp2_session_get_stream_user_data(session, id));
}

bool ends_stream(const nghttp2_frame& frame) {
  return (frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
}

SessionMemory& memory(void* user_data) {
  return *static_cast<SessionMemory*>(user_data);
}

nghttp2_mem allocator_of(SessionMemory& of) {
  return {
      .mem_user_data = &of,
      .malloc = [](size_t size, void* to) { return memory(to).allocate(size); },
      .free = [](void* block, void* to) { memory(to).free(block); },
      .calloc = [](size_t count, size_t size,
                   void* to) { return memory(to).allocate_zeroed(count, size); },
      .realloc = [](void* block, size_t size, void* to) { return memory(to).resize(block, size); },
  };
}

// The table by which our own heads are compressed: some KB of a connection, against 100 bytes of an
// answer, of which an event stream has few. The peer's is left as it is: a peer would have to
// acknowledge that it has none, in its next head, and not every one does.
constexpr uint32_t kHeaderTableBytes = 0;

// Resets that are remembered, at least: as many as a round trip may see.
constexpr size_t kResetsKept = 1024;

}  // namespace

struct Http2Session::Callbacks {
  static Handler& handler(void* user_data) {
    return static_cast<Http2Session*>(user_data)->handler_;
  }

  static Http2Session& ours(void* user_data) { return *static_cast<Http2Session*>(user_data); }

  static int on_begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user_data) {
    if (frame->hd.type == NGHTTP2_HEADERS)
      handler(user_data).on_head_begun(frame->hd.stream_id,
                                       frame->headers.cat != NGHTTP2_HCAT_REQUEST);
    return 0;
  }

  static int on_header(nghttp2_session*, const nghttp2_frame*, const uint8_t* name,
                       size_t name_size, const uint8_t* value, size_t value_size, uint8_t,
                       void* user_data) {
    handler(user_data).on_field(text_of(name, name_size), text_of(value, value_size));
    return 0;
  }

  // nghttp2 would drop the field and go on with the request. This makes it a stream error.
  static int on_invalid_header(nghttp2_session*, const nghttp2_frame*, const uint8_t*, size_t,
                               const uint8_t*, size_t, uint8_t, void*) {
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }

  static int on_invalid_frame(nghttp2_session*, const nghttp2_frame* frame, int, void* user_data) {
    if (frame->hd.type != NGHTTP2_HEADERS) return 0;
    ours(user_data).note_reset(frame->hd.stream_id);
    handler(user_data).on_bad_head();
    return 0;
  }

  static int on_frame(nghttp2_session* session, const nghttp2_frame* frame, void* user_data) {
    Handler& to = handler(user_data);
    switch (frame->hd.type) {
      case NGHTTP2_HEADERS:
        if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
          to.on_head(frame->hd.stream_id, ends_stream(*frame));
          break;
        }
        [[fallthrough]];  // trailers
      case NGHTTP2_DATA:
        if (frame->hd.type == NGHTTP2_DATA && !ends_stream(*frame) && frame->hd.length > 0 &&
            frame->hd.length == frame->data.padlen)
          to.on_padding_only();
        if (Http2Stream* stream = stream_of(session, frame->hd.stream_id);
            stream && ends_stream(*frame))
          to.on_request_end(*stream);
        break;
      case NGHTTP2_PING:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0) to.on_ping_answered();
        break;
      case NGHTTP2_RST_STREAM:
        to.on_reset(/*ours=*/false, frame->rst_stream.error_code);
        break;
      case NGHTTP2_GOAWAY:
        to.on_peer_ends(frame->goaway.error_code);
        break;
      case NGHTTP2_PRIORITY_UPDATE: {
        const auto* update = static_cast<nghttp2_ext_priority_update*>(frame->ext.payload);
        std::string_view priority = text_of(update->field_value, update->field_value_len);
        if (Http2Stream* stream = stream_of(session, update->stream_id))
          to.on_priority(*stream, priority);
        else if (update->stream_id > ours(user_data).newest_id_)
          to.on_early_priority(update->stream_id, priority);
        break;
      }
      default:
        break;
    }
    return 0;
  }

  static int on_data_chunk(nghttp2_session* session, uint8_t, int32_t id, const uint8_t* data,
                           size_t size, void* user_data) {
    // The connection's window bounds nothing: each stream's own does.
    nghttp2_session_consume_connection(session, size);
    if (Http2Stream* stream = stream_of(session, id))
      handler(user_data).on_body(*stream, text_of(data, size));
    return 0;
  }

  static int on_close(nghttp2_session* session, int32_t id, uint32_t code, void* user_data) {
    if (Http2Stream* stream = stream_of(session, id))
      handler(user_data).on_stream_closed(*stream, code);
    return 0;
  }

  static int on_frame_sent(nghttp2_session* session, const nghttp2_frame* frame, void* user_data) {
    Handler& to = handler(user_data);
    if (frame->hd.type == NGHTTP2_GOAWAY) {
      ours(user_data).further_refused_ = true;
      if (std::exchange(ours(user_data).ping_due_, false))
        nghttp2_submit_ping(session, NGHTTP2_FLAG_NONE, nullptr);
      to.on_end_said(frame->goaway.error_code);
    } else if (frame->hd.type == NGHTTP2_RST_STREAM) {
      ours(user_data).note_reset(frame->hd.stream_id);
      to.on_reset(/*ours=*/true, frame->rst_stream.error_code);
    } else if ((frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
               ends_stream(*frame)) {
      if (Http2Stream* stream = stream_of(session, frame->hd.stream_id))
        to.on_end_framed(*stream, /*by_head=*/frame->hd.type == NGHTTP2_HEADERS);
    }
    return 0;
  }

  static ssize_t read_body(nghttp2_session* session, int32_t id, uint8_t*, size_t size_max,
                           uint32_t* flags, nghttp2_data_source*, void* user_data) {
    Http2Stream* stream = stream_of(session, id);
    if (!stream) return NGHTTP2_ERR_DEFERRED;
    Body body = handler(user_data).next_body(*stream, size_max);
    if (body.kind == Body::Kind::kNone) return NGHTTP2_ERR_DEFERRED;
    if (body.kind == Body::Kind::kFull) return NGHTTP2_ERR_PAUSE;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (body.last) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(body.size);
  }

  static int send_data(nghttp2_session* session, nghttp2_frame* frame, const uint8_t* header,
                       size_t, nghttp2_data_source*, void* user_data) {
    Http2Stream* stream = stream_of(session, frame->hd.stream_id);
    SLUICE_CHECK(stream);  // it has just said what it has
    handler(user_data).on_body_frame(*stream, text_of(header, kHttp2FrameHeaderBytes));
    return 0;
  }

  static const nghttp2_session_callbacks* all() {
    static const nghttp2_session_callbacks* const callbacks = make();
    return callbacks;
  }

  static const nghttp2_option* options() {
    static const nghttp2_option* const options = make_options();
    return options;
  }

 private:
  static nghttp2_session_callbacks* make() {
    nghttp2_session_callbacks* callbacks = nullptr;
    SLUICE_CHECK(nghttp2_session_callbacks_new(&callbacks) == 0);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, on_invalid_header);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, on_invalid_frame);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, send_data);
    return callbacks;
  }

  static nghttp2_option* make_options() {
    nghttp2_option* options = nullptr;
    SLUICE_CHECK(nghttp2_option_new(&options) == 0);
    nghttp2_option_set_no_auto_window_update(options, 1);
    nghttp2_option_set_max_deflate_dynamic_table_size(options, kHeaderTableBytes);
    // Closed streams would be kept for the priorities of RFC 7540.
    nghttp2_option_set_no_closed_streams(options, 1);
    // Ours are bounded where they are parsed, by --max-header-size.
    nghttp2_option_set_max_send_header_block_length(options, size_t{1} << 20);
    // The connection counts resets itself, with other frames that ask for nothing.
    nghttp2_option_set_stream_reset_rate_limit(options, 100'000, 100'000);
    nghttp2_option_set_builtin_recv_extension_type(options, NGHTTP2_PRIORITY_UPDATE);
    return options;
  }
};

Http2Session::Http2Session(Handler& handler, const Limits& limits)
    : handler_(handler), resets_max_(std::max<size_t>(kResetsKept, limits.streams_max)) {
  nghttp2_mem allocator = allocator_of(memory_);
  SLUICE_CHECK(nghttp2_session_server_new3(&session_, Callbacks::all(), this, Callbacks::options(),
                                           &allocator) == 0);
  const std::array<nghttp2_settings_entry, 4> settings = {{
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits.streams_max},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, limits.stream_window},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, limits.header_list_bytes},
      // In its place RFC 9218, where streams of one urgency take turns if we say so.
      {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
  }};
  SLUICE_CHECK(
      nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), settings.size()) == 0);
  SLUICE_CHECK(
      nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0,
                                            static_cast<int32_t>(limits.connection_window)) == 0);
}

Http2Session::~Http2Session() {
  nghttp2_session_del(session_);
}

Http2Session::Received Http2Session::receive(std::string_view bytes) {
  size_t fed = 0;
  for (size_t at = 0; at < bytes.size();) {
    size_t passed = 0;
    const std::optional<Http2FrameHeader> frame = walk_.next(bytes.substr(at), &passed);
    at += passed;
    // The codec counts the parts in which CONTINUATION comes, and it comes after nothing else.
    if (!frame || frame->type == NGHTTP2_CONTINUATION) continue;
    // Without the header's last byte: the codec stands behind the frame before.
    if (at - 1 > fed) {
      if (Received got = feed(bytes.substr(fed, at - 1 - fed)); got != Received::kWell) return got;
      fed = at - 1;
    }
    begin_frame(*frame);
  }
  return feed(bytes.substr(fed));
}

Http2Session::Received Http2Session::feed(std::string_view bytes) {
  ssize_t taken = nghttp2_session_mem_recv(session_, data_of(bytes), bytes.size());
  if (taken >= 0) return Received::kWell;
  switch (taken) {
    case NGHTTP2_ERR_BAD_CLIENT_MAGIC:
      return Received::kNotHttp2;
    case NGHTTP2_ERR_FLOODED:
      return Received::kFlood;
    case NGHTTP2_ERR_TOO_MANY_CONTINUATIONS:
      return Received::kEndless;
    default:
      return Received::kBroken;
  }
}

void Http2Session::begin_frame(const Http2FrameHeader& frame) {
  const std::optional<Http2Code> code = forbids(frame);
  handler_.on_frame_begun(frame, frame.type == NGHTTP2_DATA && !code && has_ended(frame.id));
  if (code) handler_.on_frame_forbidden(*code);
}

// What the codec does not look at: frames of RFC 7540's priorities, which are off (RFC 9113 section
// 6.3), and frames of streams that have ended, since it remembers none (5.1): heads would open them
// again, and DATA would be dropped without a word.
std::optional<Http2Code> Http2Session::forbids(const Http2FrameHeader& frame) {
  if (frame.type == NGHTTP2_PRIORITY && frame.id == 0) return Http2Code::kProtocolError;
  const bool head = frame.type == NGHTTP2_HEADERS;
  if (!head && frame.type != NGHTTP2_DATA) return {};
  if (frame.id > newest_id_) {
    if (head && !further_refused_) newest_id_ = frame.id;
    return {};
  }
  // What was under way when we reset its stream is no fault, nor what follows our GOAWAY.
  if (!has_ended(frame.id) || was_reset(frame.id) || (head && further_refused_)) return {};
  return Http2Code::kStreamClosed;
}

// Also of those that came too late to be served.
bool Http2Session::has_ended(int32_t id) const {
  return id % 2 != 0 && (id <= newest_id_ || further_refused_) &&
         nghttp2_session_find_stream(session_, id) == nullptr;
}

bool Http2Session::was_reset(int32_t id) const {
  return std::ranges::find(resets_, id) != resets_.end();
}

void Http2Session::note_reset(int32_t id) {
  if (resets_.size() < resets_max_) {
    resets_.push_back(id);
    return;
  }
  resets_[next_reset_] = id;
  next_reset_ = (next_reset_ + 1) % resets_max_;
}

bool Http2Session::frame() {
  while (handler_.has_room()) {
    const uint8_t* bytes = nullptr;
    ssize_t size = nghttp2_session_mem_send(session_, &bytes);
    if (size < 0) return false;
    if (size == 0) break;
    handler_.on_output(text_of(bytes, static_cast<size_t>(size)));
  }
  return true;
}

void Http2Session::respond(int32_t id, const std::vector<Http2Field>& fields, bool with_body) {
  std::vector<nghttp2_nv> values = values_of(fields);
  nghttp2_data_provider body = {.source = {}, .read_callback = Callbacks::read_body};
  nghttp2_submit_response(session_, id, values.data(), values.size(), with_body ? &body : nullptr);
}

void Http2Session::respond_interim(int32_t id, const std::vector<Http2Field>& fields) {
  std::vector<nghttp2_nv> values = values_of(fields);
  nghttp2_submit_headers(session_, NGHTTP2_FLAG_NONE, id, nullptr, values.data(), values.size(),
                         nullptr);
}

void Http2Session::resume(int32_t id) {
  nghttp2_session_resume_data(session_, id);  // fails where nothing was put off, which is well
}

void Http2Session::announce_end() {
  // A PING would overtake it here.
  ping_due_ = nghttp2_submit_shutdown_notice(session_) == 0;
}

void Http2Session::refuse_further() {
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE,
                        nghttp2_session_get_last_proc_stream_id(session_), NGHTTP2_NO_ERROR,
                        nullptr, 0);
}

bool Http2Session::over() const {
  return nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0;
}

bool Http2Session::wants_to_send() const {
  return nghttp2_session_want_write(session_) != 0;
}

void Http2Session::attach(int32_t id, Http2Stream* stream) {
  nghttp2_session_set_stream_user_data(session_, id, stream);
}

void Http2Session::set_urgency(int32_t id, int urgency) {
  const nghttp2_extpri priority = {.urgency = static_cast<uint32_t>(urgency), .inc = 1};
  nghttp2_session_change_extpri_stream_priority(session_, id, &priority, 1);
}

int32_t Http2Session::stream_window(int32_t id) const {
  return nghttp2_session_get_stream_remote_window_size(session_, id);
}

int32_t Http2Session::connection_window() const {
  return nghttp2_session_get_remote_window_size(session_);
}

void Http2Session::open_stream_window(int32_t id, size_t bytes) {
  nghttp2_session_consume_stream(session_, id, bytes);
}

void Http2Session::reset(int32_t id, Http2Code code) {
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, static_cast<uint32_t>(code));
}

void Http2Session::terminate(Http2Code code) {
  nghttp2_session_terminate_session(session_, static_cast<uint32_t>(code));
}

size_t Http2Session::queued() const {
  return nghttp2_session_get_outbound_queue_size(session_);
}

}  // namespace sluice

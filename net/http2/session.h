// The HTTP/2 codec of one connection, from a server's side: frames, header compression, flow
// control and the rules of RFC 9113, by nghttp2, which nobody else includes. No I/O, no clock:
// bytes go in by receive(), and frames come out by frame(), in order, to a handler. Bodies pass by
// reference: the handler says how many bytes of a stream may leave, and sends them itself behind
// the frame header that it is given. Owned by a connection, used on its worker's thread. The
// handler calls only the methods under "From within a call", while it is called.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "net/http2/frame_walk.h"
#include "net/http2/session_memory.h"

struct nghttp2_session;

namespace sluice {

class Http2Stream;

// RFC 9113 section 7, as far as we say them ourselves.
enum class Http2Code : uint32_t {
  kNoError = 0,
  kProtocolError = 1,
  kInternalError = 2,
  kStreamClosed = 5,
  kRefusedStream = 7,
  kCancel = 8,
  kEnhanceYourCalm = 11,
};

struct Http2Field {
  std::string_view name;
  std::string_view value;
};

class Http2Session {
 public:
  struct Limits {
    uint32_t streams_max;
    uint32_t stream_window;
    uint32_t connection_window;
    uint32_t header_list_bytes;  // advice to the peer; the handler enforces it
  };

  // What of a stream's body leaves next.
  struct Body {
    enum class Kind : uint8_t {
      kBytes,  // `size` of them, which may be none
      kNone,   // none, until resume()
      kFull,   // the batch is full, whatever this stream has: until the next frame()
    };
    Kind kind;
    size_t size = 0;
    bool last = false;  // the stream ends behind them
  };

  class Handler {
   public:
    // Every frame's header as it comes, of whatever type; `late`: DATA of a stream that we have
    // reset, which may have been under way.
    virtual void on_frame_begun(const Http2FrameHeader& frame, bool late) = 0;
    // One that the codec lets pass, and that ends the connection with that code.
    virtual void on_frame_forbidden(Http2Code code) = 0;
    // A request's head begins, its fields follow, pseudo-fields first; then on_head(), or nothing
    // if it is not valid. `trailers`: the fields behind a request's body.
    virtual void on_head_begun(int32_t id, bool trailers) = 0;
    virtual void on_field(std::string_view name, std::string_view value) = 0;
    virtual void on_head(int32_t id, bool ends) = 0;
    // A head that breaks a rule: its stream has been reset.
    virtual void on_bad_head() = 0;
    // Of attached streams only. The bytes lie in what was given to receive().
    virtual void on_body(Http2Stream& stream, std::string_view bytes) = 0;
    virtual void on_request_end(Http2Stream& stream) = 0;
    // Forgotten here, whoever has ended it; 0: in order, both sides.
    virtual void on_stream_closed(Http2Stream& stream, uint32_t code) = 0;
    // A frame of a body with nothing in it but padding, and without an end.
    virtual void on_padding_only() = 0;
    virtual void on_ping_answered() = 0;
    // GOAWAY has come.
    virtual void on_peer_ends(uint32_t code) = 0;
    // PRIORITY_UPDATE (RFC 9218 section 7.1), with what it says.
    virtual void on_priority(Http2Stream& stream, std::string_view priority) = 0;
    // Of a stream that has not begun.
    virtual void on_early_priority(int32_t id, std::string_view priority) = 0;
    // The peer has reset a stream, or we have.
    virtual void on_reset(bool ours, uint32_t code) = 0;
    // GOAWAY has been sent.
    virtual void on_end_said(uint32_t code) = 0;

    // Frames that leave; of a body's only the header, behind which the bytes that next_body() has
    // promised go.
    virtual void on_output(std::string_view bytes) = 0;
    virtual bool has_room() = 0;
    virtual Body next_body(Http2Stream& stream, size_t size_max) = 0;
    virtual void on_body_frame(Http2Stream& stream, std::string_view header) = 0;
    // The frame that ends our side of the stream is a body's, and out; or it is a head, and comes
    // with the next on_output().
    virtual void on_end_framed(Http2Stream& stream, bool by_head) = 0;

   protected:
    ~Handler() = default;
  };

  Http2Session(Handler& handler, const Limits& limits);
  ~Http2Session();
  Http2Session(const Http2Session&) = delete;
  Http2Session& operator=(const Http2Session&) = delete;

  enum class Received : uint8_t {
    kWell,
    kNotHttp2,  // the connection does not begin as one does
    kFlood,     // more that wants an answer than is borne
    kEndless,   // a head in too many frames
    kBroken,    // the codec has failed
  };
  [[nodiscard]] Received receive(std::string_view bytes);
  // Frames what is to be sent, as far as the handler has room for it. False: out of memory.
  [[nodiscard]] bool frame();

  // An answer's head. Without a body it ends the stream; else next_body() is asked for one.
  void respond(int32_t id, const std::vector<Http2Field>& fields, bool with_body);
  void respond_interim(int32_t id, const std::vector<Http2Field>& fields);
  // There is body for a stream that had none.
  void resume(int32_t id);
  // No further stream will be served, those under way will: first the notice, then, once a
  // round trip has shown that the peer has it, the end.
  void announce_end();
  void refuse_further();
  // Neither side has anything to say any more.
  bool over() const;
  bool wants_to_send() const;
  // On the heap.
  size_t bytes_held() const { return memory_.bytes(); }
  bool shares_frame_buffer() const { return memory_.shares_frame_buffer(); }

  // --- From within a call, too ---

  // From here on the stream's events come with this. Before that they do not come.
  void attach(int32_t id, Http2Stream* stream);
  // How soon a stream's body leaves: 0 is the most urgent, 7 the least. next_body() is asked in
  // that order; equals take turns.
  void set_urgency(int32_t id, int urgency);
  // What the peer has left of its windows for a stream, and for all of them together.
  int32_t stream_window(int32_t id) const;
  int32_t connection_window() const;
  // The peer may send so many bytes more on this stream. (The connection's window bounds nothing.)
  void open_stream_window(int32_t id, size_t bytes);
  void reset(int32_t id, Http2Code code);
  // Ends the connection, with all its streams.
  void terminate(Http2Code code);
  // Frames that wait for their turn.
  size_t queued() const;

 private:
  struct Callbacks;

  Received feed(std::string_view bytes);
  void begin_frame(const Http2FrameHeader& frame);
  std::optional<Http2Code> forbids(const Http2FrameHeader& frame);
  bool has_ended(int32_t id) const;
  bool was_reset(int32_t id) const;
  void note_reset(int32_t id);

  Handler& handler_;
  SessionMemory memory_;
  FrameWalk walk_;
  nghttp2_session* session_ = nullptr;
  int32_t newest_id_ = 0;         // of the peer's streams
  std::vector<int32_t> resets_;   // the last streams that we have reset, in a ring
  const size_t resets_max_;       // as many as a peer may have under way
  size_t next_reset_ = 0;         // its place there
  bool further_refused_ = false;  // streams that begin now are none of ours
  bool ping_due_ = false;  // behind the notice, so that its answer shows that the peer has that
};

}  // namespace sluice

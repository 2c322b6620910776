// One request on an HTTP/2 connection: what its stream sees of its client. It says what of the
// response leaves next, and opens the client's window as the upstream takes the request's body. It
// outlives the codec's stream of that number as long as bytes of it are in a batch under way, and
// the gateway's stream lets go of it then. Owned by its connection, used on its worker's thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <sys/uio.h>

#include "net/base/ending.h"
#include "net/http2/response_writer.h"
#include "net/http2/session.h"
#include "net/stream/halves.h"
#include "net/stream/stream.h"

namespace sluice {

class Http2ClientConn;

class Http2Stream final : public ClientHalf {
 public:
  Http2Stream(Http2ClientConn& conn, int32_t id);

  // ClientHalf
  void response_ready() override;
  void request_window_opened() override { open_window(); }
  uint64_t request_window() const override;
  void response_aborted() override { response_ready(); }
  void drop() override;
  std::string client_ip() override;
  bool client_trusted() override;
  bool client_secured() const override;
  uint16_t https_port() const override;
  std::string client_subject() const override;
  const ResponseWriter& writer() const override { return http2_response_writer(); }
  std::string_view protocol() const override { return "HTTP/2"; }

  // --- called by its connection ---

  int32_t id() const { return id_; }
  Stream& stream() { return *stream_; }
  void carry(Stream& stream) { stream_ = &stream; }

  void on_body(const Lease& lease, std::string_view bytes);
  void on_request_end();
  // The codec has forgotten it.
  void on_closed(uint32_t code);
  // The client has gone, or does not get anything any more.
  void leave(Ending ending);

  // Hands the codec what there is: heads, the word that there is body, a reset.
  void frame();
  // Decides what leaves of the body next; `pieces`, which that has to fit in, are scratch. `used`
  // is set to the number of them.
  Http2Session::Body next_body(size_t size_max, std::span<iovec> pieces, size_t* used);
  // The rest of that.
  size_t describe(std::span<iovec> pieces) { return stream_->response().build(pieces); }
  void sent(size_t bytes);
  void end_framed();
  // What next_body() had promised has left; the end has.
  void body_left();
  void end_left();
  // Nothing of it is in a batch, so that it may be deleted.
  bool releasable() const { return gone_ && in_batches_ == 0; }
  // It has gone, and bytes of it lie in slots of that pool.
  bool orphan_in(const SlotPool& pool) const { return gone_ && stream_->response().holds_in(pool); }
  // Lets go of the stream.
  void release();

  // The client has not much of a window left, and waits for us.
  bool window_is_closed() const { return unconsumed_ > request_window() / 2; }
  uint64_t body_since_ms() const { return body_since_ms_; }
  // Bytes wait for a window that the client keeps closed, and none has left since then; to be asked
  // every now and then.
  uint64_t still_since_ms(uint64_t now_ms);

  // How soon its body leaves, beside others: 0 is first.
  int urgency() const { return raised_ ? 0 : urgency_; }
  void set_urgency(int urgency);
  // It goes first, once.
  void raise();
  // There is more of its body than the `size` bytes about to leave, and it has a window for that.
  bool has_more_than(size_t size) const;
  // It has bytes that could leave, and none in the batch.
  bool awaits_turn() const;
  // The batch that it has had its last frame in; it begins as if it had one.
  uint32_t turn() const { return turn_; }
  void take_turn(uint32_t batch) { turn_ = batch; }

  bool ready = false;  // in its connection's list of those that have something to frame
  size_t place = 0;    // in its connection's table

 private:
  void frame_heads();
  void open_window();
  void go();

  Http2ClientConn& conn_;
  Stream* stream_ = nullptr;
  const int32_t id_;
  uint32_t unconsumed_ = 0;  // bytes of its body that its window does not have back
  uint8_t in_batches_ = 0;   // parts of the batch under way
  uint8_t urgency_ : 3 = 3;
  bool raised_ : 1 = false;
  bool in_codec_ : 1 = true;
  bool head_framed_ : 1 = false;
  bool waits_ : 1 = false;  // the codec was told that no body is there, and is to be resumed
  bool body_in_batch_ : 1 = false;
  bool end_framed_ : 1 = false;
  bool request_ended_ : 1 = false;
  bool gone_ : 1 = false;
  uint64_t sent_bytes_ = 0;
  uint64_t seen_sent_ =
      0;  // as still_since_ms() saw last: bytes that a closed window would hold back
  uint64_t still_since_ms_;
  uint64_t body_since_ms_;
  uint32_t turn_;
};

}  // namespace sluice

// The connections that one worker has to an upstream, of all its pools, and the streams that wait
// for one. Where their number is limited, a connection takes a place on the board before it opens
// and gives it back once it has closed, so that all workers together never have more. Whoever has
// waited longest comes first: in this worker always, between workers within kPlaceLeadMs. Owned by
// its endpoint, which looks at the board now and then, used on its worker's thread.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/intrusive_list.h"
#include "net/config/upstream_board.h"
#include "net/stream/stream.h"

namespace sluice {

class ConnectionQueue {
  using Waiting = IntrusiveQueue<OutgoingRequest, &OutgoingRequest::in_queue>;

 public:
  ConnectionQueue(UpstreamPlaces& places, unsigned worker) : places_(places), worker_(worker) {}
  ~ConnectionQueue();
  ConnectionQueue(const ConnectionQueue&) = delete;
  ConnectionQueue& operator=(const ConnectionQueue&) = delete;

  // How many connections all workers together may have, 0 = any number.
  void limit(uint64_t most);
  bool limited() const { return most_ != 0; }
  // There is an address to connect to.
  void set_resolved(bool resolved);
  bool resolved() const { return resolved_; }

  // For a connection that is about to open, for who waits since then.
  bool take_place(uint64_t since_ms);
  void give_place_back();
  // A connection that is free is that one's, as far as other workers are concerned.
  bool may_keep_for(const Stream& stream) const;
  // How many free ones of this worker are to close, since they are over the limit or wanted by
  // other workers.
  uint64_t unwanted() const;

  // False, and it does not wait, where `most` wait already (0: any number), of all workers.
  bool join(Stream& stream, bool at_front, uint64_t most);
  void remove(Stream& stream);
  bool empty() const { return waiting_.empty(); }
  Stream* front() const { return stream_of(waiting_.front()); }
  static Stream* next(const Stream& stream) { return stream_of(Waiting::next(stream.outgoing())); }
  // So that other workers know since when the first one waits.
  void claim_turn();

 private:
  static Stream* stream_of(OutgoingRequest* request) {
    return request ? &request->stream : nullptr;
  }
  bool others_are_first(uint64_t since_ms) const;
  void disclaim_turn();

  UpstreamPlaces& places_;
  const unsigned worker_;
  uint64_t most_ = 0;
  bool resolved_ = false;
  uint64_t connections_ = 0;
  uint64_t waiting_count_ = 0;
  uint64_t claimed_ = 0;  // as it stands on the board, unless another has waited longer
  Waiting waiting_;
};

}  // namespace sluice

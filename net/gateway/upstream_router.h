// Which source gives a stream its upstream's half: the hubs where its route names one, else the
// pools of connections. Owned by the gateway, used on its worker's thread.
#pragma once

#include "net/hub/hubs.h"
#include "net/upstream/endpoints.h"

namespace sluice {

class UpstreamRouter final : public UpstreamSource {
 public:
  UpstreamRouter(Endpoints& upstreams, Hubs& hubs) : upstreams_(upstreams), hubs_(hubs) {}

  void on_request_head(const Stream& stream, const Head& head) override {
    of(stream).on_request_head(stream, head);
  }
  bool choose(Stream& stream, uint64_t tried) override { return of(stream).choose(stream, tried); }
  bool stands(const Stream& stream) override { return of(stream).stands(stream); }
  void acquire(Stream& stream, bool fresh) override { of(stream).acquire(stream, fresh); }
  void attempt_answered(const Stream& stream, int status) override {
    of(stream).attempt_answered(stream, status);
  }
  void attempt_ended(const Stream& stream, const AttemptOutcome& outcome) override {
    of(stream).attempt_ended(stream, outcome);
  }
  void forget(Stream& stream) override { of(stream).forget(stream); }
  const RequestWriter& writer(const Stream& stream) const override {
    return of(stream).writer(stream);
  }

 private:
  UpstreamSource& of(const Stream& stream) const {
    if (stream.route().hub.empty()) return upstreams_;
    return hubs_;
  }

  Endpoints& upstreams_;
  Hubs& hubs_;
};

}  // namespace sluice

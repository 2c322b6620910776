#include "net/observe/stream_list.h"

#include <algorithm>

#include "net/base/limits.h"
#include "net/stream/stream.h"

namespace sluice {

void list_streams(const Streams& streams, std::vector<StreamInfo>& into) {
  uint64_t now_ns = streams.context().loop.now_ns();
  size_t listed = 0;
  into.reserve(std::min(streams.live(), limits::kStreamsListed));
  for (const Stream* stream = streams.first(); stream && listed < limits::kStreamsListed;
       stream = Streams::next(*stream), ++listed) {
    into.push_back({.id = stream->id(),
                    .request_id = stream->request_id(),
                    .worker = streams.context().number,
                    .route = stream->has_route() ? stream->route().path : "",
                    .upstream = std::string(stream->upstream_url()),
                    .method = std::string(stream->facts().method()),
                    .target = std::string(stream->facts().target()),
                    .protocol = std::string(stream->facts().protocol()),
                    .client = stream->client_ip(),
                    .dialect = std::string(dialect_name(stream->dialect())),
                    .phase = std::string(phase_name(stream->phase())),
                    .status = stream->status(),
                    .age_ms = (now_ns - stream->started_ns()) / 1'000'000,
                    .events = stream->events(),
                    .bytes = stream->response_body_bytes(),
                    .window = stream->window(),
                    .backlog = stream->response().backlog(),
                    .held = stream->held(),
                    .event_stream = stream->event_stream(),
                    .stalled = stream->stalled()});
  }
}

}  // namespace sluice

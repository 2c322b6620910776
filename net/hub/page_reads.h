// The readers of one worker that wait for pages of a hub's store: events that are not in the log
// any more. They take turns, each with one page at a time, and few pages are under way at once: so
// many readers that are far behind share the disk, and a page is passed on in the turn in which it
// has come. Whoever has waited too long, since the disk fails or hangs, is told that there is no
// page. Owned by the worker's part of a hub, used on its thread.
#pragma once

#include <cstdint>
#include <vector>

#include "core/intrusive_list.h"
#include "net/context/worker_context.h"
#include "net/hub/hub_request.h"
#include "net/hub/hub_store.h"

namespace sluice {

namespace limits {
// Of the events of a page, as the store has them.
inline constexpr size_t kHubPageBytesMax = 256UL * 1024;
}  // namespace limits

class PageReads {
 public:
  PageReads(WorkerContext& context, HubStore& store) : context_(context), store_(store) {}
  ~PageReads();
  PageReads(const PageReads&) = delete;
  PageReads& operator=(const PageReads&) = delete;

  // on_page() or on_no_page() follows, never within the call.
  void ask(HubRequest& reader);
  // The page that has come was of no use yet: another one, a moment later, and no longer wait.
  void ask_later(HubRequest& reader);
  void forget(HubRequest& reader);

  // Pages may have come.
  void on_news();
  // Once a second.
  void tick();

 private:
  struct UnderWay {
    uint64_t ticket;
    HubRequest* reader;  // null: it has gone
  };
  using Queue = IntrusiveQueue<HubRequest, &HubRequest::in_pages>;

  void send();
  bool charge();
  void take(uint64_t ticket, StorePage& page);
  void end_late(uint64_t now_ms);

  WorkerContext& context_;
  HubStore& store_;
  Queue queue_;
  Queue later_;
  std::vector<UnderWay> under_way_;
  uint64_t tickets_ = 0;
  uint32_t charged_ = 0;
  unsigned failures_ = 0;  // one after the other
  bool rests_ = false;     // since the disk seems to fail, and not one place of it
};

}  // namespace sluice

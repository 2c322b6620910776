// A request that a hub answers: the upstream's half of an ordinary stream. So heads, framing,
// compression, filters, heartbeats, time-outs and the log are the stream's, as for any upstream. A
// publisher's body is read, checked, and given to the hub's home; a reader (a subscriber, or one
// who asks for messages) holds a cursor and no queue, and reads on as far as its stream has credit.
// Owned by Hubs, used on its worker's thread; it lets go of its stream at once where that cancels,
// and is deleted at the turn's end.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/intrusive_list.h"
#include "net/http/head_builder.h"
#include "net/hub/call.h"
#include "net/hub/cursor.h"
#include "net/hub/exchange.h"
#include "net/hub/groups.h"
#include "net/stream/halves.h"
#include "net/stream/stream.h"

namespace sluice {

class Hubs;
class LocalHub;

namespace limits {
// Of texts that are put together before they are passed on.
inline constexpr size_t kHubTextBytes = 8UL * 1024;
// Messages of a stream that are looked at for the last one of a type.
inline constexpr size_t kHubLastScannedMax = 10'000;
}  // namespace limits

// Of a subscriber that is a member of a group.
struct MemberLease {
  std::string group;
  uint32_t size;
  uint32_t member;
  uint64_t token;
  uint64_t position;  // where it began behind
  uint64_t delivered = 0;
  uint64_t reported = 0;  // of that, to the home
};

// Whether a reader waits for a page of the store, and where.
enum class PageWait : uint8_t { kNone, kQueued, kLater, kUnderWay };

class HubRequest final : public UpstreamHalf, public HomeAsker {
 public:
  HubRequest(Hubs& hubs, LocalHub& hub, Stream& stream, std::unique_ptr<HubCall> call,
             bool has_body);
  ~HubRequest();

  void begin();

  // UpstreamHalf
  void request_ready() override;
  void read_on() override { pump(); }
  void cancel() override { let_go(); }
  // Its silence is nobody's fault.
  bool receiving() const override { return false; }

  // --- called by its hub ---

  // Reads on.
  void pump();
  // The worker has heard of all that the home had appended when it was asked.
  void on_caught_up() { serve_now(); }
  uint64_t waits_for() const { return waits_for_; }
  void on_home_answer(HomeCall& call) override;
  // Subscribers are told to come back, each at another time.
  void on_drain();
  // Of a group, on its own worker: a member may be free, or the lease that it had is over.
  void ask_lease();
  void on_lease_over();
  const HubCall* call() const { return call_.get(); }
  MemberLease* lease() const { return lease_.get(); }

  ListLink<HubRequest> in_ready;  // or in the queue of those that wait
  bool waiting = false;           // in the latter
  ListLink<HubRequest> in_all;

  // --- called by its hub's PageReads, whose are the members ---

  StoreRead page_wanted();
  void on_page(const StorePage& page);
  // The store has not given it in time.
  void on_no_page();

  ListLink<HubRequest> in_pages;
  uint64_t page_since_ms = 0;
  PageWait page_wait = PageWait::kNone;

 private:
  // kStandby: it waits to be a member of its group.
  enum class State : uint8_t { kArriving, kServing, kStandby, kReading, kOver };

  void read_body();
  HomeCall& asks();
  void dispatch();
  void publish();
  void ask_home();
  void answer_publish(const HomeCall& call);
  void serve();
  void serve_now();
  void serve_info();
  void serve_last();
  void start_reading();
  void begin_in_log(bool whole);
  // `gap`: not all is there that was asked for. `next`: the first event that follows.
  void begin_reading(bool gap, HubId next);
  Subscriptions from() const { return {subscriptions_.get(), sources_}; }
  // The stream that it reads alone, as far as that exists.
  const LogStream* only_stream() const;
  std::string gap_text(HubId next) const;
  static std::string text_of_place(HubId next);
  HubId next_id() const;
  bool on_lost();
  bool goes_on_behind_gap();
  bool tells_gaps() const;
  HubId go_to_next();
  void read_messages();
  void append_message(std::string& text, const Block& block);
  void deliver(const Log::Entry& event);
  // net/hub/hub_leasing.cc
  void ask_of_group();
  void on_group_answer(HomeCall& call);
  void on_lease(GroupCall& call);
  void stand_by();
  void no_lease(const GroupCall& call);
  std::string lease_fields() const;
  std::string lease_event() const;
  void answer_ack(const GroupCall& call);
  void answer_group(const GroupCall& call);

  // net/hub/hub_paging.cc
  struct LetGo {
    void operator()(Block* block) const { block->let_go(); }
  };
  using Blocks = std::vector<std::unique_ptr<Block, LetGo>>;

  void go_on_in_log();
  bool go_through(const StorePage& page, bool lost);
  Blocks blocks_of(const StorePage& page, uint64_t end) const;
  HubId next_id(const StorePage& page, const Blocks& blocks) const;
  bool pass_on(const Blocks& blocks);
  bool write_events(std::string_view text, uint32_t events);
  void find_last(const StorePage& page);

  // `fields` end up in the head, with what caches are to do.
  using Fields = std::vector<std::pair<std::string_view, std::string_view>>;
  void head(int status, std::string_view type, BodyKind body, uint64_t length,
            const Fields& fields = {});
  void answer(int status, std::string_view body, const Fields& fields = {},
              std::string_view type = "application/json");
  void problem(int status, std::string_view detail, const Fields& fields = {});
  void preflight();
  void answer_empty(const Fields& fields = {});
  // Copies them. False: the stream is gone.
  bool write(std::string_view text);
  void finish();
  void let_go();

  Hubs& hubs_;
  LocalHub& hub_;
  Stream* stream_;                 // null once it has been let go
  std::unique_ptr<HubCall> call_;  // null once it is being read
  std::unique_ptr<HomeCall>
      asks_;  // what the home is to be asked, with the body as far as it has come
  HomeCall* asked_ = nullptr;
  std::unique_ptr<Subscription[]> subscriptions_;
  std::unique_ptr<MemberLease> lease_;  // null: it is no member of a group
  Cursor cursor_;
  uint64_t waits_for_ = 0;
  uint64_t left_ = UINT64_MAX;  // of messages
  uint64_t last_before_ = 0;    // the position before which the last message is looked for
  uint32_t charged_ = 0;        // for the body
  uint8_t sources_ = 0;
  State state_ = State::kArriving;
  BlockForm form_ = BlockForm::kEvent;
  SlowPolicy slow_ = SlowPolicy::kDisconnect;
  const bool has_body_;
  bool in_read_ = false;   // of the body, which may come again from within
  bool begun_ = false;     // the array of messages
  bool separate_ = false;  // from the message before
  bool stays_ = false;     // a subscriber
};

}  // namespace sluice

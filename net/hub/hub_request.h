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
  void on_caught_up() { serve(); }
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

 private:
  enum class Form : uint8_t { kEvent, kPoke, kEnvelope, kEnvelopePoke, kMessage };
  // kStandby: it waits to be a member of its group.
  enum class State : uint8_t { kArriving, kServing, kStandby, kReading, kOver };

  void read_body();
  void dispatch();
  void publish();
  void ask_home(std::unique_ptr<HomeCall> call);
  void answer_publish(const HomeCall& call);
  void serve();
  void serve_info();
  void serve_last();
  void start_reading();
  // `stream`: the one that it reads alone, as far as that exists.
  std::string gap_text(const LogStream* stream) const;
  std::string text_of_place(const LogStream* stream) const;
  HubId next_id(const LogStream* stream) const;
  bool on_lost();
  void go_to_next();
  void read_messages();
  std::string_view form_of(const Block& block) const;
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

  // `fields` end up in the head.
  using Fields = std::vector<std::pair<std::string_view, std::string_view>>;
  void head(int status, std::string_view type, BodyKind body, uint64_t length,
            const Fields& fields = {});
  void answer(int status, std::string_view body, const Fields& fields = {},
              std::string_view type = "application/json");
  void problem(int status, std::string_view detail, const Fields& fields = {});
  void preflight();
  // Copies them. False: the stream is gone.
  bool write(std::string_view text);
  void finish();
  void let_go();

  Hubs& hubs_;
  LocalHub& hub_;
  Stream* stream_;                 // null once it has been let go
  std::unique_ptr<HubCall> call_;  // null once it is being read
  std::string body_;
  HomeCall* asked_ = nullptr;
  std::unique_ptr<Subscription[]> subscriptions_;
  std::unique_ptr<MemberLease> lease_;  // null: it is no member of a group
  Cursor cursor_;
  uint64_t waits_for_ = 0;
  uint64_t left_ = UINT64_MAX;  // of messages
  uint32_t charged_ = 0;        // for the body
  uint8_t sources_ = 0;
  State state_ = State::kArriving;
  Form form_ = Form::kEvent;
  SlowPolicy slow_ = SlowPolicy::kDisconnect;
  const bool has_body_;
  bool in_read_ = false;   // of the body, which may come again from within
  bool begun_ = false;     // the array of messages
  bool separate_ = false;  // from the message before
  bool stays_ = false;     // a subscriber
};

}  // namespace sluice

// One request and its response: where the client's half and the upstream's half meet. The stream
// owns what is on its way in both directions, frames events, keeps the credit, and decides how
// things end; the halves own sockets and parsers and are seen only through the interfaces
// of halves.h. Owned by Streams, used on its worker's thread. A stream is deleted when it has
// ended and both halves have let go (their operations may still read its bytes until then).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/intrusive_list.h"
#include "core/loop.h"
#include "core/timer_wheel.h"
#include "net/base/ending.h"
#include "net/base/failure.h"
#include "net/base/limits.h"
#include "net/config/config.h"
#include "net/context/config_ref.h"
#include "net/http/head.h"
#include "net/llm/dialect.h"
#include "net/stream/attempt.h"
#include "net/stream/halves.h"
#include "net/stream/inspection.h"
#include "net/stream/outbox.h"
#include "net/stream/outgoing_request.h"
#include "net/stream/recovery.h"
#include "net/stream/request_facts.h"

namespace sluice {

class Streams;
struct Field;
struct WorkerContext;

class Stream final : public TimerOwner {
 public:
  Stream(Streams& streams, ClientHalf& client, uint64_t id);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // --- called by the client's half ---

  // For the log, also of a head that is not complete, or not valid.
  void keep_facts(const Head& head);
  // The request's head is complete. Answers it (refusal) or asks for an upstream. The head is the
  // stream's from here on; it goes back to the worker's pool as soon as nobody needs it any more.
  void on_request_head(std::unique_ptr<Head> head, bool keep_alive);
  void on_request_body(const Lease& lease, std::string_view bytes);
  void on_request_end();
  // An answer of our own, in place of the upstream's: a problem response with that status.
  // `reason` is what the log says, a name that lives as long as the program.
  // `location`: of a redirect.
  void refuse(int status, std::string_view detail, Ending ending, const char* reason = "",
              std::string_view location = {});
  // The same, where the request's head or body has not arrived in time.
  void refuse_late(Refusal refusal);
  // The client is gone; lets go of everything but the memory that sends still read.
  void on_client_gone(Ending ending);
  // Response bytes have left.
  void on_client_sent(uint64_t body_bytes);
  // The whole response has left.
  void on_client_done();
  // The client's half will not touch this stream again.
  void client_released();
  // Room for request body bytes; 0 = stop reading the client.
  uint64_t request_credit() const;
  // The time-outs that are its client's to keep. Which of them is over, if the client has sent
  // nothing of the request's body since `silent_since_ms`, and has taken nothing of the response
  // since `still_since_ms`; now, where it is not its turn. To be asked again by *look_ms at the
  // latest, which is brought forward to that.
  enum class Late : uint8_t { kNothing, kBody, kResponse };
  Late late(uint64_t silent_since_ms, uint64_t still_since_ms, uint64_t* look_ms) const;

  Outbox& response() { return response_; }
  const Outbox& response() const { return response_; }
  bool aborted() const { return aborted_; }
  // The client has had time for what came before the abort: many drop what they have read of a
  // stream together with its reset.
  bool abort_due() const;
  // The response is delimited by the connection's end, so that an abort has to reset it.
  bool close_delimited() const { return close_delimited_; }
  // After this response the client's connection may carry another request.
  bool keep_alive() const { return keep_alive_; }
  void forbid_keep_alive() { keep_alive_ = false; }
  bool half_close_allowed() const { return route_ && settings().half_close; }

  // --- called by the upstream's half and the upstream pool ---

  void on_queued();
  // It waits for the upstream's address first.
  void on_resolving();
  // A connection for this stream: kept alive from before, or about to connect.
  void on_upstream(UpstreamHalf& upstream, bool reused);
  void on_upstream_connected();
  // `reason`, here and below, is for the log: a name that lives as long as the program.
  void on_no_upstream(Ending ending, const char* reason);
  // The first bytes of the response have come: from here on the request is sent again only where it
  // is kept for that (keep_request()).
  void on_response_begun();
  // A response head, interim ones too.
  void on_response_head(const Head& head);
  void on_response_body(const Lease& lease, std::string_view bytes);
  // The same of one whole event, where the upstream's half knows it for one: nobody looks for its
  // end.
  void on_response_event(const Lease& lease, std::string_view event);
  // Whole events are to come as on_coded_events(), in TextCoder's coding.
  bool takes_coded() const;
  // What the coded events were called that the client gets right before; 0: it gets something else.
  uint64_t coded_before() const { return response_.packer()->last_coded(); }
  // Whole events, by reference or, without a lease, to be copied. `plain`: what they are.
  void on_coded_events(const Lease& lease, const CodedText& coded, std::string_view plain,
                       uint32_t events, uint64_t name);
  // All bytes that the upstream had sent have been read.
  void on_read_dry();
  void on_response_end();
  // The upstream is lost before its response was complete. `nothing_sent`: no byte of the request
  // can have reached it.
  void on_upstream_lost(Ending ending, const char* reason, bool nothing_sent);
  void on_request_sent(uint64_t body_bytes);
  // Nothing of this request will be read by the upstream's half any more.
  void upstream_released();

  // The request is kept beyond the response's first byte, as far as limits::kRequestWindow goes, so
  // that another attempt may take the place of this one in mid-stream. Its head is kept, too, where
  // it has not arrived yet and it comes without a body: it is then written anew for each attempt.
  void keep_request() { keeps_request_ = true; }
  // The upstream that this stream was lost at has just taken another one back.
  void on_upstream_back();

  // Gives this attempt up and begins another, on a fresh connection: what of an event has not come
  // whole is dropped, and what follows has to be a 200 event stream where the client has a head.
  // False: that cannot be. The client has something else than whole events (another response, part
  // of an event, lines), the request is not kept, or it has all ended. `because`: how the
  // upstream's endpoint is told that this attempt has ended.
  bool replace_attempt(Ending because);
  // Bytes to receive from the upstream now; 0 = the client has to catch up first.
  uint64_t response_credit();

  // Null: all of it that this attempt's upstream is to have has left.
  Outbox* request() { return outgoing_ ? &outgoing_->bytes : nullptr; }
  bool request_has_work() const { return outgoing_ && outgoing_->bytes.has_work(); }
  uint64_t request_backlog() const { return outgoing_ ? outgoing_->bytes.backlog() : 0; }
  // All of it has come from the client.
  bool request_arrived() const { return request_arrived_; }
  // And has left.
  bool request_sent() const { return !outgoing_ || outgoing_->bytes.complete(); }
  bool method_is_head() const { return method_is_head_; }
  bool event_stream() const { return framed_; }
  // The same of what its upstream sends, which the client may not know yet.
  bool receives_events() const { return framed_ || gate_holds(); }
  // The window has room for many slots, so that large ones are cheapest.
  bool wide() const { return window_ >= limits::kWideWindow; }
  // An event stream that has become so, since its client takes all at once.
  bool fast() const { return wide() && framed_ && window_ > settings().buffer_size; }
  const Route& route() const { return *route_; }
  // The configuration that it began with.
  const ConfigSnapshot& snapshot() const { return *snapshot_; }
  const StreamSettings& settings() const { return route_->settings; }

  // --- called by the drain that has taken a client's place ---

  TimerWheel& timers() const { return loop().timers(); }
  void end_drain();
  uint32_t& drains_count() const;

  // --- called by Streams ---

  void on_timer() override;
  // The grace is over.
  void shut_down();
  // The same, if the client can be told in its dialect: it is aborted then, once it has that.
  bool tell_shut_down();
  // The events that its client gets can be watched; it is, by all taps that watch such a stream
  // (stream_taps.cc); and no more by these.
  bool may_be_tapped() const;
  void join_taps();
  void leave_taps(Taps::Set set) {
    if (inspection_) inspection_->taps &= static_cast<Taps::Set>(~set);
  }
  // That pool has run out: lets go of what keeps its slots for later (what is kept in case the
  // request has to be sent again, and the part of an event that is staged, as if it were too long),
  // and ends where a peer has left bytes in its slots for limits::kShedAfterMs.
  void relieve_memory(const SlotPool& pool);

  // What /streams and the access log tell.
  uint64_t id() const { return id_; }
  Phase phase() const { return phase_; }
  uint64_t phase_since_ms() const { return phase_since_ms_; }
  uint64_t events() const { return events_; }
  uint64_t window() const { return window_; }
  const RequestFacts& facts() const { return facts_; }
  // The one that it came with, or was given; empty: its head has not come.
  std::string request_id() const;
  int status() const { return status_; }
  Ending ending() const { return ending_; }
  // Why a request was refused or failed, beyond its ending; may be empty.
  std::string_view reason() const { return reason_; }
  uint64_t started_ns() const { return started_ns_; }
  // Behind that.
  uint64_t first_event_after_ns() const { return uint64_t{first_event_us_} * 1000; }
  uint64_t request_body_bytes() const { return request_body_bytes_; }
  uint64_t response_body_bytes() const { return response_body_bytes_; }
  // Behind trusted proxies the one that they name.
  std::string client_ip() const;
  std::string_view upstream_url() const;
  // The address that was tried; null where none was.
  const Upstream* upstream_tried() const;
  // The one of its route that has been chosen for it.
  const Upstream& upstream() const { return route_->upstreams[upstream_index]; }
  bool has_route() const { return route_ != nullptr; }
  // What it is in, as far as it is known.
  Dialect dialect() const {
    return inspection_ && inspection_->llm ? inspection_->llm->dialect : Dialect::kNone;
  }
  bool stalled() const { return stalled_since_ns_ != 0; }
  // Null where nothing is to be booked for it.
  const UsageMeter* usage() const;
  // What is to be booked for it.
  UsageMeter::Bill bill() const;
  // Bytes of an event that is not complete, kept from the client.
  uint64_t held() const { return attempt_.staged ? attempt_.staged->bytes.bytes() : 0; }

  // For an upstream pool's queue: from when its connection is asked for.
  bool waits_for_connection() const { return outgoing_ && outgoing_->in_queue.linked(); }
  OutgoingRequest& outgoing() { return *outgoing_; }
  const OutgoingRequest& outgoing() const { return *outgoing_; }
  // Sending the request twice does no harm, or its route says so.
  bool repeatable() const { return repeatable_; }
  uint8_t upstream_index = 0;  // within the route's group

 private:
  WorkerContext& context() const;
  Loop& loop() const;
  bool is_ours() const { return client_ && !client_->own_route().empty(); }
  bool refused_by_head(const Head& head);
  bool write_request(const Head& head);
  void keep_head(const Head& head);
  void give_head_back();
  bool owns_head() const { return facts_.has_head(); }
  bool write_request_anew();
  Recovery& recovery() {
    if (!recovery_) recovery_ = std::make_unique<Recovery>(*this);
    return *recovery_;
  }
  bool keeps_request() const { return keeps_request_ || keeps_until_content_; }
  void keep_no_request();
  void drop_request_if_sent();
  void set_phase(Phase phase);
  void ask_for_upstream(bool fresh);
  void begin_next_attempt();
  void clear_attempt();

  // An attempt has failed, and its endpoint has been told: another follows, now or later, or not.
  void lose_attempt(Ending ending, const char* reason, bool nothing_sent);
  void lose_silent_attempt(Ending ending);
  void give_up(Ending ending, const char* reason);
  bool begin_retry();
  // The client has none of the upstream's content, so that any upstream's will do.
  bool without_content() const {
    return !head_queued_ || (early_head_ && response_body_bytes_ == 0) || gate_holds();
  }
  // Of a request without a body.
  bool may_heal() const;
  uint64_t kept_body_max() const;
  // The whole of the request can be sent to another upstream.
  bool at_hand() const;
  bool fail_over(Failure failure, Ending ending, bool nothing_sent, const Head* answer = nullptr);
  bool fails_over_from(const Head& head);
  // The answer of an attempt that has been given up is taken in.
  bool answer_arrives() const { return retry_ && recovery_ && recovery_->arriving; }
  void keep_answer(const Head& head);
  void append_answer(std::string_view bytes);
  void drop_arriving_answer();
  bool has_better_answer(int status) const;
  void give_kept_answer(Ending ending);
  bool heal(Failure failure, Ending ending, std::optional<uint64_t> retry_after_ms = {});
  void give_up_healing();
  void leave_attempt();
  void await_attempt();
  void on_attempt_due();
  void choose_for_reconnect();
  bool waits_for_pace();
  void end_wait();
  std::optional<uint32_t> another_upstream(uint64_t tried);
  // Null until an id has come.
  Healing* healing() const { return recovery_ ? recovery_->healing.get() : nullptr; }
  bool healing_waits() const { return healing() && healing()->waits(); }
  void settle_request();
  void on_comeback(const Head& head);
  void on_over();

  // What is delivered, and what comes again (stream_healing.cc).
  bool note_ids(const Pieces& run);
  bool note_field(const Field& field);
  void note_id(const Pieces& id);
  void note_ids_behind_torn(std::string_view run);
  size_t torn_rest(std::string_view run) const;
  Pieces staged_and(std::string_view bytes) const;
  void append_resumed(const Lease& lease, std::string_view run, uint32_t events);
  bool was_delivered(const Pieces& event);
  void note_place(const Pieces& id, bool delivered, bool is_last);
  void tell_gap(Gap gap, std::string_view first_id);
  void tell_late_gap() {
    if (healing() && std::exchange(healing()->came_by, false)) tell_gap(Gap::kReplayed, {});
  }
  // News from the upstream counts; none does once its attempt has been given up.
  bool hears_upstream() const { return !ended_ && phase_ != Phase::kDraining && !retry_; }
  void commit_response(const Head& head);
  // Whether and how its body is packed (stream_packing.cc).
  void choose_coding(const Head& request);
  std::unique_ptr<Packer> packer_for(const Head& response);
  bool shares_coded_events() const;
  bool varies(const Head& response) const;
  void promise(const WrittenHead& written);
  void note_body(size_t bytes);
  void append_response(const Lease& lease, std::string_view bytes);
  void append_run(const Lease& lease, std::string_view run, uint32_t events);
  void append_unfinished(const Lease& lease, std::string_view bytes);
  void append_whole(const Lease& lease, std::string_view bytes);
  // `events` of the run become those that have passed. False: none has, now or ever, or the stream
  // has failed.
  bool pass_on(const Lease& lease, std::string_view run, uint32_t& events) {
    if (inspection_) return inspect(lease, run, events);
    append_whole(lease, run);
    return true;
  }

  // What looks at single events (stream_inspection.cc).
  bool inspect(const Lease& lease, std::string_view run, uint32_t& events);
  bool append_inspected(const Lease& lease, std::string_view run, uint32_t* events);
  bool passes_dialect_and_usage(const Pieces& event, bool looks);

  // What it is in a dialect of language models (stream_dialect.cc).
  LlmWatch* llm() const { return inspection_ ? inspection_->llm.get() : nullptr; }
  bool gate_holds() const { return inspection_ && inspection_->llm && inspection_->llm->holds; }
  void choose_dialect(const Head& request, std::string_view path);
  std::optional<RequestReader::Insertion> read_request(std::string_view bytes);
  void look_for_dialect(std::string_view run);
  void watch(Dialect dialect);
  bool look_at_held_events(std::string_view& run, uint32_t& events);
  EventSight look_at_event(LlmWatch& llm, const Pieces& event);
  void drop_late(std::string_view run, size_t from, uint32_t& events);
  void look_at_part();
  std::string_view heartbeat() const;
  bool is_over() const { return inspection_ && inspection_->llm && inspection_->llm->over; }
  // What comes now comes behind the last event, and is not passed on.
  bool is_late() const { return is_over() && inspection_->llm->acts; }
  bool lacks_last_event() const;
  void await_end_behind_last_event();
  bool end_behind_last_event_due() const {
    return is_late() && llm()->end_due_ms != 0 && loop().now_ms() >= llm()->end_due_ms;
  }
  void end_behind_last_event(Ending ending);
  bool can_tell_error() const;
  void tell_error(Ending ending);
  // Its content gate (stream_gate.cc).
  bool hold_until_content(const Head& head);
  void hold_events(LlmWatch& llm, const Lease& lease, std::string_view run, uint32_t events);
  bool open_gate(GateOutcome outcome);
  void append_held(LlmWatch& llm);
  void drop_held(GateOutcome outcome);

  // What a request to a model costs (stream_usage.cc).
  bool metered() const { return inspection_ && inspection_->metering; }
  bool choose_usage(const Head& head, std::string_view path);
  void append_request(const Lease& lease, std::string_view bytes);
  void append_asking_for_usage(const Lease& lease, std::string_view bytes);
  void pad_request();
  void begin_metering(const Head& response);
  void meter_body(const Lease& lease, std::string_view bytes);
  bool meter_event(const EventSight& sight);
  void meter_torn(const Pieces& bytes, bool begins);
  void meter_run(uint32_t events);
  bool drains() const { return metered() && inspection_->metering->drain; }
  bool begin_drain();
  // An answer whose head waits for its usage.
  KeptAnswer* held_answer() const {
    return metered() ? inspection_->metering->answer.get() : nullptr;
  }
  bool hold_for_usage(const Head& head);
  bool append_held_answer(std::string_view bytes);
  bool give_held_answer(bool whole);
  std::string usage_field() const;

  bool tapped() const { return inspection_ && inspection_->taps != 0; }
  void copy_to_taps(std::string_view run);
  void copy_own_to_taps(std::string_view text);
  void tell_taps_of_end();

  // What an upstream has encoded (stream_unpacking.cc).
  bool is_to_be_unpacked(const Head& head) const;
  bool brings_events(const Head& head);
  bool settle_encoding(const Head& head);
  Unpacking* unpacking() const { return inspection_ ? inspection_->unpacking.get() : nullptr; }
  bool has_packed() const { return unpacking() && unpacking()->unpacker.waits(); }
  void unpack(const Lease& lease, std::string_view packed);
  void unpack_on();
  bool may_unpack() const;
  bool unpacked_to(Ending ending, const char* reason);
  bool unpacking_failed();
  void stop_unpacking() {
    if (inspection_) inspection_->unpacking.reset();
  }
  void append_body(const Lease& lease, std::string_view bytes);
  void go_on_reading();

  // What a route's filters make of it (stream_filters.cc).
  bool filtered() const { return inspection_ && inspection_->filters != 0; }
  bool choose_filters(const Head& head, std::string_view path);
  bool refused_as_encoded();
  Filters::Result run_filters(const Pieces& event, bool padded);
  std::string_view append_torn_rest(const Lease& lease, std::string_view run);
  void append_written(std::string_view text);
  bool withhold_held();
  void end_by_filter();
  // The scripts among them (stream_scripts.cc).
  bool open_scripts(const Head& head);
  void fail_by_script(ScriptFailure failure);
  void end_scripts();
  void stage(const Lease& lease, std::string_view bytes);
  void append_staged();
  Chain& staged();
  std::string_view without_late_bom(std::string_view bytes);
  void tear_held();
  bool may_tear();
  void discard_unfinished();
  bool waits_for_client(const SlotPool& pool) const;
  bool waits_for_upstream(const SlotPool& pool) const;
  void shed();
  void response_grew();
  void note_events(uint32_t count);
  bool others_wait_for_slots() const;
  void adapt_window(size_t received);
  void set_window(uint64_t bytes);
  void reset_window();
  void fail(Ending ending, const char* reason = "");
  void end(Ending ending);
  void end_attempt(Ending ending);
  void let_go_of_upstream(Ending ending);
  void delete_if_unused();

  // Whether the client owes body bytes: not while it waits to be told to go on (Expect), nor once
  // it has its answer.
  bool body_due() const { return !awaits_go_ahead_ && phase_ != Phase::kDraining; }
  uint64_t deadline_ms() const;
  uint64_t abort_due_ms() const;
  uint64_t head_timeout_ms() const;
  void commit_early_head();
  uint64_t pace_left_ms() const;
  bool heartbeat_possible() const;
  void send_heartbeat();

  static uint32_t low_bits(uint64_t ms) { return static_cast<uint32_t>(ms); }

  // In the order of use: what every event touches comes first, on as few cache lines as may be, and
  // without holes, so that a stream stays within an allocator's class of 384 bytes.
  bool ended_ : 1 = false;
  bool request_arrived_ : 1 = false;
  bool notes_ids_ : 1 = false;  // of what is delivered, since the stream may have to be resumed
  bool resumes_ : 1 = false;    // nothing new has come yet: what was delivered is dropped
  bool keeps_until_content_ : 1 = false;                 // the request, for another upstream
  bool paced_ : 1 = false;                               // it is not read before paced_until_ms_
  ContentCoding coding_ : 2 = ContentCoding::kIdentity;  // that its client would like best
  Phase phase_ = Phase::kRequest;
  Ending ending_ = Ending::kComplete;
  uint32_t unsent_events_ = 0;
  std::unique_ptr<Inspection> inspection_;  // null where nothing looks at its events
  uint32_t paced_until_ms_ = 0;             // the low 32 bits of the loop's time
  uint16_t status_ = 0;
  bool framed_ : 1 = false;  // an unencoded event stream
  bool aborted_ : 1 = false;
  bool head_queued_ : 1 = false;  // the final response head is on its way: the client has our word
  bool early_head_ : 1 = false;   // it was ours, before the upstream's
  bool close_delimited_ : 1 = false;
  bool keep_alive_ : 1 = false;
  bool method_is_head_ : 1 = false;
  bool wants_event_stream_ : 1 = false;
  bool no_transform_ : 1 = false;
  bool repeatable_ : 1 = false;
  bool keeps_request_ : 1 = false;  // for another attempt, as long as it can be kept
  bool retry_ : 1 = false;          // by another attempt, once this one's connection is released
  bool retried_ : 1 = false;
  bool upstream_asked_ : 1 = false;
  bool awaits_go_ahead_ : 1 = false;  // the client sends no body before it is told to (Expect)
  bool told_to_go_on_ : 1 = false;    // and has sent none since it was
  Streams& streams_;
  ClientHalf* client_;
  const Route* route_ = nullptr;  // of snapshot_
  Attempt attempt_;

  Outbox response_;
  uint32_t window_ = 0;
  uint32_t window_used_ = 0;
  uint64_t last_upstream_ms_ = 0;
  uint64_t last_output_ms_ = 0;
  uint64_t last_event_ns_ = 0;
  uint64_t unsent_since_ns_ = 0;  // when the oldest response byte not yet sent arrived
  uint64_t events_ = 0;
  uint64_t response_body_bytes_ = 0;
  uint64_t stalled_since_ns_ = 0;

  uint32_t window_since_ms_ = 0;  // of the loop's time the low 32 bits, for differences
  uint32_t first_event_us_ = 0;   // behind the start; of one after 71 minutes no more than that
  uint64_t phase_since_ms_;
  Timer timer_;
  std::unique_ptr<OutgoingRequest> outgoing_;  // null until its head is written
  std::unique_ptr<Recovery> recovery_;         // null until there is something to recover from
  ConfigRef snapshot_;
  uint64_t id_;
  uint64_t started_ns_;
  uint64_t request_body_bytes_ = 0;
  const char* reason_ = "";
  RequestFacts facts_;

 public:
  ListLink<Stream> in_live;  // for the list of live streams; here, since no event touches it
};

}  // namespace sluice

// Every fixed bound of the data path in one place. Flags (net/config/config.h) hold the bounds that
// an operator may want to change; these here follow from the design, and each line says why.
#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice::limits {

// The part of --pool-max that regions do not grow into: for heads that find no slot, and for bytes
// that connections keep beside the slots.
inline constexpr uint64_t kHeapFraction = 16;
// When a class has run out, so many streams a turn are asked for the slots that they can spare.
// Each is asked no more often than this.
inline constexpr unsigned kRelievedPerTurn = 64;
inline constexpr uint64_t kRelieveEveryMs = 100;
// A stream whose peer has made no slot free for this long is then given up.
inline constexpr uint64_t kShedAfterMs = 2000;

// One send: bytes and pieces. Larger batches would hide a slow client's progress.
inline constexpr size_t kSendBatchBytes = 64 * 1024;
inline constexpr size_t kSendBatchPieces = 128;

// The states of encoders take a quarter of --pool-max at most, so that they leave the slabs room to
// grow. One that has rested for five ticks of about a second may be taken back from its body.
inline constexpr uint64_t kEncodersFraction = 4;
inline constexpr uint64_t kEncoderRestTicks = 5;

// Decoders of upstreams' bodies, whose windows their peers choose, take no more either. A body that
// becomes more than so many times its size is no event stream, once it has become more than this;
// and one body is unpacked so far at a time, so that others have their turn.
inline constexpr uint64_t kDecodersFraction = 4;
inline constexpr uint64_t kUnpackedRatioMax = 256;
inline constexpr uint64_t kUnpackedFreeBytes = 1 << 20;
inline constexpr size_t kUnpackedAtOnce = 64 * 1024;
// Room that is left in a slot on either side of plain bytes: a chunk's framing is written there,
// and a parser reads beyond their end.
inline constexpr size_t kUnpackedMargin = 64;

// Taps of a process at a time, and what each may hold at a worker for a watcher that reads slowly.
inline constexpr size_t kTapsMax = 8;
inline constexpr size_t kTapBytes = 128 * 1024;

// Workers of a process, and the bits that tell them apart in a stream's id.
inline constexpr unsigned kWorkerBits = 10;
inline constexpr unsigned kWorkersMax = 1U << kWorkerBits;

// Bytes that cannot leave in this turn are copied if they are at most this part of a slot, so that
// a small event does not pin a whole slot behind a slow client.
inline constexpr uint32_t kSpillFraction = 2;

// Bytes of further requests read ahead while one is being answered.
inline constexpr size_t kPipelineBytes = 16 * 1024;
// One receive of a handshake, before the protocol has a say.
inline constexpr size_t kHandshakeReceiveBytes = 16 * 1024;
// Where clients wait for the end of others' handshakes, one that says nothing is not waited for.
inline constexpr uint64_t kSilentHandshakeMs = 1'000;
// Handshakes get half of a worker's time. What they have not used of it they may use later, up to
// half of this at once.
inline constexpr uint64_t kHandshakeBurstNs = 1'000'000;
// A handshake that has begun goes before those that have not, up to this step. Few need more, and
// nobody stays in front by saying little at a time.
inline constexpr uint8_t kHandshakeStepsAhead = 6;
// The bytes that an idle upstream connection may receive unasked: enough to see a close.
inline constexpr size_t kIdleReceiveBytes = 4096;
// The least time by which Linux delays an ACK (TCP_DELACK_MIN), and the number of reads within that
// time from one renewal of the delay to the next.
inline constexpr uint64_t kDelayedAckMs = 40;
inline constexpr uint32_t kQuickReads = 64;
// Interim (1xx) responses before the final one; more is a broken upstream.
inline constexpr unsigned kInterimHeadsMax = 16;
// Request body bytes held between client and upstream. That is also the most that can be sent again
// on a fresh connection when a kept-alive one turns out to be stale, whatever --retry-buffer says.
inline constexpr size_t kRequestWindow = 64 * 1024;
// The same while memory is tight.
inline constexpr size_t kTightRequestWindow = 16 * 1024;

// A reset follows the last bytes before it by so much: a client that reads both at once may drop
// the bytes (curl does, over HTTP/2), and with them the error event that says why. So does any end
// of a packed body that is aborted: a client may hear of it before its decoder has the bytes
// (Node's fetch does).
inline constexpr uint64_t kAbortDelayMs = 50;

// After a response that ends the connection we read and drop the client's bytes for a while, so
// that the close does not reset the response away (RFC 9112 section 9.6). Most clients look for an
// answer only once their upload is complete, and a slow client takes its time for that.
inline constexpr uint64_t kLingerMs = 2000;             // the request is complete
inline constexpr uint64_t kUploadLingerMs = 30'000;     // it is not
inline constexpr uint64_t kUploadSilenceMs = 5'000;     // and nothing more of it comes
inline constexpr size_t kLingerReceiveBytes = 1 << 20;  // one receive

// HTTP/2: pieces of one stream in a send, and bytes of our own that wait before the peer is heard
// again: frames of its may each want an answer.
inline constexpr size_t kHttp2StreamPieces = 16;
// Where streams of different urgency have much to send, one batch in so many begins with one that
// is less urgent.
inline constexpr uint8_t kHttp2UrgentBatches = 8;
inline constexpr size_t kHttp2OwnBytes = 64 * 1024;
inline constexpr size_t kHttp2OwnBytesKept = 4096;  // of that buffer, while nothing is in it
inline constexpr size_t kHttp2QueuedFrames = 1000;
inline constexpr size_t kHttp2ReceiveBytes = 64 * 1024;
// Streams of which a client may say how urgent they are before they begin.
inline constexpr size_t kHttp2EarlyPriorities = 100;
// What the codec has on the heap for a connection and for each stream, as measured and rounded up.
// What it has beyond that is the peer's doing, and charged.
inline constexpr size_t kHttp2CodecBytes = 12 * 1024;
inline constexpr size_t kHttp2CodecStreamBytes = 1024;
// Frames that ask for no answer of use (Http2Flood): so many at once, and so many a second. A page
// with 100 streams that is closed sends 100 resets.
inline constexpr uint32_t kHttp2IdleFrames = 1000;
inline constexpr uint64_t kHttp2IdleFramesPerSecond = 100;
// Those of a body whose request was refused while they were under way.
inline constexpr uint32_t kHttp2LateFrames = 64;
// A frame of a body is answered by up to two updates of windows, and more of a large one: some
// clients give back what they have read in pieces of 4 KiB, of the stream and of the connection.
inline constexpr uint32_t kHttp2UpdatesPerFrame = 2;
inline constexpr size_t kHttp2BytesPerUpdate = 2048;
// A client that has not answered the notice of a drain by then is told of its end all the same.
inline constexpr uint64_t kHttp2NoticeMs = 1000;

// When an accept has failed, or there is no room for another client, the listener rests for the
// first time. A worker reports it once in the second time at most.
inline constexpr uint64_t kAcceptPauseMs = 100;
inline constexpr uint64_t kAcceptWarningMs = 60'000;

// The end of the grace ends open streams over the first time, in steps, since their clients come
// back.
inline constexpr uint64_t kEndingMs = 1000;
inline constexpr uint64_t kEndingStepMs = 20;

// A window that lasts less than the fast time belongs to a fast client, and doubles; one that lasts
// longer than the slow time falls back. Both are judged over so many bytes: more than the sockets'
// buffers take for a client that reads nothing.
inline constexpr uint32_t kWindowTrialBytes = 512 * 1024;
inline constexpr uint64_t kFastWindowMs = 50;
inline constexpr uint64_t kSlowWindowMs = 1000;
// From this window on an event stream may read into the larger slots.
inline constexpr uint32_t kWideWindow = 64 * 1024;

// Request targets in logs and /streams are cut here, and other fields of the request here.
inline constexpr size_t kLoggedTargetBytes = 512;
inline constexpr size_t kLoggedFieldBytes = 256;
// An X-Request-Id longer than this is replaced by one of ours.
inline constexpr size_t kRequestIdBytes = 128;

// Streams listed by /streams, per worker.
inline constexpr size_t kStreamsListed = 1000;

// An upstream that fails again and again is ejected for no longer than this. If it then stays well
// for so long, its next ejection is as short as its first. (--eject-time may be no more.)
inline constexpr uint64_t kEjectMsMax = 300'000;
// The weight with which --slow-start begins, as a part of the whole.
inline constexpr double kSlowStartLeast = 0.05;
// Probes of upstreams that are under way at a time, and what each may receive at once: most heads
// are smaller.
inline constexpr unsigned kProbesMax = 32;
inline constexpr size_t kProbeReceiveBytes = 4096;
// The interval of --health is made longer or shorter by up to this part of it.
inline constexpr uint64_t kProbeJitterFraction = 10;
// --balance hash passes over an upstream that has more than this times its share.
inline constexpr double kHashLoadMax = 1.25;

// Pieces of one event for which a worker has room from the start: those of --event-hold in slots
// that are a quarter full.
inline constexpr size_t kEventPieces = 64;
// So many events without an id, and a stream is taken for one that has none.
inline constexpr uint64_t kEventsWithoutIdMax = 100;
// An id longer than this is not remembered; those that are take one block of at most that size, of
// which a half is in use. A stream with ids of 500 bytes remembers the last 32.
inline constexpr size_t kHealIdBytes = 512;
inline constexpr size_t kHealBlockBytes = 32 * 1024;
// Between the attempts to heal a stream: anything up to the first time, which doubles up to the
// second. The second bounds an upstream's `retry:`, too, and the third its Retry-After.
inline constexpr uint64_t kHealBackoffMs = 250;
inline constexpr uint64_t kHealBackoffMsMax = 30'000;
inline constexpr uint64_t kRetryAfterMsMax = 60'000;
// A resumed stream that lives for so long is whole, even if nothing has come: what breaks it then
// is another failure.
inline constexpr uint64_t kHealSettledMs = 5'000;
// So many streams that wait for an upstream end their wait when one has been resumed there.
inline constexpr unsigned kWokenPerResumed = 2;
// Retries before content: one for so many requests to the upstream, that many to begin with, and no
// more saved up than these.
inline constexpr uint32_t kRequestsPerRetry = 5;
inline constexpr uint32_t kRetriesAtFirst = 10;
inline constexpr uint32_t kRetriesSaved = 100;

// The body of an answer that is kept while another upstream is asked, and the time that the whole
// of it may take: the next attempt waits for that.
inline constexpr size_t kKeptAnswerBytes = 4 * 1024;
inline constexpr uint64_t kKeptAnswerMs = 100;

// Of a name: addresses kept for each family; how long the first answer of a first look-up waits for
// the other family's (RFC 8305 section 3); and the time between two look-ups at least, however much
// an answer is doubted.
inline constexpr size_t kNameAddressesMax = 128;
inline constexpr uint64_t kDnsOtherFamilyMs = 50;
inline constexpr uint64_t kDnsRetryMs = 1'000;
// A look-up that is due comes earlier by chance, by up to this part of its time.
inline constexpr uint64_t kDnsJitterPart = 10;
// Questions of a worker under way: more at once would be lost on their way, or refused.
inline constexpr size_t kDnsQuestionsMax = 32;
// How often the files that say how names are looked up are looked at, at most.
inline constexpr uint64_t kDnsFilesMs = 1'000;
// A look-up asks each server of the system this often, and waits that long the first time.
inline constexpr int kDnsTries = 2;
inline constexpr int kDnsTimeoutMs = 1'500;
// A connect is given so long before the next address is tried beside it (RFC 8305 section 5); the
// oldest gives way where so many are under way, and one connection tries so many. An address that
// did not answer comes last for a while.
inline constexpr uint64_t kConnectDelayMs = 250;
inline constexpr size_t kConnectsAtOnce = 4;
inline constexpr size_t kConnectAddressesMax = 16;
inline constexpr uint64_t kAddressFailedMs = 10'000;

// Where all connections to an upstream are in use, a worker whose requests wait looks so often
// whether another has given one back; a worker that has idle ones looks so often whether any are
// wanted elsewhere. A worker leaves a place to another whose oldest request came so much earlier.
inline constexpr uint64_t kPlaceLookMs = 10;
inline constexpr uint64_t kIdlePlaceLookMs = 100;
inline constexpr uint64_t kPlaceLeadMs = 100;

// Upstreams of a route: those that a stream has tried are bits of a word.
inline constexpr size_t kUpstreamsMax = 64;

// Of an event, for which a worker's filters have room from the start. For a longer one it grows.
inline constexpr size_t kFilterBenchBytes = size_t{64} << 10;
// Filters of a route: those that look at a stream's events are bits of a word.
inline constexpr size_t kFiltersMax = 32;

// An expression's bytes, and the instructions that RE2 makes of it: it takes up to 2.5 ms to
// compile.
inline constexpr size_t kExpressionBytes = size_t{16} << 10;
inline constexpr size_t kExpressionProgram = 8192;
// Searches of one event: the steps that one of them may take (SearchBudget), each up to 4 ns, and
// the time of all of them, which is asked for once in so many steps. 64 KiB and 1,024 instructions
// fit; a search by the DFA, which is the rule, takes 1.2 ns for a byte of text. Each search counts
// for a few steps more, since it takes as long as these even where its text is one byte.
inline constexpr uint64_t kSearchStepsMax = uint64_t{1} << 26;
inline constexpr uint64_t kSearchBaseSteps = 32;
inline constexpr uint64_t kSearchAskSteps = uint64_t{1} << 22;
inline constexpr uint64_t kSearchNs = 20'000'000;

// What a script may write for one event, in all.
inline constexpr size_t kScriptOutputBytes = size_t{1} << 20;
// States of one configuration's scripts, per worker: another is made where scripts have filled one.
inline constexpr unsigned kScriptStatesMax = 4;
// Counters of scripts, per worker; beyond them the label is "other". Names and labels are cut here.
inline constexpr size_t kScriptCountersMax = 1000;
inline constexpr size_t kScriptNameBytes = 64;
// Lines that scripts log in a second, per worker, and the bytes of one.
inline constexpr unsigned kScriptLinesPerSecond = 10;
inline constexpr size_t kScriptLineBytes = 512;
// What functions count for instructions, since no hook sees them: so many bytes that are gone
// through count for one; an expression that is compiled (and each byte of it for one more), a line
// and a counter for that many.
inline constexpr size_t kScriptBytesPerInstruction = 16;
inline constexpr uint64_t kScriptCompileCost = 2000;
// A search goes through its text at that rate where RE2's DFA does it. Its NFA takes up to 4 ns for
// each byte and instruction of the expression, so as many more instructions count as much again;
// and one search, which nothing stops, may take so many steps (SearchBudget): 70 ms.
inline constexpr uint64_t kScriptProgramPerInstruction = 16;
inline constexpr uint64_t kScriptSearchSteps = uint64_t{1} << 24;
inline constexpr uint64_t kScriptLogCost = 100;
inline constexpr uint64_t kScriptCountCost = 20;
// So far a request's body is read for whether it wants a stream, where nobody counts its usage.
inline constexpr uint64_t kLlmRequestBytes = uint64_t{4} << 20;
// So long behind the last event of its dialect an upstream may take to end its response, so that
// its connection can be kept; then the client's is ended.
inline constexpr uint64_t kLastEventMs = 250;
// Of events without content, held by a content gate; it opens then.
inline constexpr size_t kGateBytes = size_t{64} << 10;

// Upstreams of a worker that go on without their client, so that they tell of usage, and the bytes
// that each may still send: nobody is to keep many upstreams at work by asking and leaving.
inline constexpr uint32_t kUsageDrainsMax = 100;
inline constexpr uint64_t kUsageDrainBytes = uint64_t{16} << 20;
// An answer that is no stream is held up to this size, so that its head can tell of its usage.
inline constexpr size_t kUsageAnswerBytes = size_t{64} << 10;
// Of an answer that its client gets packed, so many bytes are unpacked to be read for its usage.
inline constexpr uint64_t kUsageUnpackedBytes = uint64_t{8} << 20;
// Models that a worker counts by name, over all routes; the rest are "other" on their route.
inline constexpr size_t kUsageModelsMax = 100;
}  // namespace sluice::limits

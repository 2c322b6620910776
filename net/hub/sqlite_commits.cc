#include "net/hub/sqlite_commits.h"

#include <algorithm>
#include <utility>

#include "core/clock.h"
#include "net/hub/sqlite_file.h"

namespace sluice {

namespace {

// A commit of more takes so long that those who wait for it notice.
constexpr uint64_t kCommitBytesMax = uint64_t{4} << 20;
// Pages in the log, and again in the file.
constexpr uint64_t kRoomPerByte = 2;
// A pause of this length is used for a checkpoint; without pauses history is trimmed by commits.
constexpr uint64_t kRestMs = 1000;
constexpr uint64_t kTrimEveryMs = 30'000;
// Between two tries of a store that has failed; longer and longer while it fails again soon.
constexpr uint64_t kRetryMinMs = 250;
constexpr uint64_t kRetryMaxMs = 8000;
constexpr uint64_t kSoundAfterMs = 10'000;

uint64_t now_ms() {
  return monotonic_ns() / kNsPerMs;
}

StoreOutcome outcome_of(StoreState state) {
  return state == StoreState::kFull ? StoreOutcome::kFull : StoreOutcome::kFailed;
}

}  // namespace

SqliteCommits::SqliteCommits(const SqliteStoreOptions& options, StoreUser& user,
                             SqliteReader& reader)
    : options_(options),
      user_(user),
      reader_(reader),
      queue_(options.queue_bytes_max),
      room_(options.file + "-ballast", options.room) {}

std::optional<StoreHead> SqliteCommits::open(StoreLoad& into, std::string& error) {
  if (!lock_.take(options_.file + "-lock", error)) return std::nullopt;
  SqliteResult result;
  SqliteFile file = open_sqlite_file(options_.file, options_.ack, options_.vfs, result, error);
  if (!file.db && result == SqliteResult::kFull) {
    room_.drop_ballast();
    file = open_sqlite_file(options_.file, options_.ack, options_.vfs, result, error);
  }
  if (!file.db) return std::nullopt;

  StoreHead head;
  head.epoch = file.epoch;
  writer_ = std::make_unique<SqliteWriter>(std::move(file.db), options_.history);
  result = writer_->opened();
  if (result == SqliteResult::kDone) result = load_sqlite(writer_->db(), into, head);
  if (result != SqliteResult::kDone) {
    error = options_.file + " cannot be read, and is left as it is: " + writer_->db().error();
    return std::nullopt;
  }
  durable_ = head.last_global_position;
  if (!room_.take_ballast() || !room_.has(0)) state_ = StoreState::kFull;
  return head;
}

void SqliteCommits::run() {
  if (!ready()) become(state(), "the disk has no room");
  bool goes_on = true;
  while (goes_on) {
    goes_on = queue_.take(pending_, wait_ms());
    if (!ready() && now_ms() >= retry_at_ms_) try_again();
    if (!ready()) {
      refuse_pending();
    } else if (!pending_.empty()) {
      write_some();
    } else if (goes_on) {
      rest();
    }
  }
  finish();
}

uint64_t SqliteCommits::wait_ms() const {
  if (!ready()) {
    uint64_t now = now_ms();
    return retry_at_ms_ > now ? retry_at_ms_ - now : 0;
  }
  if (!pending_.empty()) return 0;
  return rested_ ? kTrimEveryMs : kRestMs;
}

// So many batches at the front of those that wait go into one commit; 0: the first one does not
// follow what is durable.
size_t SqliteCommits::next_run(uint64_t& bytes) const {
  uint64_t last = durable_;
  size_t count = 0;
  bytes = 0;
  for (const std::unique_ptr<StoreBatch>& batch : pending_) {
    if (!batch->events.empty()) {
      if (batch->events.front().global_position != last + 1) break;
      last = batch->events.back().global_position;
    }
    bytes += bytes_of(*batch);
    if (count > 0 && bytes > kCommitBytesMax) break;
    ++count;
  }
  return count;
}

void SqliteCommits::write_some() {
  uint64_t bytes = 0;
  size_t count = next_run(bytes);
  if (count == 0) {
    answer(1, StoreOutcome::kOutOfOrder);
    return;
  }
  if (!room_.has(kRoomPerByte * bytes)) {
    failed(SqliteResult::kFull, "the disk has no room", count);
    return;
  }
  rested_ = false;
  SqliteResult result = writer_->write(pending_, count);
  if (result != SqliteResult::kDone) {
    failed(result, writer_->error(), count);
    return;
  }
  durable_ = writer_->last_global_position();
  answer(count, StoreOutcome::kDurable);
  result = writer_->checkpoint_if_due();
  if (result != SqliteResult::kDone) failed(result, writer_->error(), 0);
}

void SqliteCommits::rest() {
  SqliteResult result = writer_->write(pending_, 0);
  rested_ = writer_->db().log_pages() == 0;
  if (result == SqliteResult::kDone) result = writer_->checkpoint_rest();
  if (result != SqliteResult::kDone) failed(result, writer_->error(), 0);
}

// `batches`: how many a commit was about.
void SqliteCommits::failed(SqliteResult result, const std::string& reason, size_t batches) {
  switch (result) {
    case SqliteResult::kFull:
      become(StoreState::kFull, reason);
      // With this room the log can be emptied into the file; what is deleted later makes more.
      room_.drop_ballast();
      (void)writer_->checkpoint_rest();
      break;
    case SqliteResult::kBusy:
      become(StoreState::kFailed, reason);
      break;
    case SqliteResult::kIo:
      in_doubt_ = batches;
      anew_ = true;
      become(StoreState::kFailed, reason);
      break;
    default:
      become(StoreState::kBroken, reason);
      break;
  }
  refuse_pending();
}

void SqliteCommits::become(StoreState state, const std::string& reason) {
  uint64_t now = now_ms();
  if (state == StoreState::kReady) {
    ready_since_ms_ = now;
  } else {
    bool again = retry_ms_ > 0 && now - ready_since_ms_ < kSoundAfterMs;
    retry_ms_ = again ? std::min(2 * retry_ms_, kRetryMaxMs) : kRetryMinMs;
    retry_at_ms_ = now + retry_ms_;
  }
  state_.store(state, std::memory_order_release);
  user_.on_state(state, reason);
}

void SqliteCommits::try_again() {
  bool done = false;
  if (state() != StoreState::kBroken) done = anew_ ? try_anew() : try_full();
  if (done) {
    become(StoreState::kReady, "");
  } else {
    retry_ms_ = std::min(2 * retry_ms_, kRetryMaxMs);
    retry_at_ms_ = now_ms() + retry_ms_;
  }
}

// History that is due to go goes all the same, in the room that the ballast was.
bool SqliteCommits::try_full() {
  SqliteResult result = writer_->write(pending_, 0);
  if (result == SqliteResult::kFull) {
    room_.drop_ballast();
    result = writer_->write(pending_, 0);
  }
  if (result == SqliteResult::kDone) result = writer_->checkpoint_rest();
  bool has_room = room_.take_ballast() && room_.has(0);
  if (result == SqliteResult::kDone && has_room) result = probe_sqlite_file(writer_->db());
  if (result == SqliteResult::kIo) anew_ = true;
  if (result == SqliteResult::kDamaged || result == SqliteResult::kOther)
    become(StoreState::kBroken, writer_->error());
  return result == SqliteResult::kDone && has_room;
}

bool SqliteCommits::try_anew() {
  // SQLite reads the log from the disk again when nobody has it open.
  reader_.release();
  writer_.reset();
  SqliteResult result;
  std::string error;
  std::unique_ptr<SqliteDb> db = reopen_sqlite_file(options_.file, options_.vfs, result, error);
  if (db) {
    writer_ = std::make_unique<SqliteWriter>(std::move(db), options_.history);
    result = writer_->opened();
  }
  if (result == SqliteResult::kDone) {
    anew_ = false;
    settle_doubt();
  } else if (result == SqliteResult::kDamaged || result == SqliteResult::kOther) {
    become(StoreState::kBroken, error);
  }
  return state() != StoreState::kBroken && !anew_;
}

// What the file has now is all that there is.
void SqliteCommits::settle_doubt() {
  uint64_t last = durable_;
  for (size_t i = 0; i < in_doubt_; ++i) {
    if (!pending_[i]->events.empty()) last = pending_[i]->events.back().global_position;
  }
  size_t in_doubt = std::exchange(in_doubt_, 0);
  uint64_t found = writer_->last_global_position();
  if (found == last && last != durable_) {
    durable_ = last;
    answer(in_doubt, StoreOutcome::kDurable);
  } else if (found != durable_) {
    // The disk has lost what it had said it had. Whoever opens the file next has to know.
    mark_sqlite_file_lossy(writer_->db());
    become(StoreState::kBroken, "events that had been written are missing from " + options_.file);
  } else if (last != durable_ && options_.ack == StoreAck::kDisk) {
    while (!pending_.empty()) answer(1, StoreOutcome::kFailed);
  }
  // What has no event cannot be found, and is written again: its rows take their own place.
}

void SqliteCommits::refuse_pending() {
  bool for_good = state() == StoreState::kBroken;
  // At once shown, these have to be written in the end.
  bool keep = options_.ack == StoreAck::kMemory || in_doubt_ > 0;
  if (keep && !for_good) return;
  in_doubt_ = 0;
  answer(pending_.size(), outcome_of(state()));
}

void SqliteCommits::answer(size_t batches, StoreOutcome outcome) {
  for (; batches > 0; --batches) {
    std::unique_ptr<StoreBatch> batch = std::move(pending_.front());
    pending_.pop_front();
    queue_.answered(*batch);
    user_.on_appended(std::move(batch), outcome);
  }
}

void SqliteCommits::finish() {
  if (!ready()) try_again();
  while (ready() && !pending_.empty()) write_some();
  // What is refused now has been seen, unless only what is durable is shown.
  bool lossy = options_.ack == StoreAck::kMemory && !pending_.empty();
  in_doubt_ = 0;
  answer(pending_.size(), outcome_of(state()));
  if (writer_ && !lossy && state() != StoreState::kBroken) {
    (void)close_sqlite_file(writer_->db());
  }
  writer_.reset();
}

}  // namespace sluice

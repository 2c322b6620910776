// A hub's request that reads pages of the store. It keeps no page: what its client has no room for
// is read again, so readers that are behind and slow cost no memory.
#include <algorithm>
#include <utility>

#include "net/hub/hub_request.h"
#include "net/hub/hubs.h"
#include "net/hub/local_hub.h"

namespace sluice {

namespace {

constexpr size_t kPageEvents = 100;
constexpr size_t kPageBytesLeast = 16UL * 1024;

}  // namespace

StoreRead HubRequest::page_wanted() {
  StoreRead page;
  if (call_ && call_->what == HubCall::What::kLast) {
    page.of.push_back({.name = call_->sources.front().name});
    page.from_position = last_before_;
    page.backwards = true;
    page.events_max = call_->type.empty() ? 1 : kPageEvents;
    return page;
  }
  page = cursor_.page_wanted(call_ ? call_->start : Start{}, from());
  page.events_max = kPageEvents;
  // A page that is larger than the client's room would be read in vain.
  page.bytes_max = std::clamp<size_t>(call_ ? 0 : stream_->response_credit(), kPageBytesLeast,
                                      limits::kHubPageBytesMax);
  return page;
}

void HubRequest::on_page(const StorePage& page) {
  ++hub_.counts().store_pages;
  if (call_ && call_->what == HubCall::What::kLast) {
    find_last(page);
    return;
  }
  uint64_t before = cursor_.at();
  bool begins = call_ != nullptr;
  switch (cursor_.enter(page, begins ? call_->start : Start{}, hub_.log(), from())) {
    case Cursor::Entered::kTooEarly:
      hub_.pages()->ask_later(*this);
      return;
    case Cursor::Entered::kInLog:
      go_on_in_log();
      return;
    case Cursor::Entered::kLost:
      if (!go_through(page, /*lost=*/true)) return;
      break;
    case Cursor::Entered::kWhole:
      if (!go_through(page, /*lost=*/false)) return;
      break;
  }
  // What it reads may have been evicted before it is in the store.
  if (!begins && cursor_.at() == before)
    hub_.pages()->ask_later(*this);
  else
    pump();
}

void HubRequest::go_on_in_log() {
  if (call_) {
    begin_in_log(cursor_.begin(call_->start, hub_.log(), from(), hub_.epoch(), only_stream()));
    return;
  }
  if (form_ == BlockForm::kMessage)
    cursor_.skip_lost(from());
  else if (!on_lost())
    return;
  pump();
}

// `lost`: there was more before the page. False: it goes no further, for now or for good.
bool HubRequest::go_through(const StorePage& page, bool lost) {
  bool begins = call_ != nullptr;
  bool told = lost && (begins ? tells_gaps() : form_ != BlockForm::kMessage);
  if (told && !begins && !goes_on_behind_gap()) return false;
  uint64_t end = cursor_.end_of(page, hub_.log());
  Blocks blocks = blocks_of(page, end);
  if (blocks.empty()) cursor_.go_to(end);
  HubId next = next_id(page, blocks);
  if (begins)
    begin_reading(told, next);
  else if (told)
    write(gap_text(next));
  if (state_ != State::kReading || !pass_on(blocks)) return false;
  if (left_ > 0) cursor_.go_to(end);
  return true;
}

// Those that it wants, and that this worker's log has had.
HubRequest::Blocks HubRequest::blocks_of(const StorePage& page, uint64_t end) const {
  Blocks blocks;
  std::string scratch;
  for (const StoredEvent& event : page.events) {
    if (event.global_position < cursor_.at()) continue;
    if (event.global_position >= end) break;
    std::unique_ptr<Block, LetGo> block(
        make_block(event, hub_.exchange().seed, /*holders=*/1, scratch));
    const LogStream* stream = hub_.log().stream(event.stream);
    if (stream && cursor_.wants(*block, *stream)) blocks.push_back(std::move(block));
  }
  return blocks;
}

// Of the first event that it gets of the page, or behind it.
HubId HubRequest::next_id(const StorePage& page, const Blocks& blocks) const {
  bool single = form_ == BlockForm::kEvent || form_ == BlockForm::kPoke;
  if (!blocks.empty() && single)
    return {blocks.front()->stream_epoch(), blocks.front()->position()};
  if (!blocks.empty()) return {hub_.epoch(), blocks.front()->global()};
  if (!single || page.events.empty()) return next_id();
  uint32_t epoch = Home::stored_epoch(hub_.exchange().seed, page.events.front().stream);
  for (const StoredEvent& event : page.events)
    if (event.global_position >= cursor_.at()) return {epoch, event.position};
  return {epoch, page.events.back().position + 1};
}

// False: its client has no room for more, or has gone.
bool HubRequest::pass_on(const Blocks& blocks) {
  for (size_t i = 0; i < blocks.size() && left_ > 0;) {
    if (stream_->response_credit() == 0) return false;
    std::string text;
    uint32_t events = 0;
    do {
      const Block& block = *blocks[i++];
      cursor_.go_to(block.global() + 1);
      if (lease_) lease_->delivered = block.global();
      if (form_ == BlockForm::kMessage) {
        append_message(text, block);
      } else {
        text += block.form(form_);
        ++events;
      }
    } while (i < blocks.size() && left_ > 0 && text.size() < limits::kHubTextBytes);
    hub_.counts().delivered += events;
    if (!write_events(text, events)) return false;
  }
  return true;
}

// `events`: that the text consists of. False: the stream is gone.
bool HubRequest::write_events(std::string_view text, uint32_t events) {
  if (!stream_->takes_coded()) return write(text);
  stream_->on_coded_events({}, hub_.coder().code(text), text, events, /*name=*/0);
  return stream_ != nullptr;
}

// Newest first.
void HubRequest::find_last(const StorePage& page) {
  if (page.last + 1 < hub_.log().first()) {
    hub_.pages()->ask_later(*this);
    return;
  }
  std::string scratch;
  for (const StoredEvent& event : page.events) {
    if (!call_->type.empty() && event.type != call_->type) continue;
    std::unique_ptr<Block, LetGo> block(
        make_block(event, hub_.exchange().seed, /*holders=*/1, scratch));
    answer(200, std::string(block->message()) + "\n");
    return;
  }
  const LogStream* stream = hub_.log().stream(call_->sources.front().name);
  if (!page.events.empty()) last_before_ = page.events.back().position;
  if (page.end || !stream || stream->next - last_before_ >= limits::kHubLastScannedMax)
    problem(404, "The hub holds no such message.");
  else
    hub_.pages()->ask(*this);
}

void HubRequest::on_no_page() {
  ++hub_.counts().store_unread;
  if (call_ && state_ != State::kStandby) {  // that one's head has left
    problem(503, "The hub's history cannot be read now.", {{"Retry-After", "5"}});
    return;
  }
  Stream* stream = stream_;
  stream->on_upstream_lost(Ending::kUnavailable, "hub", /*nothing_sent=*/false);
  let_go();
}

}  // namespace sluice

// A stream and the scripts among its route's filters: they are asked at its request's head whether
// they look at it, and are told of its end, however it comes.
#include "net/http/target.h"
#include "net/script/scripts.h"
#include "net/stream/stream.h"
#include "net/stream/streams.h"

namespace sluice {

namespace {

const char* reason_of(ScriptFailure failure) {
  return failure == ScriptFailure::kLimit ? "script_limit" : "script_error";
}

}  // namespace

// False: the request has been refused.
bool Stream::open_scripts(const Head& head) {
  std::string_view query = split_target(head.target()).query;
  if (!query.empty()) query.remove_prefix(1);
  Scripts::Opened opened = streams_.scripts().open(
      snapshot_->config(), snapshot_->generation(), *route_->filters, inspection_->filters,
      {.method = head.method(), .path = target_path(head.target()), .query = query, .head = &head});
  inspection_->filters = opened.chosen;
  inspection_->scripts = std::move(opened.scripts);
  if (opened.failure != ScriptFailure::kNone) {
    if (head.body() != BodyKind::kNone) keep_alive_ = false;
    fail_by_script(opened.failure);
    return false;
  }
  if (opened.chosen == 0) inspection_.reset();
  return true;
}

void Stream::fail_by_script(ScriptFailure failure) {
  fail(Ending::kScriptFailed, reason_of(failure));
}

void Stream::end_scripts() {
  std::unique_ptr<StreamScripts> scripts = std::move(inspection_->scripts);
  if (scripts) scripts->on_end(ending_name(ending_));
}

}  // namespace sluice

#include "net/llm/usage_meter.h"

namespace sluice {

UsageMeter::Seen UsageMeter::on_event(std::string_view data, const EventMembers& members,
                                      uint64_t now_ns) {
  Seen seen;
  if (size_t bytes = content_bytes(data, members); bytes > 0) {
    content_bytes_ += bytes;
    seen.has_content = true;
    seen.gap_ns = times_.add(now_ns);
  }
  if (!members.may_have_usage()) return seen;
  answer_.begin_text();
  answer_.read(data);
  if (answer_.usage_begun()) on_report();
  seen.is_usage_alone = answer_.is_usage_alone();
  return seen;
}

void UsageMeter::on_torn_event(std::string_view bytes, bool begins) {
  if (begins) answer_.begin_text();
  bool had_usage = !begins && answer_.usage_begun();
  answer_.read(bytes);
  if (answer_.usage_begun() && !had_usage) on_report();
}

UsageMeter::Bill UsageMeter::bill(bool served) const {
  Bill bill{.usage = answer_.usage()};
  bool reported = bill.usage.told != 0;
  if (!reported && !served) return bill;
  uint64_t behind_report = content_bytes_ - content_at_report_;
  if (!reported && content_bytes_ == 0) behind_report = answer_.text_bytes() + unread_bytes_;
  bool estimates = behind_report > 0 || !bill.usage.has(TokenKind::kInput);
  if (!bill.usage.has(TokenKind::kInput))
    bill.usage.set(TokenKind::kInput, estimated_tokens(request_->text_bytes()));
  if (behind_report > 0 || !bill.usage.has(TokenKind::kOutput))
    bill.usage.set(TokenKind::kOutput,
                   bill.usage.of(TokenKind::kOutput) + estimated_tokens(behind_report));
  bill.source = estimates ? UsageSource::kEstimated : UsageSource::kReported;
  return bill;
}

}  // namespace sluice

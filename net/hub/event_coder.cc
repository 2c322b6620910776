#include "net/hub/event_coder.h"

namespace sluice {

EventCoder::Coded EventCoder::code(const Log::Entry& event, const CodedForm::Name& name) {
  CodedForm& form = form_of(*event.block, name);
  return {slots_.lend(event.lease, form), form.text()};
}

CodedForm& EventCoder::form_of(Block& block, CodedForm::Name name) {
  CodedForm* form = block.coded().find(name);
  std::string_view behind = form ? std::string_view() : before(block, name);
  if (!form && behind.empty() && name.behind != 0) {
    name.behind = 0;
    form = block.coded().find(name);
  }
  if (form) return *form;
  ++made_;
  CodedText text = coder_.code(block.form(name.form), behind);
  return block.coded().add(CodedForm::make(name, text, bytes_));
}

// The event that a form may be made behind; empty: none.
std::string_view EventCoder::before(Block& block, const CodedForm::Name& name) const {
  if (name.behind == 0 || block.coded().behind_others() >= limits::kCodedBehindMax) return {};
  const Log::Entry* event = log_.at(name.behind);
  return event ? event->block->form(name.form) : std::string_view();
}

}  // namespace sluice

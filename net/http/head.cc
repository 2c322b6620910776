#include "net/http/head.h"

#include <utility>

#include "net/http/text.h"

namespace sluice {

std::optional<std::string_view> Head::find(std::string_view name) const {
  for (const FieldSlices& field : fields_) {
    if (equals_ignoring_case(view(field.name), name)) return view(field.value);
  }
  return std::nullopt;
}

bool Head::lists_token(std::string_view name, std::string_view token) const {
  for (const FieldSlices& field : fields_) {
    if (!equals_ignoring_case(view(field.name), name)) continue;
    if (any_list_element(view(field.value), [token](std::string_view element) {
          return equals_ignoring_case(without_parameters(element), token);
        })) {
      return true;
    }
  }
  return false;
}

void Head::clear() {
  arena_.clear();
  fields_.clear();
  content_length_ = 0;
  method_ = {};
  target_ = {};
  status_ = 0;
  version_minor_ = 0;
  body_ = BodyKind::kNone;
}

Head::Slice Head::slice_of(std::string_view text) const {
  return {static_cast<uint32_t>(text.data() - arena_.data()), static_cast<uint32_t>(text.size())};
}

HeadPool::HeadPool(size_t kept_max) : kept_max_(kept_max) {
  kept_.reserve(kept_max);
}

std::unique_ptr<Head> HeadPool::acquire() {
  if (kept_.empty()) return std::make_unique<Head>();
  std::unique_ptr<Head> head = std::move(kept_.back());
  kept_.pop_back();
  return head;
}

void HeadPool::release(std::unique_ptr<Head> head) {
  if (kept_.size() == kept_max_) return;
  head->clear();
  kept_.push_back(std::move(head));
}

}  // namespace sluice

// Makes a head that no peer has sent, so that it goes the way of one that was parsed: of a
// response, or of a request of ours. Of a head's parts only those are set that their writers look
// at.
#pragma once

#include <cstdint>
#include <string_view>

#include "net/http/head.h"

namespace sluice {

class HeadBuilder {
 public:
  // `head` is cleared.
  HeadBuilder(Head& head, int status) : head_(head) {
    head.clear();
    head.status_ = static_cast<uint16_t>(status);
    head.version_minor_ = 1;
  }
  HeadBuilder(Head& head, std::string_view method, std::string_view target) : head_(head) {
    head.clear();
    head.method_ = put(method);
    head.target_ = put(target);
    head.version_minor_ = 1;
    head.body_ = BodyKind::kNone;
  }

  // Neither holds what a field cannot hold.
  void field(std::string_view name, std::string_view value) {
    head_.fields_.push_back({put(name), put(value)});
  }
  void body(BodyKind kind, uint64_t content_length = 0) {
    head_.body_ = kind;
    head_.content_length_ = content_length;
  }

 private:
  Head::Slice put(std::string_view text) {
    auto at = static_cast<uint32_t>(head_.arena_.size());
    head_.arena_ += text;
    return {at, static_cast<uint32_t>(text.size())};
  }

  Head& head_;
};

}  // namespace sluice

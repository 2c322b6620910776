// The blocks of an event stream, each up to its blank line, out of body bytes however they were
// cut. For streams whose lines end in LF, as those of our own tools and of the hubs do. It keeps
// only what has come of an unfinished block. One a stream.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace sluice::perf {

class Blocks {
 public:
  // `on_block` is given each whole block, its blank line included.
  template <typename OnBlock>
  void feed(std::string_view body, OnBlock on_block) {
    if (!partial_.empty()) {
      const bool closed_by_first = partial_.back() == '\n' && body.starts_with('\n');
      const size_t end = closed_by_first ? 1 : end_of_block(body);
      partial_.append(body.substr(0, end));
      if (end == std::string_view::npos) return;
      on_block(std::string_view(partial_));
      partial_.clear();
      body.remove_prefix(end);
    }
    for (size_t end; (end = end_of_block(body)) != std::string_view::npos;) {
      on_block(body.substr(0, end));
      body.remove_prefix(end);
    }
    partial_.assign(body);
  }

  // What has come of a block whose end has not.
  size_t partial_bytes() const { return partial_.size(); }
  void clear() { partial_.clear(); }

 private:
  // Just past the first blank line, or npos.
  static size_t end_of_block(std::string_view bytes) {
    const size_t blank = bytes.find("\n\n");
    return blank == std::string_view::npos ? blank : blank + 2;
  }

  std::string partial_;
};

}  // namespace sluice::perf

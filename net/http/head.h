// One message head as it arrived: start line and header fields, in order, in one arena. Owned by
// its stream while the head is parsed and rewritten; recycled through HeadPool, so that a new
// request allocates nothing in steady state. The arena holds the head's bytes, with the blanks
// behind a value moved before it. All views of a head point into its arena and end with clear().
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

// How the body is delimited on the wire (RFC 9112 section 6.3).
enum class BodyKind : uint8_t { kNone, kLength, kChunked, kUntilClose };

class Head {
 public:
  struct Field {
    std::string_view name;
    std::string_view value;  // without leading and trailing blanks
  };

  // Requests.
  std::string_view method() const { return view(method_); }
  std::string_view target() const { return view(target_); }
  // Responses.
  int status() const { return status_; }
  // Both.
  int version_minor() const { return version_minor_; }  // 0 or 1
  BodyKind body() const { return body_; }
  // With kLength; also for a response to HEAD, or a 304, that names one.
  uint64_t content_length() const { return content_length_; }
  size_t field_count() const { return fields_.size(); }
  Field field(size_t i) const { return {view(fields_[i].name), view(fields_[i].value)}; }

  // The first field of that name (case-insensitive), or nullopt.
  std::optional<std::string_view> find(std::string_view name) const;
  // True if a comma-separated field of that name (in any of its lines) lists the token, in any
  // case, parameters ignored.
  bool lists_token(std::string_view name, std::string_view token) const;

  // Forgets the message and keeps the memory.
  void clear();
  // The memory that the peer's bytes occupy here.
  size_t bytes_held() const { return arena_.capacity(); }
  // How many there are.
  size_t bytes_used() const { return arena_.size(); }

 private:
  friend class Http1Parser;  // fills it
  friend class HeadBuilder;  // fills one of our own

  struct Slice {
    uint32_t offset = 0;
    uint32_t size = 0;
  };
  struct FieldSlices {
    Slice name;
    Slice value;
  };

  std::string_view view(Slice slice) const { return {arena_.data() + slice.offset, slice.size}; }
  // `text` lies inside the arena.
  Slice slice_of(std::string_view text) const;

  std::string arena_;
  std::vector<FieldSlices> fields_;
  uint64_t content_length_ = 0;
  Slice method_;
  Slice target_;
  uint16_t status_ = 0;
  uint8_t version_minor_ = 0;
  BodyKind body_ = BodyKind::kNone;
};

// Heads that wait for their next message: one pool a worker, used on its thread. It keeps at most
// `kept_max` of them, so that a burst does not stay resident.
class HeadPool {
 public:
  explicit HeadPool(size_t kept_max);

  std::unique_ptr<Head> acquire();
  void release(std::unique_ptr<Head> head);

  size_t kept() const { return kept_.size(); }

 private:
  std::vector<std::unique_ptr<Head>> kept_;
  size_t kept_max_;
};

}  // namespace sluice

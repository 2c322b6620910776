// Field blocks of HTTP/2 as a simulated client writes and reads them, with the two tables that a
// connection has. The codec is nghttp2's, as the gateway's is: what stands in a block is judged,
// not how it is packed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

struct nghttp2_hd_deflater;
struct nghttp2_hd_inflater;

namespace sluice::sim {

using FieldList = std::vector<std::pair<std::string, std::string>>;

class Http2Fields {
 public:
  Http2Fields();
  ~Http2Fields();
  Http2Fields(const Http2Fields&) = delete;
  Http2Fields& operator=(const Http2Fields&) = delete;

  std::string pack(const FieldList& fields);
  // A block that is none is a violation.
  FieldList unpack(std::string_view block);
  // The peer keeps a table of no more than that.
  void limit_table(uint32_t bytes);

 private:
  nghttp2_hd_deflater* deflater_ = nullptr;
  nghttp2_hd_inflater* inflater_ = nullptr;
};

}  // namespace sluice::sim

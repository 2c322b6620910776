#include "tests/sim/http2_fields.h"

#include <algorithm>
#include <nghttp2/nghttp2.h>

#include "core/check.h"
#include "tests/sim/world.h"

namespace sluice::sim {

namespace {

constexpr size_t kTableBytes = 4096;

uint8_t* data_of(std::string_view text) {
  return reinterpret_cast<uint8_t*>(const_cast<char*>(text.data()));
}

}  // namespace

Http2Fields::Http2Fields() {
  SLUICE_CHECK(nghttp2_hd_deflate_new(&deflater_, kTableBytes) == 0);
  SLUICE_CHECK(nghttp2_hd_inflate_new(&inflater_) == 0);
}

Http2Fields::~Http2Fields() {
  nghttp2_hd_deflate_del(deflater_);
  nghttp2_hd_inflate_del(inflater_);
}

std::string Http2Fields::pack(const FieldList& fields) {
  std::vector<nghttp2_nv> values;
  for (const auto& [name, value] : fields)
    values.push_back(
        {data_of(name), data_of(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE});
  std::string block(nghttp2_hd_deflate_bound(deflater_, values.data(), values.size()), '\0');
  ssize_t size =
      nghttp2_hd_deflate_hd(deflater_, data_of(block), block.size(), values.data(), values.size());
  SLUICE_CHECK(size > 0);
  block.resize(static_cast<size_t>(size));
  return block;
}

FieldList Http2Fields::unpack(std::string_view block) {
  FieldList fields;
  for (bool more = true; more;) {
    nghttp2_nv field;
    int flags = 0;
    ssize_t taken =
        nghttp2_hd_inflate_hd2(inflater_, &field, &flags, data_of(block), block.size(), 1);
    if (taken < 0) violation("a client was sent a field block that cannot be read");
    block.remove_prefix(static_cast<size_t>(taken));
    if ((flags & NGHTTP2_HD_INFLATE_EMIT) != 0)
      fields.emplace_back(std::string(reinterpret_cast<char*>(field.name), field.namelen),
                          std::string(reinterpret_cast<char*>(field.value), field.valuelen));
    more = (flags & NGHTTP2_HD_INFLATE_FINAL) == 0;
  }
  nghttp2_hd_inflate_end_headers(inflater_);
  return fields;
}

void Http2Fields::limit_table(uint32_t bytes) {
  nghttp2_hd_deflate_change_table_size(deflater_, std::min<size_t>(bytes, kTableBytes));
}

}  // namespace sluice::sim

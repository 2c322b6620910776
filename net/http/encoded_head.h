// What the head of a response says differently because its body is, or might have been, encoded or
// decoded by us (RFC 9110 sections 8.8.3, 12.5.5): whatever the protocol in which it is then
// written. Pure.
#pragma once

#include <string_view>

#include "net/http/fields.h"
#include "net/http/head.h"
#include "net/http/rewrite.h"
#include "net/http/text.h"

namespace sluice {

// The kinds of its fields that are left out, beside all others.
inline unsigned left_out_of_encoded(const ResponseRewrite& rewrite) {
  return rewrite.changes_coding() ? kEntityTag | kOfPlainBody : 0;
}

// Calls write(name, prefix, value) for each field that stands there instead; the prefix is a part
// of the value. An entity tag is a weak one: the bytes are not the same each time.
template <typename Write>
void for_fields_of_encoding(const Head& head, const ResponseRewrite& rewrite, Write write) {
  if (rewrite.coding != ContentCoding::kIdentity)
    write("Content-Encoding", "", coding_name(rewrite.coding));
  if (rewrite.changes_coding()) {
    for (size_t i = 0; i < head.field_count(); ++i) {
      const Head::Field field = head.field(i);
      if (kind_of(field.name) != kEntityTag) continue;
      write("ETag", field.value.starts_with("W/") ? "" : "W/", field.value);
    }
  }
  if (!rewrite.usage.empty()) write("X-Usage", "", rewrite.usage);
  if (rewrite.varies && !head.lists_token("vary", "accept-encoding") &&
      !head.lists_token("vary", "*"))
    write("Vary", "", "Accept-Encoding");
}

}  // namespace sluice

// Who a request is from, where proxies stand in between: each proxy that is trusted has added to
// X-Forwarded-For whom it was talking to, so the list is read from its end, and the last hop that
// is not one of them is the client. What stands before that hop is the client's own word, and is
// not looked at. Pure, any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "net/base/address.h"
#include "net/http/head.h"

namespace sluice {

bool in_any(const std::vector<AddressRange>& ranges, const Address& address);

// The client's address in text form. `peer` is that of the connection, a trusted proxy's. An entry
// that is no address ends the walk: the hop that wrote it is the answer.
std::string forwarded_client(const Head& request, std::string_view peer,
                             const std::vector<AddressRange>& trusted);

}  // namespace sluice

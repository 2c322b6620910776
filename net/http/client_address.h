// The client's address behind proxies. Each trusted proxy has added its peer to X-Forwarded-For, so
// the list is read from its end; the last hop that is no trusted proxy is the client. Entries
// before that hop are the client's own word, and are ignored. Pure, any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "net/base/address.h"
#include "net/http/head.h"

namespace sluice {

bool in_any(const std::vector<AddressRange>& ranges, const Address& address);

// The client's address in text form. `peer` is the address of the connection, a trusted proxy's. An
// entry that is no address ends the walk: the answer is then the hop that wrote it.
std::string forwarded_client(const Head& request, std::string_view peer,
                             const std::vector<AddressRange>& trusted);

}  // namespace sluice

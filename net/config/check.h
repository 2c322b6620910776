// What is bound to go wrong, or to go round in circles, found out before anything starts: ports
// that collide, a log that cannot be opened, upstreams that are our own listeners. It only looks:
// no file is made or changed and no port is bound, so that a check may run beside the process that
// it is for. Used by one thread, while the configuration is read. Whether another process has a
// port is therefore not asked: most often that process is the one that the check is for.
#pragma once

#include <string>
#include <vector>

#include "net/config/config.h"

namespace sluice {

// Nobody but one and the same process can listen on both (SO_REUSEPORT).
bool collide(const Address& one, const Address& other);

// Two addresses of --listen, or one and --admin's, that cannot both be listened on: what is wrong
// and what would be right, or "".
std::string colliding_listeners(const Config& config);
std::string colliding_admin(const Config& config);

// Why the access log cannot be opened, and what would be right, or "".
std::string unusable_log(const std::string& path);

// A warning for each upstream that leads back to one of our listeners.
std::vector<std::string> loops(const Config& config);

}  // namespace sluice

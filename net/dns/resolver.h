// Looks names up for one worker. This is the seam between sluice and DNS: net/dns/cares_resolver.h
// asks the system's servers over the worker's own ring, and a simulation may take its place. Made
// by the worker, used on its thread; it outlives everything that asks it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "net/base/address.h"

namespace sluice {

enum class IpFamily : uint8_t { kV4, kV6 };
inline constexpr unsigned kIpFamilies = 2;

struct DnsAnswer {
  enum class Status : uint8_t {
    kFound,
    kNone,    // there is no such name, or it has no address of that family
    kFailed,  // nobody could tell
  };

  Status status = Status::kFailed;
  const char* reason = "";              // of none or failed, for the log
  std::vector<Address> addresses = {};  // with port 0
  uint64_t ttl_ms = 0;                  // 0: not to be kept, or not known
};

// Who waits for an answer. To be forgotten before it is deleted.
class DnsAsker {
 public:
  virtual void on_answer(DnsAnswer answer) = 0;

 protected:
  ~DnsAsker() = default;
};

class Resolver {
 public:
  virtual ~Resolver() = default;

  // Asks for the addresses of that family. One answer follows, never within the call, unless the
  // asker is forgotten first. At most one question of an asker is under way.
  virtual void ask(const std::string& name, IpFamily family, DnsAsker& asker) = 0;
  virtual void forget(DnsAsker& asker) = 0;
  // The system's settings (resolv.conf) may be others from here on.
  virtual void reload() = 0;
};

}  // namespace sluice

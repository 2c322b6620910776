#include "net/config/check.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <ifaddrs.h>
#include <memory>
#include <optional>
#include <sys/stat.h>
#include <unistd.h>

namespace sluice {
namespace {

// Of the machine's interfaces.
bool is_own_ip(const Address& address) {
  ifaddrs* found = nullptr;
  if (::getifaddrs(&found) != 0) return false;
  std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> list(found, &::freeifaddrs);
  for (const ifaddrs* one = found; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr) continue;
    bool v4 = one->ifa_addr->sa_family == AF_INET;
    if (!v4 && one->ifa_addr->sa_family != AF_INET6) continue;
    Address own;
    own.size = v4 ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    std::memcpy(&own.storage, one->ifa_addr, own.size);
    if (own.same_ip(address)) return true;
  }
  return false;
}

// A connection to `to` arrives at `listener`.
bool reaches(const Address& to, const Address& listener) {
  if (to.is_unix() || to.port() != listener.port()) return false;
  if (to.same_ip(listener)) return true;
  // The wildcard address connects to this machine (ip(7) does not say so, but it does).
  bool ours = to.is_wildcard() || to.is_loopback() || is_own_ip(to);
  return ours && (listener.includes(to) || (to.is_wildcard() && listener.is_loopback()));
}

// Of a name none is known yet, but for the one that every machine gives to itself (RFC 6761 section
// 6.3).
std::vector<Address> known_addresses(const Upstream& upstream) {
  if (upstream.url.starts_with("hub:")) return {};
  if (upstream.name.empty()) return {upstream.address};
  if (host_name_key(upstream.name) != "localhost") return {};
  std::vector<Address> all = {*parse_ip("127.0.0.1"), *parse_ip("::1")};
  for (Address& address : all) address.set_port(upstream.port);
  return all;
}

std::string because(int error) {
  return std::string(" (") + std::strerror(error) + ")";
}

// Where the link `path` leads; empty where it is none.
std::string link_target(const std::string& path) {
  std::error_code error;
  std::filesystem::path target = std::filesystem::read_symlink(path, error);
  return error ? "" : (std::filesystem::path(path).parent_path() / target).string();
}

}  // namespace

bool collide(const Address& one, const Address& other) {
  if (one.port() == 0 || one.port() != other.port()) return false;
  return one.same_ip(other) || one.includes(other) || other.includes(one);
}

std::string colliding_listeners(const Config& config) {
  const std::vector<Listen>& all = config.listen;
  for (auto one = all.begin(); one != all.end(); ++one) {
    for (auto other = all.begin(); other != one; ++other) {
      if (!collide(*one, *other)) continue;
      if (one->same_ip(*other)) return one->text() + " is given twice; once is enough";
      const Address& wide = one->includes(*other) ? *one : *other;
      const Address& narrow = &wide == &*one ? *other : *one;
      return narrow.text() + " is a part of " + wide.text() +
             " already; leave it out, or give it another port";
    }
  }
  return "";
}

std::string colliding_admin(const Config& config) {
  if (!config.admin_on) return "";
  for (const Address& address : config.listen) {
    if (!collide(address, config.admin)) continue;
    return "listen (" + address.text() + ") and admin (" + config.admin.text() +
           ") need different ports";
  }
  return "";
}

// Whether a pipe has a reader is not looked at: opening it would tell the reader of an end.
std::string unusable_log(const std::string& path) {
  if (path == "off" || path == "-") return "";
  struct stat found {};
  if (::stat(path.c_str(), &found) == 0) {
    if (S_ISDIR(found.st_mode)) return path + " is a folder; name a file in it";
    if (S_ISSOCK(found.st_mode)) return path + " is a socket; name a file";
    if (::faccessat(AT_FDCWD, path.c_str(), W_OK, AT_EACCESS) == 0) return "";
    return path + " cannot be written to" + because(errno) +
           "; let this user write to it, or name another";
  }
  if (errno != ENOENT) return path + " cannot be looked at" + because(errno) + "; name another";
  // A link that leads nowhere: the file is made where it leads.
  if (std::string target = link_target(path); !target.empty()) return unusable_log(target);
  size_t slash = path.rfind('/');
  std::string folder = slash == path.npos ? "." : path.substr(0, std::max<size_t>(slash, 1));
  if (slash != path.npos && slash + 1 == path.size())
    return path + " names a folder; name a file in it";
  if (::stat(folder.c_str(), &found) != 0)
    return "there is no folder " + folder + because(errno) + "; make it, or name another file";
  if (::faccessat(AT_FDCWD, folder.c_str(), W_OK | X_OK, AT_EACCESS) == 0) return "";
  return "no file can be made in " + folder + because(errno) +
         "; let this user write there, or name another file";
}

std::vector<std::string> loops(const Config& config) {
  std::vector<std::string> all;
  for (const Route& route : config.routes) {
    for (const Upstream& upstream : route.upstreams) {
      for (const Address& listener : config.listen) {
        auto reaches_it = [&](const Address& to) { return reaches(to, listener); };
        if (std::ranges::none_of(known_addresses(upstream), reaches_it)) continue;
        all.push_back("route " + route.path + ": upstream " + upstream.url +
                      " is our own --listen " + listener.text() +
                      ", so requests would go round in circles");
        break;
      }
    }
  }
  return all;
}

}  // namespace sluice

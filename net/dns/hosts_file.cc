#include "net/dns/hosts_file.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "net/base/address.h"
#include "net/base/file.h"

namespace sluice {

namespace {

std::string_view next_word(std::string_view& line) {
  constexpr std::string_view kBlanks = " \t\r";
  size_t begin = std::min(line.find_first_not_of(kBlanks), line.size());
  size_t end = std::min(line.find_first_of(kBlanks, begin), line.size());
  std::string_view word = line.substr(begin, end - begin);
  line.remove_prefix(end);
  return word;
}

bool same(const struct stat& one, const struct stat& other) {
  return one.st_dev == other.st_dev && one.st_ino == other.st_ino && one.st_size == other.st_size &&
         one.st_mtim.tv_sec == other.st_mtim.tv_sec && one.st_mtim.tv_nsec == other.st_mtim.tv_nsec;
}

}  // namespace

bool FileWatch::changed() {
  struct stat now {};
  if (::stat(path_, &now) != 0 || same(now, seen_)) return false;
  seen_ = now;
  return true;
}

const std::array<std::vector<Address>, kIpFamilies>* HostsFile::find(std::string_view name) const {
  auto found = names_.find(host_name_key(name));
  return found == names_.end() ? nullptr : &found->second;
}

void HostsFile::read_if_changed() {
  if (!watch_.changed()) return;
  std::string text;
  if (read_file(watch_.path(), &text) && !text.empty()) read(text);
}

void HostsFile::read(std::string_view text) {
  names_.clear();
  // What a file leaves out of it (RFC 6761 section 6.3).
  names_["localhost"] = {std::vector{*parse_ip("127.0.0.1")}, std::vector{*parse_ip("::1")}};
  bool own_localhost = false;
  while (!text.empty()) {
    size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, std::min(text.find('#'), end));
    text.remove_prefix(std::min(end + 1, text.size()));
    std::string_view word = next_word(line);
    std::optional<Address> address = parse_ip(word);
    if (!address && word.find('%') != word.npos) address = numeric_address(std::string(word));
    if (!address) continue;
    bool v6 = address->storage.ss_family == AF_INET6;
    for (std::string_view name = next_word(line); !name.empty(); name = next_word(line)) {
      std::string key = host_name_key(name);
      if (key == "localhost" && !std::exchange(own_localhost, true)) names_[key] = {};
      names_[key][static_cast<unsigned>(v6 ? IpFamily::kV6 : IpFamily::kV4)].push_back(*address);
    }
  }
}

}  // namespace sluice

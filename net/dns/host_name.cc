#include "net/dns/host_name.h"

#include <algorithm>
#include <utility>

#include "net/base/limits.h"

namespace sluice {

namespace {

// In an order of its own: that of the servers changes from answer to answer, and means nothing.
void sort_out(std::vector<Address>& addresses) {
  auto ip = [](const Address& address) { return Ip::of(address).bytes; };
  std::ranges::sort(addresses, {}, ip);
  // Not std::ranges::unique: clang with Debian 12's library has none for such a range.
  addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
  if (addresses.size() > limits::kNameAddressesMax) addresses.resize(limits::kNameAddressesMax);
}

// One of each family in turn, IPv6 first (RFC 8305 section 4).
std::vector<Address> in_turn(const std::vector<Address>& v6, const std::vector<Address>& v4) {
  std::vector<Address> all;
  all.reserve(v6.size() + v4.size());
  for (size_t i = 0; i < std::max(v6.size(), v4.size()); ++i) {
    if (i < v6.size()) all.push_back(v6[i]);
    if (i < v4.size()) all.push_back(v4[i]);
  }
  return all;
}

}  // namespace

HostName::HostName(Loop& loop, Resolver& resolver, std::string name, Ttl ttl, Watcher& watcher,
                   uint64_t seed)
    : loop_(loop),
      resolver_(resolver),
      name_(std::move(name)),
      ttl_(ttl),
      watcher_(watcher),
      random_(seed),
      timer_(this) {
  for (Family& family : families_) family.of = this;
  look_up();
}

HostName::~HostName() {
  loop_.timers().cancel(timer_);
  for (Family& family : families_)
    if (family.asking) resolver_.forget(family);
}

void HostName::look_up() {
  loop_.timers().cancel(timer_);
  asked_ms_ = loop_.now_ms();
  for (unsigned i = 0; i < kIpFamilies; ++i) {
    if (std::exchange(families_[i].asking, true)) continue;
    resolver_.ask(name_, static_cast<IpFamily>(i), families_[i]);
  }
}

void HostName::doubt() {
  if (!looking() && loop_.now_ms() >= asked_ms_ + limits::kDnsRetryMs) look_up();
}

void HostName::look_up_anew() {
  once_more_ = looking();
  if (!once_more_) look_up();
}

void HostName::keep_fresh(bool fresh) {
  fresh_ = fresh;
  if (!looking()) schedule_next();
}

void HostName::on_answer(Family& family, DnsAnswer answer) {
  family.asking = false;
  family.fresh_ms = 0;
  family.failed = answer.status == DnsAnswer::Status::kFailed;
  bool found = answer.status == DnsAnswer::Status::kFound;
  bool news = false;
  if (found) {
    sort_out(answer.addresses);
    news = answer.addresses != family.addresses;
    family.addresses = std::move(answer.addresses);
    family.fresh_ms = answer.ttl_ms;
  } else {
    if (!family.failed) family.addresses.clear();
    reason_ = answer.reason;
  }
  watcher_.on_answered(answer.status);
  if (!looking())
    publish();
  else if (news)  // the other family's answer is given a moment, so that it can come first
    loop_.timers().schedule(timer_, loop_.now_ms() + limits::kDnsOtherFamilyMs);
}

// Either the moment for the other family is over, or the answers have expired.
void HostName::on_timer() {
  if (looking())
    publish();
  else
    look_up();
}

void HostName::publish() {
  std::vector<Address> now = in_turn(families_[static_cast<unsigned>(IpFamily::kV6)].addresses,
                                     families_[static_cast<unsigned>(IpFamily::kV4)].addresses);
  bool changed = now != addresses_;
  addresses_ = std::move(now);
  if (!looking()) schedule_next();
  if (!looking() && std::exchange(once_more_, false)) look_up();
  watcher_.on_looked_up(changed);
}

// What one family's failure leaves unknown is asked for again as soon as may be.
void HostName::schedule_next() {
  loop_.timers().cancel(timer_);
  if (!fresh_) return;
  uint64_t wait_ms = ttl_.max_ms;
  for (const Family& family : families_)
    if (!family.addresses.empty()) wait_ms = std::min(wait_ms, family.fresh_ms);
  if (addresses_.empty() || failing()) wait_ms = 0;
  wait_ms = std::clamp(wait_ms, ttl_.min_ms, ttl_.max_ms);
  wait_ms -= random_.between(0, wait_ms / limits::kDnsJitterPart);
  loop_.timers().schedule(timer_, loop_.now_ms() + wait_ms);
}

}  // namespace sluice

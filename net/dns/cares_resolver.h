// The resolver of a running worker: the hosts file, and behind it c-ares, whose sockets the
// worker's ring polls, so that nothing here waits for a server. Both files, hosts and resolv.conf,
// are read again when they have changed, and after a reload. At most limits::kDnsQuestionsMax
// questions are under way; the others wait for these. Owned by the worker, used on its thread.
//
// c-ares must not be entered from its own callbacks. So completions, timers and questions only
// leave word of themselves, the flush phase enters it, and answers are handed on once it has
// returned.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/loop.h"
#include "core/timer_wheel.h"
#include "net/dns/hosts_file.h"
#include "net/dns/resolver.h"

struct ares_addrinfo;
struct ares_channeldata;

namespace sluice {

class CaresResolver final : public Resolver, public FlushTask, public TimerOwner {
 public:
  // `servers`: to ask in the place of the system's; none: the system's.
  CaresResolver(Loop& loop, std::vector<Address> servers, const char* hosts = "/etc/hosts");
  ~CaresResolver() override;

  // For the worker's end: no answer comes any more, and what the ring holds is let go of.
  void close();

  // Resolver
  void ask(const std::string& name, IpFamily family, DnsAsker& asker) override;
  void forget(DnsAsker& asker) override;
  void reload() override;

  void on_flush() override;
  void on_timer() override;

 private:
  class Socket;
  struct Question;

  void look_at_files();
  size_t under_way() const;
  void begin_questions();
  void open_channel();
  void close_channel();
  std::vector<std::string> forms_of(std::string_view name) const;
  void begin(Question& question);
  void ask_next_form(Question& question);
  void read_search_list();
  void on_socket(int fd, bool read, bool write);
  static void on_done(void* question, int status, int timeouts, ares_addrinfo* found);
  void hand_on();
  void schedule();

  Loop& loop_;
  const std::vector<Address> servers_;
  HostsFile hosts_;
  FileWatch resolv_conf_{"/etc/resolv.conf"};
  uint64_t files_looked_at_ms_ = 0;
  ares_channeldata* channel_ = nullptr;  // null until it is first asked
  // As the channel's files have them.
  std::vector<std::string> search_domains_;
  size_t dots_of_whole_name_ = 1;  // a name with so many is tried as it is first (ndots)
  std::vector<Socket*> sockets_;   // of the channel; they delete themselves
  std::vector<std::unique_ptr<Question>> questions_;
  bool time_is_up_ = false;
  bool reload_ = false;
  bool closed_ = false;
  Timer timer_;
};

}  // namespace sluice

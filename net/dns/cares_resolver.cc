#include "net/dns/cares_resolver.h"

#include <algorithm>
#include <ares.h>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <poll.h>
#include <sys/time.h>
#include <utility>

#include "net/base/limits.h"

namespace sluice {

// One question, from ask() until its answer has been handed on.
struct CaresResolver::Question {
  enum class State : uint8_t { kNew, kAsked, kNextForm, kAnswered };

  std::string name;
  int family;
  DnsAsker* asker;  // null: forgotten
  State state = State::kNew;
  DnsAnswer answer = {};
  std::vector<std::string> forms = {};  // that the name may stand for, the next one last
  const char* failed = nullptr;         // why nobody could tell of a form before
};

// A socket of c-ares's, which opens and closes it. It deletes itself once c-ares has closed it and
// its poll has ended: until then the ring holds on to the file that the number stood for.
class CaresResolver::Socket final : public OpTarget {
 public:
  Socket(Loop& loop, CaresResolver& resolver, int fd)
      : loop_(loop), resolver_(&resolver), fd_(fd), index_(loop.attach(this)) {}

  int fd() const { return fd_; }
  void want(uint32_t events) { wanted_ = events; }
  uint32_t take_ready() { return std::exchange(ready_, 0); }

  // Polls for what c-ares waits for. Once a turn, when c-ares has said all that it has to say.
  void arm() {
    if (polled_ == 0 && wanted_ != 0) {
      polled_ = wanted_;
      loop_.ring().poll(fd_, polled_, loop_.begin(index_, OpKind::kWatch));
    } else if (polled_ != 0 && (wanted_ & ~polled_) != 0) {
      cancel();
    }
  }
  // c-ares is about to close it.
  void leave() {
    resolver_ = nullptr;
    wanted_ = 0;
    if (polled_ != 0) cancel();
    finish();
  }

  void on_completion(OpKind kind, const Completion& completion) override {
    if (kind == OpKind::kCancel) {
      cancelling_ = false;
    } else {
      polled_ = 0;
      if (completion.result > 0) ready_ |= static_cast<uint32_t>(completion.result);
      if (completion.result < 0 && completion.result != -ECANCELED) ready_ |= POLLERR;
    }
    if (resolver_)
      loop_.flush_later(*resolver_);
    else
      finish();
  }

 private:
  void cancel() {
    if (std::exchange(cancelling_, true)) return;
    loop_.ring().cancel(loop_.id_of(index_, OpKind::kWatch), loop_.begin(index_, OpKind::kCancel));
  }
  void finish() {
    if (loop_.outstanding(index_) > 0) return;
    loop_.detach(index_);
    loop_.destroy_later(std::unique_ptr<OpTarget>(this));
  }

  Loop& loop_;
  CaresResolver* resolver_;
  const int fd_;
  const uint32_t index_;
  uint32_t wanted_ = 0;
  uint32_t polled_ = 0;  // 0: no poll is in flight
  uint32_t ready_ = 0;
  bool cancelling_ = false;
};

namespace {

const char* reason_of(int status) {
  switch (status) {
    case ARES_ENOTFOUND:
      return "no_such_name";
    case ARES_ENODATA:
      return "no_address";
    case ARES_ETIMEOUT:
      return "no_answer";
    case ARES_ESERVFAIL:
    case ARES_ECONNREFUSED:
      return "server_failure";
    case ARES_EREFUSED:
      return "refused";
    case ARES_EBADRESP:
    case ARES_EFORMERR:
      return "bad_answer";
    case ARES_EBADNAME:
      return "bad_name";
    default:
      return "dns_error";
  }
}

DnsAnswer answer_of(int status, const ares_addrinfo* found) {
  using enum DnsAnswer::Status;
  DnsAnswer answer{.status = kFailed, .reason = reason_of(status)};
  if (status == ARES_ENOTFOUND || status == ARES_ENODATA) answer.status = kNone;
  if (status != ARES_SUCCESS || found == nullptr) return answer;
  // 0 stands for an unknown time to live, too: what is in the hosts file has none.
  int ttl_s = INT32_MAX;
  for (const ares_addrinfo_cname* name = found->cnames; name; name = name->next)
    ttl_s = std::min(ttl_s, name->ttl);
  for (const ares_addrinfo_node* node = found->nodes; node; node = node->ai_next) {
    if (node->ai_addrlen > sizeof(sockaddr_storage)) continue;
    Address& address = answer.addresses.emplace_back();
    std::memcpy(&address.storage, node->ai_addr, node->ai_addrlen);
    address.size = node->ai_addrlen;
    ttl_s = std::min(ttl_s, node->ai_ttl);
  }
  answer.status = answer.addresses.empty() ? kNone : kFound;
  answer.reason = answer.addresses.empty() ? "no_address" : "";
  answer.ttl_ms = static_cast<uint64_t>(std::max(ttl_s, 0)) * 1000;
  return answer;
}

DnsAnswer answer_of(const std::vector<Address>& pinned) {
  using enum DnsAnswer::Status;
  if (pinned.empty()) return {.status = kNone, .reason = "no_address"};
  return {.status = kFound, .addresses = pinned};
}

}  // namespace

CaresResolver::CaresResolver(Loop& loop, std::vector<Address> servers, const char* hosts)
    : loop_(loop), servers_(std::move(servers)), hosts_(hosts), timer_(this) {
  hosts_.read({});  // where there is no such file
}

CaresResolver::~CaresResolver() {
  close();
}

void CaresResolver::close() {
  closed_ = true;
  close_channel();
  questions_.clear();
  loop_.timers().cancel(timer_);
}

void CaresResolver::ask(const std::string& name, IpFamily family, DnsAsker& asker) {
  if (closed_) return;
  int number = family == IpFamily::kV6 ? AF_INET6 : AF_INET;
  questions_.emplace_back(new Question{name, number, &asker});
  loop_.flush_later(*this);
}

// c-ares cannot cancel one of many look-ups, so the answer comes and is dropped.
void CaresResolver::forget(DnsAsker& asker) {
  for (auto& question : questions_)
    if (question->asker == &asker) question->asker = nullptr;
}

void CaresResolver::reload() {
  reload_ = true;
  loop_.flush_later(*this);
}

void CaresResolver::on_timer() {
  time_is_up_ = true;
  loop_.flush_later(*this);
}

void CaresResolver::on_flush() {
  if (closed_) return;
  look_at_files();
  if (std::exchange(reload_, false)) close_channel();
  // A call may add sockets and take others away, but one that is gone has nothing that is ready.
  for (size_t i = 0; i < sockets_.size(); ++i) {
    uint32_t ready = sockets_[i]->take_ready();
    if (ready == 0) continue;
    constexpr uint32_t kReads = POLLIN | POLLERR | POLLHUP;
    constexpr uint32_t kWrites = POLLOUT | POLLERR | POLLHUP;
    int fd = sockets_[i]->fd();
    ares_process_fd(channel_, (ready & kReads) != 0 ? fd : ARES_SOCKET_BAD,
                    (ready & kWrites) != 0 ? fd : ARES_SOCKET_BAD);
    i = SIZE_MAX;  // from the beginning: there is no telling what has gone
  }
  if (std::exchange(time_is_up_, false) && channel_)
    ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
  begin_questions();
  for (Socket* socket : sockets_) socket->arm();
  schedule();
  hand_on();
}

// Looked at for a question, since nobody else wants to know.
void CaresResolver::look_at_files() {
  bool asked = std::ranges::any_of(
      questions_, [](const auto& question) { return question->state == Question::State::kNew; });
  bool seen_lately = loop_.now_ms() < files_looked_at_ms_ + limits::kDnsFilesMs;
  if (!asked || (seen_lately && !reload_)) return;
  files_looked_at_ms_ = loop_.now_ms();
  hosts_.read_if_changed();
  if (resolv_conf_.changed()) close_channel();
}

size_t CaresResolver::under_way() const {
  return static_cast<size_t>(std::ranges::count_if(questions_, [](const auto& question) {
    return question->state == Question::State::kAsked ||
           question->state == Question::State::kNextForm;
  }));
}

void CaresResolver::begin_questions() {
  for (size_t i = 0; i < questions_.size(); ++i) {
    // c-ares may answer within the call, and so ask for the one after.
    while (questions_[i]->state == Question::State::kNextForm) {
      questions_[i]->state = Question::State::kAsked;
      ask_next_form(*questions_[i]);
    }
  }
  size_t asked = under_way();
  // c-ares may answer within the call.
  for (size_t i = 0; i < questions_.size() && asked < limits::kDnsQuestionsMax; ++i) {
    Question& question = *questions_[i];
    if (question.state != Question::State::kNew || !question.asker) continue;
    begin(question);
    asked += question.state == Question::State::kAsked ? 1 : 0;
  }
}

void CaresResolver::begin(Question& question) {
  if (const auto* pinned = hosts_.find(question.name)) {
    question.answer = answer_of((*pinned)[question.family == AF_INET6 ? 1 : 0]);
    question.state = Question::State::kAnswered;
    return;
  }
  if (!channel_) open_channel();
  question.forms = forms_of(question.name);
  question.failed = nullptr;
  question.state = Question::State::kAsked;
  if (channel_) {
    ask_next_form(question);
    return;
  }
  question.answer = {.status = DnsAnswer::Status::kFailed, .reason = "no_resolver"};
  question.state = Question::State::kAnswered;
}

// As resolv.conf(5) has it, the last one first; each ends in a dot, so that c-ares adds nothing.
// c-ares would give up at the first search domain that fails, where the system goes on.
std::vector<std::string> CaresResolver::forms_of(std::string_view name) const {
  if (name.ends_with('.')) return {std::string(name)};
  std::string whole = std::string(name) + '.';
  bool whole_first = static_cast<size_t>(std::ranges::count(name, '.')) >= dots_of_whole_name_;
  std::vector<std::string> forms;
  if (!whole_first) forms.push_back(whole);
  for (auto domain = search_domains_.rbegin(); domain != search_domains_.rend(); ++domain)
    forms.push_back(whole + *domain + '.');
  if (whole_first) forms.push_back(whole);
  return forms;
}

void CaresResolver::ask_next_form(Question& question) {
  std::string form = std::move(question.forms.back());
  question.forms.pop_back();
  ares_addrinfo_hints hints{};
  hints.ai_family = question.family;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = ARES_AI_NOSORT;  // sorting would connect sockets; all addresses are used anyway
  ares_getaddrinfo(channel_, form.c_str(), nullptr, &hints, on_done, &question);
}

void CaresResolver::open_channel() {
  // It counts its users without a lock.
  static std::once_flag once;
  std::call_once(once, [] { ares_library_init(ARES_LIB_INIT_ALL); });
  ares_options options{};
  options.timeout = limits::kDnsTimeoutMs;
  options.tries = limits::kDnsTries;
  options.sock_state_cb_data = this;
  options.sock_state_cb = [](void* self, ares_socket_t fd, int read, int write) {
    static_cast<CaresResolver*>(self)->on_socket(fd, read != 0, write != 0);
  };
  // DNS only. c-ares would read the hosts file for each question, and ask DNS for the address
  // family that the file does not have.
  char dns_only[] = "b";
  options.lookups = dns_only;
  // EDNS: answers of more than 512 bytes need no TCP.
  options.flags = ARES_FLAG_EDNS;
  read_search_list();
  int mask = ARES_OPT_LOOKUPS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB |
             ARES_OPT_FLAGS;
  if (ares_init_options(&channel_, &options, mask) != ARES_SUCCESS) {
    channel_ = nullptr;
    return;
  }
  if (servers_.empty()) return;
  std::string list;
  for (const Address& server : servers_) list += (list.empty() ? "" : ",") + server.text();
  ares_set_servers_ports_csv(channel_, list.c_str());
}

void CaresResolver::read_search_list() {
  search_domains_.clear();
  ares_channel channel = nullptr;
  if (ares_init(&channel) != ARES_SUCCESS) return;
  ares_options options{};
  int mask = 0;
  if (ares_save_options(channel, &options, &mask) == ARES_SUCCESS) {
    dots_of_whole_name_ = static_cast<size_t>(std::max(options.ndots, 0));
    for (int i = 0; i < options.ndomains; ++i) search_domains_.emplace_back(options.domains[i]);
  }
  ares_destroy_options(&options);
  ares_destroy(channel);
}

// What it had not answered is asked again, of the next channel.
void CaresResolver::close_channel() {
  if (!channel_) return;
  ares_destroy(std::exchange(channel_, nullptr));
  for (auto& question : questions_)
    if (question->state != Question::State::kAnswered) question->state = Question::State::kNew;
}

void CaresResolver::on_socket(int fd, bool read, bool write) {
  auto found = std::ranges::find(sockets_, fd, &Socket::fd);
  if (!read && !write) {
    if (found == sockets_.end()) return;
    (*found)->leave();
    sockets_.erase(found);
    return;
  }
  Socket* socket =
      found != sockets_.end() ? *found : sockets_.emplace_back(new Socket(loop_, *this, fd));
  socket->want((read ? uint32_t{POLLIN} : 0) | (write ? uint32_t{POLLOUT} : 0));
}

// From within c-ares, which must not be entered here: the next form is asked by begin_questions().
void CaresResolver::on_done(void* data, int status, int /*timeouts*/, ares_addrinfo* found) {
  auto& question = *static_cast<Question*>(data);
  // The channel is closing.
  if (status == ARES_EDESTRUCTION || status == ARES_ECANCELLED) return;
  question.answer = answer_of(status, found);
  ares_freeaddrinfo(found);
  if (question.answer.status == DnsAnswer::Status::kFailed)
    question.failed = question.answer.reason;
  bool goes_on = question.answer.status != DnsAnswer::Status::kFound && !question.forms.empty();
  question.state = goes_on ? Question::State::kNextForm : Question::State::kAnswered;
  // Of a name that may stand behind a form that nobody could tell of, it is not known that it is
  // none.
  if (question.state == Question::State::kAnswered && question.failed &&
      question.answer.status == DnsAnswer::Status::kNone)
    question.answer = {.status = DnsAnswer::Status::kFailed, .reason = question.failed};
}

// An asker may ask anew, or forget another question, while it is told.
void CaresResolver::hand_on() {
  for (size_t i = 0; i < questions_.size(); ++i) {
    Question& question = *questions_[i];
    DnsAsker* asker = question.asker;
    if (question.state != Question::State::kAnswered || !asker) continue;
    question.asker = nullptr;
    asker->on_answer(std::move(question.answer));
  }
  std::erase_if(questions_, [](const auto& question) {
    return !question->asker && question->state != Question::State::kAsked;
  });
  // Those that have waited for others, and what an asker has just asked.
  bool more = std::ranges::any_of(
      questions_, [](const auto& question) { return question->state == Question::State::kNew; });
  if (more && under_way() < limits::kDnsQuestionsMax) loop_.flush_later(*this);
}

void CaresResolver::schedule() {
  timeval wait{};
  if (!channel_ || !ares_timeout(channel_, nullptr, &wait)) {
    loop_.timers().cancel(timer_);
    return;
  }
  auto wait_ms =
      static_cast<uint64_t>(wait.tv_sec) * 1000 + static_cast<uint64_t>(wait.tv_usec) / 1000;
  loop_.timers().schedule(timer_, loop_.now_ms() + wait_ms + 1);
}

}  // namespace sluice

#include "net/transport/listener.h"

#include <cerrno>
#include <memory>
#include <utility>

#include "core/check.h"
#include "core/socket.h"
#include "net/base/limits.h"

namespace sluice {

namespace {

// What ends an accept without a fault of ours: we asked for it, or the connection itself had
// failed.
bool next_may_be_fine(int error) {
  switch (error) {
    case ECANCELED:
    case EINTR:
    case EAGAIN:
    case ECONNABORTED:
    case EPROTO:
    // Errors of the network, which Linux passes on when it accepts (accept(2)).
    case ENETDOWN:
    case ENOPROTOOPT:
    case EHOSTDOWN:
    case ENONET:
    case EHOSTUNREACH:
    case EOPNOTSUPP:
    case ENETUNREACH:
      return true;
    default:
      return false;
  }
}

}  // namespace

Listener::Listener(Loop& loop, ClientLimit& limit, const StreamSettings& settings, ClientSink& sink,
                   int fd, const ListenOptions& options)
    : loop_(loop),
      limit_(limit),
      sink_(sink),
      timer_(this),
      fd_(fd),
      options_(options),
      index_(loop.attach(this)) {
  set_no_delay(fd);
  apply(settings);
  arm();
}

// Accepted sockets inherit these, which spares several system calls for each.
void Listener::apply(const StreamSettings& settings) {
  set_keepalive(fd_, settings.client_tcp_keepalive_ms);
  set_send_buffer(fd_, settings.client_sndbuf);
  set_unsent_low_water(fd_, settings.client_notsent_lowat);
}

Listener::~Listener() {
  SLUICE_CHECK(fd_ < 0);
}

void Listener::arm() {
  if (armed_ || closing_ || held_) return;
  if (limit_.full()) {
    if (!std::exchange(awaits_room_, true)) sink_.on_full();
    rest();
    return;
  }
  awaits_room_ = false;
  armed_ = true;
  Ring& ring = loop_.ring();
  multishot_ = ring.features().multishot_accept && limit_.reserve_backlog();
  backlog_reserved_ = multishot_;
  ring.accept(fd_, multishot_, loop_.begin(index_, OpKind::kAccept));
}

void Listener::on_completion(OpKind kind, const Completion& completion) {
  if (kind == OpKind::kAccept) {
    if (!completion.more()) {
      armed_ = false;
      if (std::exchange(backlog_reserved_, false)) limit_.return_backlog();
    }
    if (completion.result >= 0) {
      if (closing_ && !retiring_)
        close_socket(completion.result);
      else
        sink_.accepted(completion.result, options_);
    }
    check_room();
    if (completion.result >= 0 || next_may_be_fine(-completion.result)) {
      arm();
    } else if (!closing_) {
      sink_.on_accept_error(-completion.result);
      rest();
    }
  }
  // As with connections: the kernel may not have found it.
  bool missed = kind == OpKind::kCancel && completion.result == -ENOENT;
  if (missed && armed_ && !multishot_ && !closing_) cancel();
  if (closing_) loop_.flush_later(*this);
}

// No word comes from another worker when its clients leave.
void Listener::rest() {
  loop_.timers().schedule(timer_, loop_.now_ms() + limits::kAcceptPauseMs);
}

void Listener::on_timer() {
  arm();
}

void Listener::hold(bool held) {
  if (std::exchange(held_, held) == held) return;
  if (held) {
    cancel();
  } else {
    loop_.timers().cancel(timer_);
    arm();
  }
}

void Listener::check_room() {
  if (armed_ && multishot_ && !limit_.backlogs_fit()) cancel();
}

void Listener::client_left() {
  if (!awaits_room_) return;
  loop_.timers().cancel(timer_);
  arm();
}

void Listener::cancel() {
  multishot_ = false;
  if (armed_)
    loop_.ring().cancel(loop_.id_of(index_, OpKind::kAccept), loop_.begin(index_, OpKind::kCancel));
}

void Listener::close() {
  closing_ = true;
  loop_.timers().cancel(timer_);
  // Wakes the accept, and clients are refused from now on, before the last completion is in.
  shutdown_socket(fd_);
  cancel();
  loop_.flush_later(*this);
}

void Listener::retire() {
  closing_ = retiring_ = true;
  loop_.timers().cancel(timer_);
  ignore_new_clients(fd_);  // or some come between the last look and the close, which resets them
  cancel();
  loop_.flush_later(*this);
}

void Listener::on_flush() {
  if (!closing_ || fd_ < 0 || loop_.outstanding(index_) > 0) return;
  while (retiring_ && !limit_.full()) {
    int client = accept_waiting(fd_);
    if (client < 0) break;
    sink_.accepted(client, options_);
  }
  close_socket(fd_);
  fd_ = -1;
  loop_.detach(index_);
  loop_.destroy_later(std::unique_ptr<OpTarget>(this));
}

}  // namespace sluice

#include "net/probe/probe.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include "core/socket.h"
#include "net/base/limits.h"
#include "net/http1/body_run.h"

namespace sluice {
namespace {

std::string request_of(const HealthCheck& check) {
  return "GET " + check.settings->health + " HTTP/1.1\r\nHost: " + check.upstream->host +
         "\r\nUser-Agent: sluice-health\r\nAccept: */*\r\nConnection: close\r\n\r\n";
}

}  // namespace

Probe::Probe(WorkerContext& context, ProbeOwner& owner, const HealthCheck& check,
             std::vector<Address> addresses, std::unique_ptr<WireQueue> wire)
    : Conn(context.memory, {-1, std::move(wire)}),
      context_(context),
      owner_(owner),
      id_(check.upstream->id),
      request_(request_of(check)),
      parser_(Http1Parser::Role::kResponse, context.head_limits()) {
  loop().timers().schedule(timer_, loop().now_ms() + check.settings->health_timeout_ms);
  ConnectRace::Owner& racer = *this;
  race_ = std::make_unique<ConnectRace>(context.loop, racer, std::move(addresses), SocketShape{});
  if (!race_->start()) on_race_lost();
}

Probe::~Probe() = default;

void Probe::cancel() {
  close(CloseMode::kOrderly);
}

void Probe::answered(int status) {
  if (closing()) return;
  close(CloseMode::kOrderly);
  owner_.on_probe_answered(id_, status);
}

void Probe::failed(EjectReason reason) {
  if (closing()) return;
  close(CloseMode::kOrderly);
  owner_.on_probe_failed(id_, reason);
}

// Without a receive we wait for a slot: what the upstream may have said stays unheard.
void Probe::on_timer() {
  if (connected_ && !receive_in_flight())
    cancel();
  else
    failed(EjectReason::kTimeout);
}

void Probe::on_race_won(int fd, const Address& /*to*/) {
  race_.reset();
  if (closing()) {
    close_socket(fd);
    return;
  }
  reached_ = true;
  open(fd);
}

void Probe::on_race_lost() {
  if (closing()) return;
  if (!race_->no_socket()) {
    on_connected(race_->error());
    return;
  }
  context_.warn(std::string("no socket for a health probe: ") + std::strerror(race_->error()));
  cancel();
}

void Probe::on_connected(int error) {
  connected_ = error == 0;
  if (connected_)
    wake();
  else if (reached_)
    failed(EjectReason::kTls);
  else
    failed(error == ETIMEDOUT ? EjectReason::kTimeout : EjectReason::kConnect);
}

size_t Probe::build_batch(std::span<iovec> pieces) {
  pieces[0] = {request_.data() + sent_, request_.size() - sent_};
  return 1;
}

uint64_t Probe::receive_credit() {
  return limits::kProbeReceiveBytes;
}

void Probe::on_bytes(const Lease& lease, std::string_view bytes, uint64_t /*after_ms*/) {
  BodyRun none(lease);  // an interim answer has no body
  while (!closing()) {
    if (!head_) {
      if (bytes.empty()) return;
      head_ = context_.heads.acquire();
      parser_.begin(head_.get());
    }
    Http1Parser::Step step = parser_.feed(bytes, none);
    bytes.remove_prefix(step.consumed);
    switch (step.event) {
      case Http1Parser::Event::kNeedMore:
        if (!charge(head_->bytes_held())) cancel();
        return;
      case Http1Parser::Event::kHead:
        if (head_->status() >= 200) answered(head_->status());
        break;
      case Http1Parser::Event::kEnd:
        context_.heads.release(std::move(head_));
        if (++interim_heads_ > limits::kInterimHeadsMax) failed(EjectReason::kBroken);
        break;
      case Http1Parser::Event::kError:
        failed(EjectReason::kBroken);
        break;
    }
  }
}

void Probe::on_receive_end(int /*error*/) {
  failed(EjectReason::kBroken);
}

void Probe::on_closed() {
  if (race_) race_->give_up();
  race_.reset();
  if (head_) context_.heads.release(std::move(head_));
  owner_.on_probe_closed(id_);
}

}  // namespace sluice

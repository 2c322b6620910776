#include "tests/sim/kernel.h"

#include <utility>

#include "core/check.h"
#include "tests/sim/kernel_state.h"

namespace sluice::sim {

namespace {

Kernel* installed = nullptr;

}  // namespace

Kernel& installed_kernel() {
  SLUICE_CHECK(installed);
  return *installed;
}

Kernel::Kernel(World& world, const Liberties& liberties)
    : state_(std::make_unique<State>(world, liberties)) {
  install();
  state_->kernel = this;
}

Kernel::~Kernel() {
  if (installed == this) installed = nullptr;
}

void Kernel::install() {
  installed = this;
}

void Kernel::never_wait() {
  state_->waits = false;
}

bool Kernel::go_on() {
  state_->submit();
  state_->progress();
  return state_->woken || !state_->completions.empty();
}

void Kernel::wake() {
  state_->woken = true;
}

int Kernel::open_listener() {
  Socket listener;
  listener.listens = true;
  return state_->new_fd(std::move(listener));
}

void Kernel::connect_client(int listener, std::shared_ptr<Connection> connection) {
  auto found = state_->sockets.find(listener);
  if (found == state_->sockets.end() || !found->second.listens || found->second.shut) {
    connection->close_gateway_end(true);
    return;
  }
  found->second.backlog.push_back(std::move(connection));
}

size_t Kernel::operations() const {
  return state_->queued.size() + state_->pending.size() + state_->ended_unseen;
}

size_t Kernel::buffers(uint16_t group) const {
  const BufferGroup& of = state_->groups[group];
  return of.ring.size() + of.queued.size() + of.on_their_way;
}

bool Kernel::emptied(uint16_t group) const {
  return state_->groups[group].emptied;
}

size_t Kernel::backlog() const {
  size_t waiting = 0;
  for (const auto& [fd, socket] : state_->sockets) waiting += socket.backlog.size();
  return waiting;
}

bool Kernel::ran_dry() const {
  return state_->ran_dry;
}

uint64_t Kernel::accepted() const {
  return state_->accepts;
}

uint64_t Kernel::connected() const {
  return state_->connects;
}

uint64_t Kernel::received_bytes() const {
  return state_->received_bytes;
}

uint64_t Kernel::sent_bytes() const {
  return state_->sent_bytes;
}

uint64_t Kernel::last_timeout_ns() const {
  return state_->last_timeout_ns;
}

const Kernel::StoodStill& Kernel::stood_still() const {
  return state_->stood_still;
}

size_t Kernel::open_fds() const {
  return state_->sockets.size();
}

}  // namespace sluice::sim

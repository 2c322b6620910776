#include "net/coding/encoders.h"

#include <algorithm>

#include "core/check.h"
#include "net/base/limits.h"
#include "net/coding/packer.h"

namespace sluice {

Encoders::~Encoders() {
  for (Kind& one : kinds_)
    while (!one.spare.empty()) {
      free(one.spare.back());
      one.spare.pop_back();
    }
  SLUICE_CHECK(bytes_ == 0);
}

EncoderState* Encoders::take(ContentCoding coding, Packer& holder) {
  Kind& one = kind(coding);
  EncoderState* state = nullptr;
  if (one.spare.empty()) state = make(coding);
  if (!state && one.spare.empty() && !take_back(coding)) return nullptr;
  if (!state) {
    state = one.spare.back();
    one.spare.pop_back();
    one.spare_least = std::min(one.spare_least, one.spare.size());
    state->encoder->begin({});
  }
  state->holder = &holder;
  ++metrics_.of(coding).states_in_use;
  return state;
}

void Encoders::give_back(EncoderState* state) {
  wake(*state);
  state->holder = nullptr;
  --metrics_.of(state->coding).states_in_use;
  kind(state->coding).spare.push_back(state);
}

EncoderState* Encoders::make(ContentCoding coding) {
  size_t size = encoder_bytes(coding);
  auto has_room = [&] {
    return memory_limit_.bytes + size <= memory_limit_.bytes_max &&
           bytes_ + size <= memory_limit_.bytes_max / limits::kEncodersFraction;
  };
  while (!has_room())
    if (!free_a_spare()) return nullptr;
  std::unique_ptr<Encoder> encoder = make_encoder(coding);
  if (!encoder) return nullptr;
  memory_limit_.bytes += size;
  bytes_ += size;
  metrics_.of(coding).state_bytes += size;
  return new EncoderState{.encoder = std::move(encoder), .coding = coding};
}

void Encoders::free(EncoderState* state) {
  size_t size = encoder_bytes(state->coding);
  memory_limit_.bytes -= size;
  bytes_ -= size;
  metrics_.of(state->coding).state_bytes -= size;
  delete state;
}

// Of another coding.
bool Encoders::free_a_spare() {
  for (Kind& one : kinds_) {
    if (one.spare.empty()) continue;
    free(one.spare.back());
    one.spare.pop_back();
    one.spare_least = std::min(one.spare_least, one.spare.size());
    return true;
  }
  return false;
}

// From the body that has idled longest. True: there is a spare one of that coding now.
bool Encoders::take_back(ContentCoding coding) {
  for (EncoderState* state = resting_.front(); state; state = Resting::next(*state)) {
    if (ticks_ - state->rested_since < limits::kEncoderRestTicks) return false;
    if (state->coding != coding) continue;
    state->holder->lose_state();
    ++metrics_.of(coding).taken_back;
    give_back(state);
    return true;
  }
  return false;
}

void Encoders::rest(EncoderState& state) {
  state.rested_since = ticks_;
  resting_.push_back(state);
}

void Encoders::wake(EncoderState& state) {
  if (state.in_rest.linked()) resting_.remove(state);
}

void Encoders::tick() {
  ++ticks_;
  for (Kind& one : kinds_) {
    for (; one.spare_least > 0; --one.spare_least) {
      free(one.spare.back());
      one.spare.pop_back();
    }
    one.spare_least = one.spare.size();
  }
}

}  // namespace sluice

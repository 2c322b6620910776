#include "net/script/lua_state.h"

#include <algorithm>
#include <cstdlib>
#include <luajit-2.1/lua.hpp>

#include "core/check.h"
#include "core/clock.h"

namespace sluice {

namespace {

// The hook comes so often. It is what a script may take beyond its limit, and how late a call
// that takes too long is noticed.
constexpr unsigned kHookEvery = 250;
// Lua's own functions go through a long text in one instruction, so it comes more often then.
constexpr unsigned kHookEveryWithLong = 10;
constexpr size_t kLongBytes = size_t{256} << 10;
// Some instructions take as long as their strings are: so many make an end, too.
constexpr uint64_t kLongNs = 50'000'000;
constexpr const char* kTooLong = "it takes too long";
constexpr const char* kTooMany = "it takes more than --script-instructions";

constexpr uint64_t kStepBytes = size_t{16} << 10;  // of garbage are worth a step of collection
constexpr uint64_t kStepKiBMax = 512;

int panic(lua_State* /*lua*/) {
  SLUICE_CHECK(!"an error of Lua outside of a call");
  return 0;
}

}  // namespace

LuaState::LuaState(Limits limits, void* owner)
    : limits_(limits), owner_(owner), collect_at_bytes_(limits.memory_bytes / 2) {
  lua_ = lua_newstate(allocate, this);
  SLUICE_CHECK(lua_);
  lua_atpanic(lua_, panic);
  luaJIT_setmode(lua_, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
  lua_gc(lua_, LUA_GCSTOP, 0);
  // The least that --script-memory can be holds these.
  lua_pushcfunction(lua_, enter);
  enter_ = luaL_ref(lua_, LUA_REGISTRYINDEX);
  count_every(kHookEvery);
}

LuaState::~LuaState() {
  lua_close(lua_);
}

void* LuaState::allocate(void* self, void* block, size_t old_bytes, size_t bytes) {
  LuaState& state = *static_cast<LuaState*>(self);
  if (!block) old_bytes = 0;
  if (bytes == 0) {
    std::free(block);
    state.used_bytes_ -= old_bytes;
    if (old_bytes >= kLongBytes) --state.long_blocks_;
    return nullptr;
  }
  if (bytes > old_bytes && state.used_bytes_ - old_bytes + bytes > state.limits_.memory_bytes) {
    state.refused_memory_ = state.refused_ever_ = true;
    return nullptr;
  }
  void* made = std::realloc(block, bytes);
  if (!made) return nullptr;
  state.used_bytes_ += bytes - old_bytes;
  if (old_bytes >= kLongBytes) --state.long_blocks_;
  if (bytes >= kLongBytes) {
    ++state.long_blocks_;
    if (!state.stopped_) state.count_every(kHookEveryWithLong);
  }
  if (bytes > old_bytes) state.allocated_bytes_ += bytes - old_bytes;
  if (!block) ++state.allocations_;
  return made;
}

LuaState& LuaState::of(lua_State* lua) {
  void* self = nullptr;
  lua_getallocf(lua, &self);
  return *static_cast<LuaState*>(self);
}

void LuaState::count_every(unsigned instructions) {
  if (hook_every_ == instructions) return;
  lua_sethook(lua_, on_count, LUA_MASKCOUNT, static_cast<int>(instructions));
  hook_every_ = instructions;
}

int LuaState::enter(lua_State* lua) {
  LuaState& state = of(lua);
  if (state.used_bytes_ > state.collect_at_bytes_) state.collect_all(lua);
  state.work_(lua, state.with_);
  return 0;
}

LuaState::Outcome LuaState::run(void (*work)(lua_State*, void*), void* with) {
  SLUICE_CHECK(!work_);
  work_ = work;
  with_ = with;
  ++calls_;
  taken_ = 0;
  began_ns_ = cpu_began_ns_ = 0;
  stopped_ = refused_memory_ = false;
  count_every(long_blocks_ > 0 ? kHookEveryWithLong : kHookEvery);
  lua_rawgeti(lua_, LUA_REGISTRYINDEX, enter_);
  int status = lua_pcall(lua_, 0, 0, 0);
  work_ = nullptr;
  if (status == 0 && !stopped_) return Outcome::kDone;
  // A text that is there: to make one of another value would allocate.
  if (status == LUA_ERRMEM) {
    error_ = "it finds no memory within --script-memory";
  } else if (status != 0 && lua_type(lua_, -1) == LUA_TSTRING) {
    size_t size = 0;
    const char* text = lua_tolstring(lua_, -1, &size);
    error_.assign(text, size);
  } else {
    error_ = status == 0 ? "a limit was reached" : "an error that is no text";
  }
  lua_settop(lua_, 0);
  return stopped_ || refused_memory_ ? Outcome::kLimit : Outcome::kError;
}

// Where a script has caught the error, the next instruction raises it again.
void LuaState::stop(lua_State* lua, int level, const char* why) {
  stopped_ = true;
  count_every(1);
  luaL_where(lua, level);
  lua_pushstring(lua, why);
  lua_concat(lua, 2);
  lua_error(lua);
}

void LuaState::on_count(lua_State* lua, lua_Debug* /*where*/) {
  constexpr int kRunning = 0;
  LuaState& state = of(lua);
  state.taken_ += state.hook_every_;
  if (state.stopped_ || state.taken_ > state.limits_.instructions)
    state.stop(lua, kRunning, kTooMany);
  if (state.takes_too_long()) state.stop(lua, kRunning, kTooLong);
}

// By the time that this thread was given, since the machine may be busy with something else. That
// is asked only once much time has passed.
bool LuaState::takes_too_long() {
  uint64_t now_ns = monotonic_ns();
  if (began_ns_ == 0) began_ns_ = now_ns;
  if (now_ns - began_ns_ < kLongNs) return false;
  if (cpu_began_ns_ == 0) cpu_began_ns_ = thread_cpu_ns();
  return thread_cpu_ns() - cpu_began_ns_ > kLongNs;
}

void LuaState::charge(lua_State* lua, uint64_t instructions) {
  taken_ += instructions;
  if (stopped_ || taken_ > limits_.instructions) stop(lua, kCaller, kTooMany);
  if (takes_too_long()) stop(lua, kCaller, kTooLong);
}

// A collection of more and more live data must not come before each call.
void LuaState::collect_all(lua_State* lua) {
  lua_gc(lua, LUA_GCCOLLECT, 0);
  lua_gc(lua, LUA_GCSTOP, 0);
  collected_to_bytes_ = allocated_bytes_;
  size_t left = limits_.memory_bytes - std::min(used_bytes_, limits_.memory_bytes);
  collect_at_bytes_ = std::max(limits_.memory_bytes / 2, used_bytes_ + left / 2);
}

bool LuaState::exhausted() {
  if (exhausted_ || !refused_ever_) return exhausted_;
  call([this](lua_State* lua) { collect_all(lua); });
  refused_ever_ = false;
  exhausted_ = used_bytes_ > limits_.memory_bytes / 2;
  return exhausted_;
}

// A step of one KiB goes through two of data, so garbage is found as fast as it is made.
void LuaState::collect() {
  uint64_t since = allocated_bytes_ - collected_to_bytes_;
  if (since < kStepBytes) return;
  collected_to_bytes_ = allocated_bytes_;
  auto step_kib = static_cast<int>(std::min<uint64_t>(since >> 10, kStepKiBMax));
  call([step_kib](lua_State* lua) {
    lua_gc(lua, LUA_GCSTEP, step_kib);
    lua_gc(lua, LUA_GCSTOP, 0);  // a step sets the collector going
  });
}

}  // namespace sluice

// A state of LuaJIT with limits: of its memory, and of the instructions that one call may take. The
// interpreter alone runs, since compiled code does not see the hook that counts. Owned by a
// ScriptState, used on its worker's thread.
// Whatever may allocate happens inside call(): an allocation that fails elsewhere would end the
// process. Garbage is collected between calls (collect()), and before one only where memory is
// short. Frames of C++ below a call hold nothing that wants to be destroyed, since errors leave
// them with a jump.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

struct lua_Debug;
struct lua_State;

namespace sluice {

class LuaState {
 public:
  struct Limits {
    size_t memory_bytes;
    uint64_t instructions;
  };
  enum class Outcome : uint8_t { kDone, kError, kLimit };

  // `owner`: whom functions of a call find with owner().
  LuaState(Limits limits, void* owner);
  ~LuaState();
  LuaState(const LuaState&) = delete;
  LuaState& operator=(const LuaState&) = delete;

  // Runs `work`, which may raise errors. Not within another call.
  template <typename Work>
  Outcome call(Work&& work) {
    return run([](lua_State* lua, void* with) { (*static_cast<Work*>(with))(lua); }, &work);
  }
  // What went wrong in the last call, for people.
  std::string_view error() const { return error_; }

  // Of a call that is under way.
  static LuaState& of(lua_State* lua);
  void* owner() const { return owner_; }
  // Work that no hook sees, in the measure of instructions. Raises an error beyond the limit, or
  // where the call takes too long.
  void charge(lua_State* lua, uint64_t instructions);
  // Another limit has been reached.
  void refuse(lua_State* lua, const char* why) { stop(lua, kCaller, why); }
  // Calls so far: what is known of Lua's values during one may be false in the next.
  uint64_t calls() const { return calls_; }

  // Some of the garbage since the last time, in steps that are short for what a turn of the loop
  // takes.
  void collect();

  // Memory has been refused, and what lives was more than half of it then: others would find none,
  // either. It stays so.
  bool exhausted();

  size_t memory_bytes() const { return used_bytes_; }
  uint64_t allocations() const { return allocations_; }

 private:
  static constexpr int kCaller = 1;

  static void* allocate(void* self, void* block, size_t old_bytes, size_t bytes);
  static int enter(lua_State* lua);
  static void on_count(lua_State* lua, lua_Debug* where);

  Outcome run(void (*work)(lua_State*, void*), void* with);
  void count_every(unsigned instructions);
  // `level`: of the calls, the one whose line is named.
  void stop(lua_State* lua, int level, const char* why);
  bool takes_too_long();
  void collect_all(lua_State* lua);

  const Limits limits_;
  void* const owner_;
  lua_State* lua_ = nullptr;
  int enter_ = 0;  // a reference
  void (*work_)(lua_State*, void*) = nullptr;
  void* with_ = nullptr;

  uint64_t calls_ = 0;
  uint64_t taken_ = 0;           // instructions, in this call
  uint64_t began_ns_ = 0;        // when the clock was first asked; 0: it was not
  uint64_t cpu_began_ns_ = 0;    // of CPU time, when that was long ago
  bool stopped_ = false;         // a limit of the call has been reached
  bool refused_memory_ = false;  // in this call
  bool refused_ever_ = false;    // since exhausted() was asked
  bool exhausted_ = false;
  unsigned hook_every_ = 0;  // instructions; each one where a limit was reached

  size_t used_bytes_ = 0;
  size_t long_blocks_ = 0;  // of those
  size_t collect_at_bytes_;
  uint64_t allocations_ = 0;
  uint64_t allocated_bytes_ = 0;
  uint64_t collected_to_bytes_ = 0;
  std::string error_;
};

}  // namespace sluice

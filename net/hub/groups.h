// Groups of consumers, where the hub itself deals out the members: who has which member now, and
// how far each has come. A subscriber gets a free member by a lease. A lease has a token, a number
// that only grows, so that an acknowledgement of a former owner is known and refused. It ends with
// its subscriber, or when an event that was passed on has waited too long for an acknowledgement.
// Owned by the hub's home, used on its worker's thread. Pure: what it decides is in the call, in
// rows for the store, and in news for all workers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "net/hub/cursor.h"

namespace sluice {

namespace limits {
inline constexpr size_t kHubGroupsMax = 1'000;
inline constexpr size_t kHubGroupSizeMax = 1'000;
// Of all groups together.
inline constexpr size_t kHubMembersMax = 10'000;
}  // namespace limits

struct MemberState {
  uint64_t position = 0;        // global, of the last event that is done with; 0: none is
  uint64_t token = 0;           // of its newest lease; 0: it had none since the process began
  uint64_t delivered = 0;       // of the last event that the owner was passed
  uint64_t waits_since_ms = 0;  // that it has events to acknowledge, and did not; 0: it has none
  std::string owner = {};       // its address
  bool leased = false;
};

// What is kept beyond the process.
struct GroupRow {
  std::string id;
  uint64_t position = 0;
  uint64_t fence = 0;
  bool gone = false;  // it is kept no longer
};

// What is asked of a hub's groups, and the answer.
struct GroupCall {
  enum class Kind : uint8_t {
    kLease,      // a free member
    kRelease,    // its owner has gone
    kDelivered,  // as far as `position`
    kAck,        // all up to `position`
    kDelete,     // the group, with its positions
    kRead,
  };
  enum class Status : uint8_t {
    kDone,
    kAllTaken,
    kOtherSize,     // than the group has
    kOtherSources,  // the same
    kOwned,         // members have owners
    kUnknown,       // there is no such group or member
    kFenced,        // the member has had another owner since
    kBeyond,        // the log ends before that position
    kTooMany,       // groups or members
  };

  Kind kind = Kind::kRead;
  Status status = Status::kUnknown;
  std::string group = {};
  // A line for each stream and category: a lease names them, and reading a group gives them.
  std::string sources = {};
  uint32_t size = 0;
  uint32_t member = 0;
  uint64_t token = 0;
  uint64_t position = 0;
  Start start = {};        // of a lease: where a new group begins
  std::string owner = {};  // the same
  std::vector<MemberState> members = {};
  std::vector<GroupRow> rows = {};

  // How it was before, should the store refuse the rows.
  struct Undo {
    bool made = false;
    bool resized = false;
    std::vector<MemberState> members = {};
    uint64_t position = 0;
    uint64_t token = 0;
  };
  Undo undo = {};

  bool changes() const {
    return kind == Kind::kLease || kind == Kind::kAck || kind == Kind::kDelete;
  }
  // Its answer rests on what may be on its way to the store. That all members are taken is said at
  // once: whoever waits has to hear of it before it hears that one is free.
  bool rests_on_store() const {
    return (changes() || kind == Kind::kRead) && status != Status::kAllTaken;
  }
};

class Groups {
 public:
  struct LogRange {
    uint64_t first;
    uint64_t next;
  };
  // For all workers, in order.
  struct News {
    enum class Kind : uint8_t {
      kOver,  // the lease with this token has ended, and its owner may not know
      kFree,  // a member of the group with this hash is free
    };
    Kind kind;
    uint64_t number;
  };

  // No token is lower.
  explicit Groups(uint64_t first_token) : next_token_(first_token) {}

  void answer(GroupCall& call, const LogRange& log, uint64_t now_ms);
  // The store has refused its rows; the last call first.
  void take_back(GroupCall& call, uint64_t now_ms);
  // Leases end whose owners were passed an event `lease_ms` ago and have acknowledged nothing
  // since.
  void expire(uint64_t now_ms, uint64_t lease_ms);
  // False: the row is none of theirs. A group's own row comes before those of its members.
  bool restore(const GroupRow& row, uint64_t last_position);
  static bool is_group_row(std::string_view id);

  // The receiver takes them from the front.
  std::deque<News>& news() { return news_; }
  size_t size() const { return groups_.size(); }
  size_t leases() const { return leases_; }
  uint64_t expired() const { return expired_; }

  static uint64_t hash_of(std::string_view group);

 private:
  using Status = GroupCall::Status;

  struct Group {
    std::string sources;
    std::vector<MemberState> members;
    size_t leases = 0;
  };

  Status lease(GroupCall& call, const LogRange& log);
  Status make(GroupCall& call, const LogRange& log);
  Status resize(GroupCall& call, Group& group);
  Status ack(GroupCall& call, const LogRange& log, uint64_t now_ms);
  Status remove(GroupCall& call);
  void fill(GroupCall& call, Group& group, uint64_t position);
  void end_lease(const std::string& name, Group& group, MemberState& member);
  MemberState* leased(const GroupCall& call, Group** group);

  std::unordered_map<std::string, Group> groups_;
  std::deque<News> news_;
  uint64_t next_token_;
  size_t members_ = 0;
  size_t leases_ = 0;
  uint64_t expired_ = 0;
};

}  // namespace sluice

#include "core/intrusive_list.h"

#include <array>
#include <deque>
#include <string>

#include <gtest/gtest.h>

#include "tests/unit/random_source.h"

namespace sluice {
namespace {

struct Member {
  char name;
  ListLink<Member> link;
};
using List = IntrusiveList<Member, &Member::link>;
using Queue = IntrusiveQueue<Member, &Member::link>;

template <typename Any>
std::string names(const Any& list) {
  std::string all;
  for (const Member* member = list.front(); member; member = list.next(*member))
    all += member->name;
  return all;
}

TEST(IntrusiveList, NewestComesFirst) {
  Member a{'a', {}};
  Member b{'b', {}};
  List list;
  EXPECT_TRUE(list.empty());
  EXPECT_FALSE(a.link.linked());
  list.push_front(a);
  list.push_front(b);
  EXPECT_EQ(names(list), "ba");
  EXPECT_TRUE(a.link.linked());
  list.remove(b);
  EXPECT_EQ(names(list), "a");
  EXPECT_FALSE(b.link.linked());
  list.remove(a);
  EXPECT_TRUE(list.empty());
}

TEST(IntrusiveList, AMemberLeavesFromAnyPlace) {
  for (int leaver = 0; leaver < 3; ++leaver) {
    std::array<Member, 3> members{{{'a', {}}, {'b', {}}, {'c', {}}}};
    List list;
    for (Member& member : members) list.push_front(member);
    list.remove(members[static_cast<size_t>(leaver)]);
    std::string left = "cba";
    left.erase(left.find(members[static_cast<size_t>(leaver)].name), 1);
    EXPECT_EQ(names(list), left);
  }
}

TEST(IntrusiveQueue, IsWhatADequeIs) {
  std::array<Member, 6> members{};
  for (size_t i = 0; i < members.size(); ++i) members[i].name = static_cast<char>('a' + i);
  Queue queue;
  std::deque<char> model;
  test::RandomSource random;
  SCOPED_TRACE(random.trace());
  for (int step = 0; step < 10'000; ++step) {
    Member& member = members[random.between(0, members.size() - 1)];
    if (member.link.linked()) {
      queue.remove(member);
      std::erase(model, member.name);
    } else if (random.between(0, 1) == 0) {
      queue.push_front(member);
      model.push_front(member.name);
    } else {
      queue.push_back(member);
      model.push_back(member.name);
    }
    ASSERT_EQ(names(queue), std::string(model.begin(), model.end()));
    ASSERT_EQ(queue.empty(), model.empty());
  }
}

}  // namespace
}  // namespace sluice

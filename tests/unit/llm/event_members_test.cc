#include "net/llm/event_members.h"

#include <array>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace sluice {
namespace {

const std::string kDelta =
    R"({"id":"c1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,)"
    R"("delta":{"content":" word"},"logprobs":null,"finish_reason":null}],"usage":null})";

// The same found in the plainest way: each place of the name in quotes, then blanks and a colon.
std::vector<size_t> values_of(std::string_view json, std::string_view name) {
  std::string quoted = "\"" + std::string(name) + "\"";
  std::vector<size_t> values;
  for (size_t at = 0; (at = json.find(quoted, at)) != json.npos; ++at) {
    size_t colon = std::min(json.find_first_not_of(" \t\r\n", at + quoted.size()), json.size());
    if (!json.substr(colon).starts_with(':')) continue;
    values.push_back(std::min(json.find_first_not_of(" \t\r\n", colon + 1), json.size()));
  }
  return values;
}

bool filled(std::string_view value) {
  if (value.empty() || value[0] == 'n' || value[0] == 'f') return false;
  if (value[0] == '"') return value.size() > 1 && value[1] != '"';
  if (value[0] != '[' && value[0] != '{') return true;
  size_t inner = value.find_first_not_of(" \t\r\n", 1);
  return inner != value.npos && value[inner] != ']' && value[inner] != '}';
}

void expect_as_searched(std::string_view json, const EventMembers& members) {
  bool has_usage = false;
  bool has_error = false;
  for (size_t i = 0; i < kMemberNames.size(); ++i) {
    auto member = static_cast<Member>(i);
    std::vector<size_t> values = values_of(json, kMemberNames[i]);
    bool any_filled = false;
    for (size_t value : values) {
      any_filled |= filled(json.substr(value));
      has_usage |= member == Member::kUsage && json.substr(value).starts_with('{');
      has_error |= member == Member::kError;
      has_error |= member == Member::kObject && json.substr(value).starts_with("\"error\"");
    }
    size_t first = values.empty() ? EventMembers::kNone : values.front();
    ASSERT_EQ(members.has(member), !values.empty()) << kMemberNames[i] << " in " << json;
    if (i < kPlacedMembers) {
      ASSERT_EQ(members.first(member), first) << kMemberNames[i] << json;
    }
    ASSERT_EQ(find_member(json, member), first) << kMemberNames[i] << " in " << json;
    ASSERT_EQ(members.repeats(member), values.size() > 1) << kMemberNames[i] << " in " << json;
    ASSERT_EQ(members.filled(member), any_filled) << kMemberNames[i] << " in " << json;
  }
  ASSERT_EQ(members.may_have_usage(), has_usage) << json;
  ASSERT_EQ(members.may_be_error(), has_error) << json;
}

// In memory of its size alone, so that a sanitizer sees what is read around it. `begin`: that of
// the data before.
void expect_as_searched(const std::string& data, SharedBegin& begin) {
  auto alone = std::make_unique<char[]>(data.size());
  data.copy(alone.get(), data.size());
  std::string_view json(alone.get(), data.size());
  ASSERT_NO_FATAL_FAILURE(expect_as_searched(json, EventMembers(json)));
  for (int again = 0; again < 2; ++again)
    ASSERT_NO_FATAL_FAILURE(expect_as_searched(json, begin.members_of(json)));
}

TEST(EventMembers, AreFoundAtAnyDepth) {
  EventMembers members(kDelta);
  EXPECT_EQ(kDelta.substr(members.first(Member::kDelta), 2), "{\"");
  EXPECT_TRUE(members.filled(Member::kContent));
  EXPECT_TRUE(members.filled(Member::kChoices));
  EXPECT_TRUE(members.has(Member::kFinishReason));
  EXPECT_FALSE(members.filled(Member::kFinishReason));
  EXPECT_FALSE(members.may_have_usage());
  EXPECT_FALSE(members.may_be_error());
  EXPECT_FALSE(members.has(Member::kText));
}

TEST(EventMembers, AreNamesAndNoStrings) {
  constexpr std::string_view kJson =
      R"({"x":"delta","content":"a \"usage\": {}","y":{"delta" : {}}})";
  EventMembers members(kJson);
  EXPECT_EQ(kJson.substr(members.first(Member::kDelta), 2), "{}");
  EXPECT_FALSE(members.repeats(Member::kDelta));
  EXPECT_FALSE(members.may_have_usage());
}

// Each name at each place of a block, with blanks around the colon and without.
TEST(EventMembers, AreFoundWhereverTheyLie) {
  SharedBegin begin;
  for (std::string_view name : kMemberNames)
    for (size_t before = 0; before < 140; ++before) {
      constexpr std::array<const char*, 4> kColons = {":", " :", ":\t", " \r\n : "};
      constexpr std::array<const char*, 4> kBehind = {"", "\"", "{}", "[{}],\"x\":0"};
      std::string json(before, ' ');
      json.append("\"").append(name).append("\"").append(kColons[before % 4]);
      json.append(kBehind[before / 4 % 4]);
      ASSERT_NO_FATAL_FAILURE(expect_as_searched(json, begin));
    }
}

// Whatever becomes of a delta, before its begin and behind it: cut, doubled, with other bytes,
// blanks and names.
TEST(EventMembers, AreThoseThatASearchFinds) {
  SharedBegin begin;
  std::mt19937 random(1);
  auto below = [&random](size_t end) {
    return std::uniform_int_distribution<size_t>(0, end - 1)(random);
  };
  for (int i = 0; i < 2000; ++i) {
    std::string json = kDelta;
    if (below(4) == 0) json.insert(1, R"("x":"y",)");
    for (size_t changes = below(8); changes > 0 && !json.empty(); --changes) {
      constexpr std::string_view kBytes = "\"\":: \n\\{}[],nfx\x01\xff";
      size_t at = below(json.size());
      switch (below(6)) {
        case 0:
          json[at] = kBytes[below(kBytes.size())];
          break;
        case 1:
          json.insert(at, 1, kBytes[below(kBytes.size())]);
          break;
        case 2:
          json.erase(at, below(10));
          break;
        case 3:
          json.insert(at, json.substr(below(json.size()), below(100)));
          break;
        case 4:
          json.resize(at);
          break;
        default:
          json.insert(at, "\"" + std::string(kMemberNames[below(kMemberNames.size())]) + "\":");
      }
    }
    ASSERT_NO_FATAL_FAILURE(expect_as_searched(json, begin));
  }
}

}  // namespace
}  // namespace sluice

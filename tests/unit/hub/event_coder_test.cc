#include "net/hub/event_coder.h"

#include <array>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "net/http/chunk.h"
#include "tests/unit/hub/hub_log.h"

namespace sluice {
namespace {

constexpr CodedForm::Name kAlone{BlockForm::kEvent, 0};

CodedForm::Name behind(uint64_t global) {
  return {BlockForm::kEvent, global};
}

class EventCoderTest : public testing::Test {
 protected:
  EventCoderTest() {
    hub.home.count_also(bytes);
    for (int i = 0; i < 10; ++i) hub.publish("a-1", std::string(200, 'x'));
  }

  EventCoder::Coded code(uint64_t global, const CodedForm::Name& name) {
    return coder.code(*hub.log.at(global), name);
  }

  std::atomic<uint64_t> bytes{0};
  HubLog hub;
  TextCoder texts;
  EventCoder coder{hub.log, hub.slots, texts, bytes};
};

TEST_F(EventCoderTest, AFormIsMadeOnceForAll) {
  for (int i = 0; i < 100; ++i) {
    code(1, kAlone);
    code(1, {BlockForm::kPoke, 0});
    code(2, behind(1));
  }
  EXPECT_EQ(coder.made(), 3U);
}

// So that it leaves in one piece.
TEST_F(EventCoderTest, StandsBetweenTheLinesOfAChunk) {
  for (const CodedForm::Name& name : {kAlone, behind(2)}) {
    EventCoder::Coded coded = code(3, name);
    std::array<char, kChunkSizeLineMax> line;
    std::string chunk(line.data(), write_chunk_size(line.data(), coded.text.bytes.size()));
    chunk.append(coded.text.bytes) += kChunkEnd;
    EXPECT_EQ(std::string_view(coded.lease.data(), coded.lease.size()), chunk);
  }
}

TEST_F(EventCoderTest, AnEventBeforeHelps) {
  EXPECT_LT(code(2, behind(1)).text.bytes.size() * 2, code(2, kAlone).text.bytes.size());
}

TEST_F(EventCoderTest, StandsAloneWhereTheEventBeforeHasGone) {
  hub.log.evict_through(1);
  EXPECT_EQ(code(2, behind(1)).text.bytes, code(2, kAlone).text.bytes);
  EXPECT_EQ(coder.made(), 1U);
}

TEST_F(EventCoderTest, StandsBehindSomeOthersAtMost) {
  for (uint64_t global = 1; global <= 9; ++global) code(10, behind(global));
  EXPECT_EQ(coder.made(), limits::kCodedBehindMax + 1);
  EXPECT_EQ(code(10, behind(9)).text.bytes, code(10, kAlone).text.bytes);
  EXPECT_NE(code(10, behind(1)).text.bytes, code(10, kAlone).text.bytes);
}

TEST_F(EventCoderTest, FormsAreThereAsLongAsSomebodySendsThem) {
  EventCoder::Coded coded = code(1, kAlone);
  std::string text(coded.text.bytes);
  hub.log.evict_through(1);
  EXPECT_EQ(coded.text.bytes, text);
  EXPECT_GT(bytes.load(), text.size());
  coded.lease = {};
  EXPECT_EQ(bytes.load(), 0U);
  EXPECT_EQ(hub.slots.lent(), 9U);
}

TEST_F(EventCoderTest, FormsCountTowardsTheHistory) {
  hub.home.set_limits({.history_bytes = hub.log.bytes() + 100});
  hub.home.trim(hub.now_ms, hub.wall_ms);
  EXPECT_EQ(hub.log.events(), 10U);
  code(10, kAlone);
  ASSERT_GT(bytes.load(), 100U);
  hub.home.trim(hub.now_ms, hub.wall_ms);
  EXPECT_EQ(hub.log.events(), 9U);
}

TEST_F(EventCoderTest, WorkersThatMakeTheSameShareOne) {
  CodedForms forms;
  std::vector<std::thread> workers;
  std::array<CodedForm*, 4> made{};
  for (CodedForm*& mine : made)
    workers.emplace_back([&forms, &mine, this] {
      for (uint64_t i = 0; i < 100; ++i) {
        CodedForm& form = forms.add(CodedForm::make(behind(i), {.bytes = "coded"}, bytes));
        EXPECT_EQ(forms.find(behind(i)), &form);
        mine = &form;
      }
    });
  for (std::thread& worker : workers) worker.join();
  for (CodedForm* form : made) EXPECT_EQ(form, made[0]);
  EXPECT_EQ(forms.behind_others(), 99U);
}

}  // namespace
}  // namespace sluice

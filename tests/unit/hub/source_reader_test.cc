#include "net/hub/source_reader.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/hub/home.h"

namespace sluice {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr size_t kEventBytesMax = 1000;

class Source : public testing::Test {
 protected:
  Source() { reader_.begin(); }

  // The data of all that has come; type and id of those that have them, as "type:data#id".
  std::vector<std::string> read() {
    std::vector<std::string> all;
    while (reader_.has_events()) {
      SourceBatch batch;
      reader_.read(batch, check_, kEventBytesMax);
      EXPECT_LE(batch.events.size(), limits::kHubBatchMax);
      for (const EventDraft& draft : batch.drafts()) {
        std::string text = draft.type.empty() ? "" : std::string(draft.type) + ":";
        text += draft.data;
        if (!draft.origin_id.empty()) text += "#" + std::string(draft.origin_id);
        if (draft.json) text += " (JSON)";
        all.push_back(text);
      }
    }
    return all;
  }
  std::vector<std::string> read(std::string_view bytes) {
    reader_.append(bytes, kEventBytesMax);
    return read();
  }
  void reconnect() {
    reader_.end();
    reader_.begin();
  }

  MemoryLimit memory_{.bytes_max = 1 << 20, .heap_max = 1 << 20};
  JsonCheck check_{1000};
  SourceReader reader_{memory_, 256};
};

TEST_F(Source, ReadsEventsAsABrowserDoes) {
  EXPECT_THAT(read("\xEF\xBB\xBFid: 1\nevent: T\ndata: a\ndata: b\n\n"), ElementsAre("T:a\nb#1"));
  EXPECT_THAT(read(": none\n\nretry: 7\n\nevent: T\n\nid: 2\n\nunknown: x\n\n"), IsEmpty());
  EXPECT_EQ(reader_.retry_ms(), 7U);
  EXPECT_EQ(reader_.healing().ids.last(), "2") << "an id counts without data";
  EXPECT_THAT(read("data\n\ndata:\r\rdata:  c\r\n\r\n"), ElementsAre("", "", " c"));
  EXPECT_THAT(read("data: \xFF\xC3\n\n"), ElementsAre("\xEF\xBF\xBD\xEF\xBF\xBD"));
}

TEST_F(Source, OnlyObjectsAndArraysAreJson) {
  EXPECT_THAT(read("data: {\"a\": 1}\n\ndata: [1]\n\ndata: 1\n\ndata: {\n\ndata: {\ndata: }\n\n"),
              ElementsAre("{\"a\": 1} (JSON)", "[1] (JSON)", "1", "{", "{\n}"));
}

TEST_F(Source, ManyEventsAreSeveralBatches) {
  std::string text;
  for (int i = 0; i < 2500; ++i) text += "data: " + std::to_string(i) + "\n\n";
  reader_.append(text, kEventBytesMax);
  SourceBatch batch;
  reader_.read(batch, check_, kEventBytesMax);
  EXPECT_EQ(batch.events.size(), limits::kHubBatchMax);
  EXPECT_EQ(read().size(), 1500U);
}

// In both halves of every cut, with an event in it that is too large to be kept.
TEST_F(Source, ItDoesNotMatterHowItIsCut) {
  for (std::string end : {"\n", "\r", "\r\n"}) {
    std::string text = "\xEF\xBB\xBFid: 1" + end + "data: a" + end + end;
    text += "data: " + std::string(3 * kEventBytesMax, 'x') + end;
    for (int i = 0; i < 4000; i += 10) text += "data: 0123" + end;
    text += end + ":c" + end + "data: b" + end + "id: 2" + end + end;
    std::vector<size_t> cuts;
    for (size_t at = 0; at < text.size(); at += at < 60 || at + 60 > text.size() ? 1 : 13)
      cuts.push_back(at);
    for (size_t cut : cuts) {
      reader_.forget();
      reconnect();
      uint64_t refused = reader_.refused();
      std::vector<std::string> all = read(std::string_view(text).substr(0, cut));
      for (const std::string& more : read(std::string_view(text).substr(cut))) all.push_back(more);
      EXPECT_THAT(all, ElementsAre("a#1", "b#2")) << "cut at " << cut;
      EXPECT_EQ(reader_.refused(), refused + 1) << "cut at " << cut;
    }
  }
}

// As a stream that is cut through brings it.
TEST_F(Source, OneThatIsTooLargeEndsWhereverItIsCut) {
  for (std::string end : {"\n", "\r", "\r\n"}) {
    std::string text = end + "data: y" + end + end + "data: b" + end + end + "data: c" + end + end;
    for (size_t cut = 0; cut <= text.size(); ++cut) {
      reconnect();
      EXPECT_THAT(read("data: " + std::string(10 * kEventBytesMax, 'x')), IsEmpty());
      std::vector<std::string> all = read(std::string_view(text).substr(0, cut));
      for (const std::string& more : read(std::string_view(text).substr(cut))) all.push_back(more);
      EXPECT_THAT(all, ElementsAre("b", "c")) << "cut at " << cut;
    }
  }
}

TEST_F(Source, WhatTheHubCannotTakeIsCounted) {
  EXPECT_THAT(read("event: sluice.gap\ndata: 1\n\nevent: " + std::string(300, 'e') +
                   "\ndata: 2\n\ndata: " + std::string(kEventBytesMax + 1, 'x') +
                   "\n\ndata: " + std::string(kEventBytesMax, 'x') + "\n\n"),
              ElementsAre(std::string(kEventBytesMax, 'x')));
  EXPECT_EQ(reader_.refused(), 3U);
  EXPECT_STREQ(reader_.refusal(), "it is larger than hub-event-size");
}

TEST_F(Source, WhatIsUnfinishedAtAnEndIsNone) {
  EXPECT_THAT(read("data: 1\n\ndata: 2\n"), ElementsAre("1"));
  reconnect();
  EXPECT_THAT(read("\n\ndata: 3\n\n"), ElementsAre("3"));
}

TEST_F(Source, WhatIsWholeStaysOverAnEnd) {
  reader_.append("data: 1\n\ndata: 2\n", kEventBytesMax);
  reader_.end();
  EXPECT_THAT(read(), ElementsAre("1"));
}

TEST_F(Source, WhatComesAgainIsDropped) {
  EXPECT_THAT(read("id: a\ndata: 1\n\ndata: 1b\n\nid: b\ndata: 2\n\n"),
              ElementsAre("1#a", "1b", "2#b"));
  reconnect();
  // One without an id goes with the one before it; behind the last it may be new.
  EXPECT_THAT(read("id: a\ndata: 1\n\ndata: 1b\n\nid: b\ndata: 2\n\ndata: 2b\n\nid: c\ndata: 3\n\n"
                   "id: a\ndata: anew\n\n"),
              ElementsAre("2b", "3#c", "anew#a"));
  EXPECT_EQ(reader_.duplicates(), 3U);
}

TEST_F(Source, IdsThatNameSeveralEventsTellNothing) {
  EXPECT_THAT(read("id: a\ndata: 1\n\nid: a\ndata: 2\n\n"), ElementsAre("1#a", "2#a"));
  reconnect();
  EXPECT_THAT(read("id: a\ndata: 3\n\n"), ElementsAre("3#a"));
}

TEST_F(Source, AnEmptyIdForgetsTheLast) {
  EXPECT_THAT(read("id: a\ndata: 1\n\nid\ndata: 2\n\n"), ElementsAre("1#a", "2"));
  EXPECT_FALSE(reader_.healing().can_ask());
}

// It may have been another source's.
TEST_F(Source, AnIdFromBeforeDropsNothing) {
  reader_.restore("a");
  reconnect();
  EXPECT_EQ(reader_.healing().ids.last(), "a");
  EXPECT_THAT(read("id: a\ndata: 1\n\nid: b\ndata: 2\n\n"), ElementsAre("1#a", "2#b"));
  reconnect();
  EXPECT_THAT(read("id: a\ndata: 1\n\nid: b\ndata: 2\n\nid: c\ndata: 3\n\n"), ElementsAre("3#c"));
}

TEST_F(Source, AnotherSourceKnowsNothingOfTheIds) {
  reader_.restore("a");
  EXPECT_TRUE(reader_.healing().can_ask());
  reader_.forget();
  reconnect();
  EXPECT_FALSE(reader_.healing().can_ask());
  EXPECT_THAT(read("id: a\ndata: 1\n\n"), ElementsAre("1#a"));
}

}  // namespace
}  // namespace sluice

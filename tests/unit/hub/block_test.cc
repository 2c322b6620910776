#include "net/hub/block.h"

#include <array>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "net/http/chunk.h"

namespace sluice {
namespace {

constexpr EventPlace kPlace{.stream = "account-1",
                            .position = 7,
                            .global = 32,
                            .time_ms = 1'790'000'000'123,
                            .stream_epoch = 0x11,
                            .hub_epoch = 0x22};

class BlockTest : public testing::Test {
 protected:
  ~BlockTest() override {
    if (block_) block_->let_go();
  }
  Block& make(const EventDraft& draft) {
    std::string scratch = "what was built before";
    return *(block_ = Block::make(draft, kPlace, 1, scratch));
  }
  // What stands around a form, in the memory that leases are on.
  bool is_a_chunk(std::string_view form) {
    std::string_view all(block_->text(), block_->text_size());
    std::array<char, kChunkSizeLineMax> line;
    std::string chunk(line.data(), write_chunk_size(line.data(), form.size()));
    size_t begin = static_cast<size_t>(form.data() - all.data()) - chunk.size();
    chunk.append(form) += kChunkEnd;
    return begin < all.size() && all.substr(begin, chunk.size()) == chunk;
  }

  Block* block_ = nullptr;
};

TEST_F(BlockTest, HasAnEventInAllItsForms) {
  EventDraft draft{.type = "Paid", .data = "{\"a\":\n1}", .metadata = "{\"m\":2}"};
  draft.message_id = "u1";
  draft.correlation = "order";
  Block& block = make(draft);
  EXPECT_EQ(block.stream(), "account-1");
  EXPECT_EQ(block.type(), "Paid");
  EXPECT_EQ(block.correlation(), "order");
  EXPECT_EQ(block.message_id(), "u1");
  EXPECT_EQ(block.event(), "id: 00000011.7\nevent: Paid\ndata: {\"a\": 1}\n\n");
  constexpr std::string_view kWhere = R"("stream":"account-1","position":7,"globalPosition":32)";
  std::string poke = "data: {" + std::string(kWhere) + "}\n\n";
  EXPECT_EQ(block.poke(), "id: 00000011.7\n" + poke);
  EXPECT_EQ(block.envelope_poke(), "id: 00000022.32\n" + poke);
  std::string message = "{" + std::string(kWhere) +
                        R"(,"type":"Paid","id":"u1","time":"2026-09-21T14:13:20.123Z",)"
                        R"("metadata":{"m":2},"data":{"a": 1}})";
  EXPECT_EQ(block.message(), message);
  EXPECT_EQ(block.envelope_event(), "id: 00000022.32\ndata: " + message + "\n\n");
}

// So that it leaves in one piece.
TEST_F(BlockTest, EachFormStandsBetweenTheLinesOfAChunk) {
  for (size_t size : {0UL, 1UL, 200UL, 4000UL, 70'000UL}) {
    std::string data(size, 'x');
    Block& block = make({.data = data, .json = false});
    for (std::string_view form :
         {block.event(), block.poke(), block.envelope_event(), block.envelope_poke()})
      EXPECT_TRUE(is_a_chunk(form)) << size << ": " << form.substr(0, 80);
    block_->let_go();
    block_ = nullptr;
  }
}

}  // namespace
}  // namespace sluice

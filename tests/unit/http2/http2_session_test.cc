// The codec against frames that are written here, byte by byte.
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "net/http2/session.h"
#include "tests/unit/http2/frames_testing.h"

namespace sluice {
namespace {

using test::first_frames;
using test::frame;
using test::frames_in;
using test::request_frame;

// Tells what the codec told, a word each.
class Log final : public Http2Session::Handler {
 public:
  std::vector<std::string> words;
  std::string output;
  size_t room = SIZE_MAX;

  std::string take() {
    std::string all;
    for (const std::string& word : words) all += word + " ";
    words.clear();
    return all;
  }

 private:
  void say(std::string word) { words.push_back(std::move(word)); }

  void on_frame_forbidden(Http2Code code) override {
    say("forbidden" + std::to_string(static_cast<uint32_t>(code)));
  }
  void on_frame_begun(const Http2FrameHeader& frame, bool late) override {
    say((late ? "late" : "frame") + std::to_string(frame.type));
  }
  void on_head_begun(int32_t id, bool trailers) override {
    say((trailers ? "trailers" : "head") + std::to_string(id));
  }
  void on_field(std::string_view name, std::string_view value) override {
    say(std::string(name) + "=" + std::string(value));
  }
  void on_head(int32_t id, bool ends) override {
    say("whole" + std::to_string(id) + (ends ? "!" : ""));
  }
  void on_bad_head() override { say("bad"); }
  void on_body(Http2Stream&, std::string_view) override {}
  void on_request_end(Http2Stream&) override {}
  void on_stream_closed(Http2Stream&, uint32_t) override {}
  void on_padding_only() override { say("padding"); }
  void on_ping_answered() override { say("pong"); }
  void on_peer_ends(uint32_t code) override { say("peer-ends" + std::to_string(code)); }
  void on_priority(Http2Stream&, std::string_view priority) override {
    say("priority:" + std::string(priority));
  }
  void on_early_priority(int32_t id, std::string_view priority) override {
    say("early-priority" + std::to_string(id) + ":" + std::string(priority));
  }
  void on_reset(bool ours, uint32_t code) override {
    say((ours ? "reset" : "peer") + std::to_string(code));
  }
  void on_end_said(uint32_t code) override { say("goaway" + std::to_string(code)); }
  void on_output(std::string_view bytes) override { output += bytes; }
  bool has_room() override { return output.size() < room; }
  Http2Session::Body next_body(Http2Stream&, size_t) override {
    return {Http2Session::Body::Kind::kNone};
  }
  void on_body_frame(Http2Stream&, std::string_view) override {}
  void on_end_framed(Http2Stream&, bool by_head) override { say(by_head ? "end:head" : "end"); }
};

class Http2SessionTest : public testing::Test {
 protected:
  // What the peer has seen since the last call: frames by type.
  std::string sent() {
    EXPECT_TRUE(session.frame());
    return frames_in(std::exchange(log.output, ""));
  }

  bool takes(std::string_view bytes) {
    return session.receive(bytes) == Http2Session::Received::kWell;
  }

  Log log;
  Http2Session session{log,
                       {.streams_max = 10,
                        .stream_window = 65536,
                        .connection_window = 1 << 20,
                        .header_list_bytes = 16384}};
};

TEST_F(Http2SessionTest, BeginsWithItsSettingsAndReadsARequestCutAnywhere) {
  std::string bytes = first_frames() + request_frame(1, "/a");
  for (char byte : bytes) ASSERT_TRUE(takes({&byte, 1}));
  EXPECT_EQ(log.take(),
            "frame4 frame1 head1 :method=GET :scheme=http :authority=a.test :path=/a whole1! ");
  EXPECT_EQ(sent(), "settings settings:ack window_update ");
}

// RFC 9113 section 6.5.2: numbers of two bytes, values of four.
TEST_F(Http2SessionTest, AnnouncesItsLimits) {
  ASSERT_TRUE(session.frame());
  std::vector<test::SeenFrame> seen = test::take_frames(log.output);
  ASSERT_FALSE(seen.empty());
  ASSERT_EQ(seen[0].type, 4);
  std::map<unsigned, uint32_t> settings;
  const std::string& payload = seen[0].payload;
  for (size_t at = 0; at + 6 <= payload.size(); at += 6) {
    auto number = [&](size_t from, size_t size) {
      uint32_t value = 0;
      for (char byte : payload.substr(from, size)) value = value << 8 | static_cast<uint8_t>(byte);
      return value;
    };
    settings[number(at, 2)] = number(at + 2, 4);
  }
  constexpr unsigned kMaxConcurrentStreams = 3;
  constexpr unsigned kInitialWindowSize = 4;
  constexpr unsigned kMaxHeaderListSize = 6;
  constexpr unsigned kNoRfc7540Priorities = 9;
  EXPECT_EQ(settings, (std::map<unsigned, uint32_t>{{kMaxConcurrentStreams, 10},
                                                    {kInitialWindowSize, 65536},
                                                    {kMaxHeaderListSize, 16384},
                                                    {kNoRfc7540Priorities, 1}}));
}

TEST_F(Http2SessionTest, TellsOfAHeadThatIsNotValid) {
  ASSERT_TRUE(takes(first_frames() + request_frame(1, "/", {{"x", "a\nb"}})));
  EXPECT_EQ(log.take(),
            "frame4 frame1 head1 :method=GET :scheme=http :authority=a.test :path=/ bad ");
  EXPECT_EQ(sent(), "settings settings:ack window_update rst_stream ");
  EXPECT_EQ(log.take(), "reset1 ");
}

TEST_F(Http2SessionTest, TellsOfFramesThatNobodyKnows) {
  ASSERT_TRUE(takes(first_frames() + frame(0x42, 0, 0, "x") + frame(0xff, 0, 7, "")));
  EXPECT_EQ(log.take(), "frame4 frame66 frame255 ");
  EXPECT_FALSE(session.over());
}

constexpr uint8_t kPriorityFrame = 2;

// RFC 9113 section 6.3; other frames of such priorities say nothing to us.
TEST_F(Http2SessionTest, ForbidsPrioritiesOfNoStream) {
  ASSERT_TRUE(
      takes(first_frames() + frame(kPriorityFrame, 0, 3, std::string_view("\0\0\0\3x", 5))));
  EXPECT_EQ(log.take(), "frame4 frame2 ");
  ASSERT_TRUE(takes(frame(kPriorityFrame, 0, 0, std::string_view("\0\0\0\3x", 5))));
  EXPECT_EQ(log.take(), "frame2 forbidden1 ");
}

// RFC 9113 section 5.1.1: the peer has ended it itself, or skipped it.
TEST_F(Http2SessionTest, ForbidsHeadsOfStreamsThatThePeerHasClosed) {
  ASSERT_TRUE(takes(first_frames() + request_frame(3, "/") + request_frame(5, "/")));
  session.respond(3, {{":status", "204"}}, /*with_body=*/false);
  sent();
  log.take();
  ASSERT_TRUE(takes(request_frame(3, "/")));
  EXPECT_EQ(log.take(), "frame1 forbidden5 ");
  ASSERT_TRUE(takes(request_frame(1, "/")));
  EXPECT_EQ(log.take(), "frame1 forbidden5 ");
  ASSERT_TRUE(takes(frame(3, 0, 5, std::string_view("\0\0\0\x8", 4)) + request_frame(5, "/")));
  EXPECT_EQ(log.take(), "frame3 peer8 frame1 forbidden5 ");
}

TEST_F(Http2SessionTest, AllowsHeadsOfStreamsThatWeHaveReset) {
  ASSERT_TRUE(takes(first_frames() + request_frame(1, "/")));
  session.reset(1, Http2Code::kCancel);
  sent();
  log.take();
  // The second is refused for what it says: its reset has not left.
  ASSERT_TRUE(takes(request_frame(1, "/") + request_frame(3, "/", {{"x", "a\nb"}}) +
                    request_frame(3, "/")));
  EXPECT_EQ(log.take().find("forbidden"), std::string::npos);
}

constexpr uint8_t kDataFrame = 0;

TEST_F(Http2SessionTest, ForbidsDataOfStreamsThatThePeerHasEnded) {
  ASSERT_TRUE(takes(first_frames() + request_frame(3, "/")));
  session.respond(3, {{":status", "204"}}, /*with_body=*/false);
  sent();
  log.take();
  ASSERT_TRUE(takes(frame(kDataFrame, 0, 3, "x")));
  EXPECT_EQ(log.take(), "frame0 forbidden5 ");
  ASSERT_TRUE(takes(frame(kDataFrame, 0, 1, "x")));  // skipped, so it has ended
  EXPECT_EQ(log.take(), "frame0 forbidden5 ");
}

TEST_F(Http2SessionTest, TellsOfDataThatWasUnderWay) {
  std::string head = request_frame(1, "/");
  head[4] = 4;  // a body follows
  ASSERT_TRUE(takes(first_frames() + head + frame(kDataFrame, 0, 1, "x")));
  session.reset(1, Http2Code::kCancel);
  sent();
  log.take();
  // The second stream is refused for what it says: its reset has not left.
  std::string bad = request_frame(3, "/", {{"x", "a\nb"}});
  bad[4] = 4;
  ASSERT_TRUE(takes(frame(kDataFrame, 0, 1, "x") + bad + frame(kDataFrame, 1, 3, "x")));
  std::string words = log.take();
  EXPECT_TRUE(words.starts_with("late0 ")) << words;
  EXPECT_EQ(words.find("forbidden"), std::string::npos) << words;
}

TEST_F(Http2SessionTest, TellsOfDataBehindTheEnd) {
  ASSERT_TRUE(takes(first_frames() + request_frame(1, "/")));
  session.refuse_further();
  sent();
  log.take();
  std::string head = request_frame(3, "/");
  head[4] = 4;
  ASSERT_TRUE(takes(head + frame(kDataFrame, 1, 3, "x")));
  EXPECT_EQ(log.take(), "frame1 late0 ");
}

TEST_F(Http2SessionTest, TellsOfTheEndThatThePeerSays) {
  ASSERT_TRUE(takes(first_frames() + request_frame(1, "/") +
                    frame(7, 0, 0, std::string_view("\0\0\0\0\0\0\0\2", 8))));
  EXPECT_NE(log.take().find("peer-ends2 "), std::string::npos);
}

TEST_F(Http2SessionTest, TellsOfAnotherPriority) {
  ASSERT_TRUE(takes(first_frames() + request_frame(1, "/")));
  char stream = 0;  // known by its address alone
  session.attach(1, reinterpret_cast<Http2Stream*>(&stream));
  session.set_urgency(1, 3);
  log.take();
  ASSERT_TRUE(takes(frame(16, 0, 0, std::string("\0\0\0\1", 4) + "u=1, i")));
  EXPECT_EQ(log.take(), "frame16 priority:u=1, i ");
  ASSERT_TRUE(takes(frame(16, 0, 0, std::string("\0\0\0\3", 4) + "u=2")));
  EXPECT_EQ(log.take(), "frame16 early-priority3:u=2 ");
  session.attach(1, nullptr);
  ASSERT_TRUE(takes(frame(16, 0, 0, std::string("\0\0\0\1", 4) + "u=2")));
  EXPECT_EQ(log.take(), "frame16 ") << "it has begun, and is nobody's any more";
}

TEST_F(Http2SessionTest, AHeadInTooManyFramesEndsWithAWord) {
  std::string head = request_frame(1, "/");
  head[4] = 1;  // more of it follows
  std::string bytes = first_frames() + head;
  for (int i = 0; i < 9; ++i) bytes += frame(9, 0, 1, "");
  EXPECT_EQ(session.receive(bytes), Http2Session::Received::kEndless);
  session.terminate(Http2Code::kEnhanceYourCalm);
  EXPECT_EQ(sent(), "settings goaway ");
  EXPECT_TRUE(session.over());
}

TEST_F(Http2SessionTest, AllowsHeadsOfStreamsThatWereOneTooMany) {
  std::string bytes = first_frames();
  for (uint32_t id = 1; id <= 23; id += 2) bytes += request_frame(id, "/");
  ASSERT_TRUE(takes(bytes + request_frame(21, "/") + request_frame(23, "/")));
  EXPECT_EQ(log.take().find("forbidden"), std::string::npos);
}

TEST_F(Http2SessionTest, AllowsHeadsBehindTheEnd) {
  ASSERT_TRUE(takes(first_frames() + request_frame(1, "/")));
  session.refuse_further();
  sent();
  log.take();
  ASSERT_TRUE(takes(request_frame(3, "/") + request_frame(3, "/")));
  EXPECT_EQ(log.take().find("forbidden"), std::string::npos);
}

TEST_F(Http2SessionTest, AnswersAndEnds) {
  ASSERT_TRUE(takes(first_frames() + request_frame(1, "/") + request_frame(3, "/")));
  sent();
  session.respond_interim(1, {{":status", "103"}});
  session.respond(1, {{":status", "204"}}, /*with_body=*/false);
  session.respond(3, {{":status", "200"}}, /*with_body=*/true);
  EXPECT_EQ(sent(), "headers headers:end headers ");
  session.reset(3, Http2Code::kInternalError);
  EXPECT_EQ(sent(), "rst_stream ");
}

// The end is not told as one that is out, but as one that the next bytes have.
TEST_F(Http2SessionTest, TellsOfAnEndWithinAHeadBeforeItsBytes) {
  ASSERT_TRUE(takes(first_frames() + request_frame(1, "/")));
  sent();
  log.take();
  char stream = 0;  // known by its address alone
  session.attach(1, reinterpret_cast<Http2Stream*>(&stream));
  session.respond(1, {{":status", "204"}}, /*with_body=*/false);
  EXPECT_EQ(sent(), "headers:end ");
  EXPECT_EQ(log.take(), "end:head ");
}

TEST_F(Http2SessionTest, DrainsInTwoSteps) {
  ASSERT_TRUE(takes(first_frames() + request_frame(1, "/")));
  sent();
  session.announce_end();
  EXPECT_EQ(sent(), "goaway ping ");
  log.take();
  ASSERT_TRUE(takes(request_frame(3, "/") + frame(6, 1, 0, std::string(8, '\0'))));
  EXPECT_NE(log.take().find("whole3! frame6 pong "), std::string::npos);
  session.refuse_further();
  EXPECT_EQ(sent(), "goaway ");
  ASSERT_TRUE(takes(request_frame(5, "/")));
  EXPECT_EQ(log.take().find("whole5"), std::string::npos);
  for (int32_t id : {1, 3}) session.respond(id, {{":status", "204"}}, /*with_body=*/false);
  EXPECT_FALSE(session.over());
  sent();
  EXPECT_TRUE(session.over());
}

TEST_F(Http2SessionTest, StopsFramingWhereThereIsNoRoom) {
  ASSERT_TRUE(takes(first_frames()));
  log.room = 1;
  EXPECT_EQ(sent(), "settings ");
  EXPECT_TRUE(session.wants_to_send());
  EXPECT_EQ(sent(), "settings:ack ");
}

TEST_F(Http2SessionTest, TellsOfFramesThatAreNothingButPadding) {
  std::string head = request_frame(1, "/");
  head[4] = 4;  // a body follows
  ASSERT_TRUE(takes(first_frames() + head));
  log.take();
  const std::string padding("\x03\0\0\0", 4);
  ASSERT_TRUE(takes(frame(0, 8, 1, padding) + frame(0, 8, 1, "\x01x" + std::string(1, '\0')) +
                    frame(0, 9, 1, padding)));
  EXPECT_EQ(log.take(), "frame0 padding frame0 frame0 ");
}

// A request of a browser, as far as its size goes.
std::string browser_request(uint32_t id) {
  return request_frame(id, "/events?topic=" + std::string(40, 'x'),
                       {{"user-agent", std::string(100, 'm')},
                        {"accept", "text/event-stream"},
                        {"accept-encoding", "gzip, deflate, br, zstd"},
                        {"cookie", std::string(120, 'c')}});
}

TEST_F(Http2SessionTest, IsSmall) {
  // Fails where nghttp2's frame buffer has another size: SessionMemory does not know it then.
  EXPECT_TRUE(session.shares_frame_buffer());
  ASSERT_TRUE(takes(first_frames() + browser_request(1)));
  session.respond(1, {{":status", "200"}, {"content-type", "text/event-stream"}}, true);
  sent();
  const size_t with_one = session.bytes_held();
  for (uint32_t id = 3; id < 20; id += 2) {
    ASSERT_TRUE(takes(browser_request(id)));
    session.respond(static_cast<int32_t>(id),
                    {{":status", "200"}, {"content-type", "text/event-stream"}}, true);
    sent();
  }
  const size_t further = (session.bytes_held() - with_one) / 9;
  EXPECT_LE(with_one, 10U * 1024);
  EXPECT_LE(further, 512U);
}

TEST_F(Http2SessionTest, SessionsThatShareABufferDoNotMixTheirFrames) {
  Log other_log;
  Http2Session other{other_log,
                     {.streams_max = 10,
                      .stream_window = 65536,
                      .connection_window = 1 << 20,
                      .header_list_bytes = 16384}};
  ASSERT_TRUE(takes(first_frames() + request_frame(1, "/")));
  ASSERT_EQ(other.receive(first_frames() + request_frame(1, "/")), Http2Session::Received::kWell);
  sent();
  ASSERT_TRUE(other.frame());
  other_log.output.clear();
  // A head of several frames, of which the others lie behind the buffer that is shared. It leaves
  // frame by frame, with the other session's in between.
  std::string large;  // of bytes that take more than eight bits in Huffman's code
  for (size_t i = 0; i < 40'000; ++i) large += "~|{}<>^"[i * i % 1009 % 7];
  session.respond(1, {{":status", "200"}, {"x-large", large}}, false);
  for (int i = 0; i < 4; ++i) {
    log.room = log.output.size() + 1;
    ASSERT_TRUE(session.frame());
    other.respond_interim(1, {{":status", "103"}, {"link", std::string(500, 'l')}});
    ASSERT_TRUE(other.frame());
  }
  std::string bytes = log.output;
  std::string block;
  for (const test::SeenFrame& seen : test::take_frames(bytes)) block += seen.payload;
  EXPECT_NE(block.find(large), std::string::npos) << block.size();
}

TEST_F(Http2SessionTest, RefusesOtherBytes) {
  EXPECT_EQ(session.receive("GET / HTTP/1.1\r\nhost: a\r\n\r\n"),
            Http2Session::Received::kNotHttp2);
}

}  // namespace
}  // namespace sluice

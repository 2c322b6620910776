// Lean records as a transform, rule by rule of RFC 8446, towards a client that has the keys and may
// say anything. OpenSSL is the other end in lean_openssl_test.cc.
#include <cstring>
#include <malloc.h>

#include "tests/unit/tls/lean_testing.h"

namespace sluice {
namespace {

using namespace sluice::test;
using namespace std::string_view_literals;

INSTANTIATE_TEST_SUITE_P(Suites, LeanTransformTest, kAllSuites, test_name);

// --- section 5: the record protocol ---

TEST_P(LeanTransformTest, Section5ChangeCipherSpecIsOver) {
  refuses(kUnexpectedMessage, "from outside", [] { return "\x14\3\3\0\1\1"sv; });
  refuses(kUnexpectedMessage, "sealed",
          [this] { return record(ContentType::kChangeCipherSpec, "\1"); });
}

TEST_P(LeanTransformTest, Section5UnknownTypesAreRefused) {
  for (int type : {1, 19, 24, 25, 255}) {
    std::string outside = {static_cast<char>(type), 3, 3, 0, 1, 'x'};
    refuses(kUnexpectedMessage, "from outside", [&] { return outside; });
    refuses(kUnexpectedMessage, "sealed",
            [&] { return record(static_cast<ContentType>(type), "x"); });
  }
}

TEST_P(LeanTransformTest, Section5NothingIsReadUnsealed) {
  refuses(kUnexpectedMessage, "an alert", [] { return "\x15\3\3\0\2\1\0"sv; });
  refuses(kUnexpectedMessage, "a hello", [] { return "\x16\3\1\0\5\1\0\0\1\0"sv; });
  refuses(kUnexpectedMessage, "HTTP", [] { return "GET / HTTP/1.1\r\n\r\n"sv; });
  refuses(kBadRecordMac, "bytes", [] { return "\x17\3\3\0\x14GET / HTTP/1.1\r\n\r\n??"sv; });
}

TEST_P(LeanTransformTest, Section51AMessageMayBeSplitOverRecords) {
  for (size_t first = 1; first < kUpdate.size(); ++first) {
    for (size_t second = first; second < kUpdate.size(); ++second) {
      renew();
      TlsEnd server = lean();
      server.hear(handshake(kUpdate.substr(0, first)));
      if (second > first) server.hear(handshake(kUpdate.substr(first, second - first)));
      server.hear(handshake(kUpdate.substr(second)));
      client_.update();
      server.hear(data("then"));
      ASSERT_EQ(server.plain, "then") << first << ' ' << second;
    }
  }
}

TEST_P(LeanTransformTest, Section51NothingComesBetweenThePartsOfAMessage) {
  for (size_t part = 1; part < kUpdate.size(); ++part) {
    refuses(kUnexpectedMessage, "data", [&] {
      return join({handshake(kUpdate.substr(0, part)), data("x")});
    });
    refuses(kUnexpectedMessage, "an ending", [&] {
      return join({handshake(kUpdate.substr(0, part)), says(alert(kCloseNotify, 1))});
    });
  }
}

TEST_P(LeanTransformTest, Section51AKeyChangeIsTheEndOfItsRecord) {
  refuses(kUnexpectedMessage, "two",
          [&] { return handshake(std::string(kUpdate) + std::string(kUpdate)); });
  refuses(kUnexpectedMessage, "a beginning",
          [&] { return handshake(std::string(kUpdate) + "\x18"); });
  refuses(kUnexpectedMessage, "split before", [&] {
    return join({handshake(kUpdate.substr(0, 2)),
                 handshake(join({std::string(kUpdate.substr(2)), std::string(kUpdate)}))});
  });
}

TEST_P(LeanTransformTest, Section51EmptyHandshakesAndAlertsAreRefused) {
  refuses(kUnexpectedMessage, "handshake", [this] { return handshake(""); });
  refuses(kUnexpectedMessage, "padded", [this] { return record(ContentType::kHandshake, "", 9); });
  refuses(kUnexpectedMessage, "alert", [this] { return says(""); });
}

// Allowed "as they are potentially useful as a traffic analysis countermeasure", and bounded here.
TEST_P(LeanTransformTest, Section51EmptyDataIsAllowedAndBounded) {
  TlsEnd server = lean();
  for (int i = 0; i < 32; ++i) server.hear(data(""));
  server.hear(data("bytes"));
  for (int i = 0; i < 32; ++i) server.hear(data("", 100));
  EXPECT_FALSE(server.broken);
  EXPECT_EQ(server.plain, "bytes");
  server.hear(data(""));
  expect_refused(server, kUnexpectedMessage, "one too many");
  EXPECT_EQ(server_counters_.records.opened[0], 66U);
}

TEST_P(LeanTransformTest, Section51RecordsAreAsLongAsAllowed) {
  TlsEnd server = lean();
  std::string longest = text(16'384);
  server.hear(data(longest));
  EXPECT_TRUE(server.plain == longest);
  // Ours, whatever the slot would hold: large once there has been much.
  std::string wire = server.say(text(70'000), 40'000);
  wire += server.say(text(70'000), 40'000);
  std::string bytes;
  size_t most = 0;
  for (const Said& said : read(wire)) {
    bytes += said.content;
    most = std::max(most, said.content.size());
  }
  EXPECT_EQ(most, 16'384U);
  EXPECT_TRUE(bytes == text(70'000) + text(70'000));
}

TEST_P(LeanTransformTest, Section52TheVersionIsCoveredByTheTag) {
  refuses(kBadRecordMac, "not looked at before", [this] {
    std::string wire = data("x");
    wire[2] = 1;
    return wire;
  });
}

TEST_P(LeanTransformTest, Section52ALongerRecordIsRefusedByItsHeader) {
  refuses(kRecordOverflow, "16,641", [] { return "\x17\3\3\x41\1"sv; });
  refuses(kRecordOverflow, "65,535", [] { return "\x17\3\3\xff\xff"sv; });
  renew();
  TlsEnd server = lean();
  server.hear("\x17\3\3\x41\0"sv);
  EXPECT_FALSE(server.broken) << "16,640 may come";
  EXPECT_EQ(pool_.leased(), 0U);
}

TEST_P(LeanTransformTest, Section52ABadTagIsToldAndNothingElse) {
  for (size_t size : {size_t{0}, size_t{1}, size_t{50}}) {
    for (size_t at = kRecordHeaderBytes; at < size + kSealedOverheadBytes; ++at) {
      refuses(kBadRecordMac, "flipped", [&] {
        std::string wire = data(text(size));
        wire[at] = static_cast<char>(wire[at] ^ 0x40);
        return join({wire, data("more")});
      });
    }
  }
  for (size_t size = 0; size < kTagBytes; ++size) {
    refuses(kBadRecordMac, "no room for a tag", [&] {
      return std::string("\x17\3\3\0"sv) + static_cast<char>(size) + std::string(size, 'x');
    });
  }
  EXPECT_EQ(errors(RecordError::kBadRecordMac), server_counters_.broken);
}

TEST_P(LeanTransformTest, Section53RecordsComeInOrder) {
  refuses(kBadRecordMac, "one is missing", [this] {
    (void)data("missing");
    return data("x");
  });
  renew();
  TlsEnd server = lean();
  std::string wire = data("once");
  server.hear(wire + wire);
  EXPECT_EQ(server.plain, "once");
  expect_refused(server, kBadRecordMac, "again");
}

TEST_P(LeanTransformTest, Section54PaddingIsTakenOff) {
  TlsEnd server = lean();
  for (size_t padding : {1, 2, 15, 16, 1'000}) server.hear(data("abc\0"sv, padding));
  EXPECT_EQ(server.plain, "abc\0abc\0abc\0abc\0abc\0"sv);
  // Content, type and padding together.
  server.hear(data("x", 16'384 - 1));
  EXPECT_EQ(server.plain.back(), 'x');
  EXPECT_FALSE(server.broken);
}

TEST_P(LeanTransformTest, Section54ContentTypeAndPaddingAreBounded) {
  refuses(kRecordOverflow, "content", [this] { return data(text(16'385)); });
  refuses(kRecordOverflow, "padding", [this] { return data("x", 16'384); });
}

TEST_P(LeanTransformTest, Section54ARecordOfZerosHasNoType) {
  refuses(kUnexpectedMessage, "nothing at all", [this] { return record_of(client_, ""); });
  for (size_t size : {1, 2, 100, 16'385})
    refuses(kUnexpectedMessage, "zeros",
            [&] { return record_of(client_, std::string(size, '\0')); });
}

// Section 5.5: the update is sealed under the keys that it ends, so these serve as often as
// allowed.
TEST_P(LeanTransformTest, Section55OurKeysAreRenewedInTime) {
  TlsEnd server = lean(/*records_per_key=*/4);
  std::vector<Said> all;
  for (int i = 0; i < 10; ++i)
    for (const Said& said : read(server.say("event"))) all.push_back(said);
  ASSERT_EQ(all.size(), 13U);
  for (size_t i = 0; i < all.size(); ++i)
    EXPECT_EQ(all[i].type, i % 4 == 3 ? ContentType::kHandshake : ContentType::kApplicationData)
        << i;
  EXPECT_EQ(server_counters_.records.key_updates_sent, 3U);
  EXPECT_FALSE(server.transform->has_output());
}

TEST_P(LeanTransformTest, Section55AndInTheMidstOfABatch) {
  TlsEnd server = lean(/*records_per_key=*/4);
  std::vector<Said> all = read(server.say(text(50'000)));
  EXPECT_GT(count(all, ContentType::kHandshake), 8U);
  std::string bytes;
  for (const Said& said : all)
    if (said.type == ContentType::kApplicationData) bytes += said.content;
  EXPECT_TRUE(bytes == text(50'000));
}

TEST_P(LeanTransformTest, Section55TheLimitIsThatOfAesGcm) {
  LeanStart late = start();
  late.sealed = kRecordsPerKey - 2;
  new (&server_keys_) RecordKeys(GetParam(), secret(2), late.sealed);
  TlsEnd server{make_lean_transform(std::move(late), server_counters_), pool_};
  std::vector<Said> all = read(join({server.say("last"), server.say("first")}));
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0].content, "last");
  EXPECT_EQ(all[1].type, ContentType::kHandshake);
  EXPECT_EQ(all[2].content, "first");
}

// --- section 4.6.3: key updates ---

TEST_P(LeanTransformTest, Section463AnUpdateThatIsNotRequestedIsNotAnswered) {
  TlsEnd server = lean();
  for (int i = 0; i < 3; ++i) {
    server.hear(update());
    EXPECT_FALSE(server.transform->has_output());
    server.hear(data("under the next keys "));
  }
  EXPECT_EQ(server.plain, "under the next keys under the next keys under the next keys ");
  EXPECT_EQ(server_counters_.records.key_updates_received, 3U);
  EXPECT_EQ(read_bytes(server.say("as before")), "as before");
}

TEST_P(LeanTransformTest, Section463ARequestIsAnsweredBeforeTheNextData) {
  TlsEnd server = lean();
  server.hear(update(kUpdateRequested));
  EXPECT_TRUE(server.transform->has_output());
  std::vector<Said> all = read(join({server.say("event"), server.say("another")}));
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0].type, ContentType::kHandshake) << "and does not request one in return";
  EXPECT_EQ(all[1].content + all[2].content, "eventanother");
}

TEST_P(LeanTransformTest, Section463ManyRequestsHaveOneAnswer) {
  TlsEnd server = lean();
  for (int i = 0; i < 20; ++i) server.hear(update(kUpdateRequested));
  std::vector<Said> all = read(server.say("event"));
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].type, ContentType::kHandshake);
  EXPECT_EQ(all[1].content, "event");
}

TEST_P(LeanTransformTest, Section463FormerKeysAreOver) {
  refuses(kBadRecordMac, "sealed under them", [this] {
    std::string wire = handshake(kUpdate);
    return wire + data("x");
  });
}

TEST_P(LeanTransformTest, Section463WhatIsRequestedIsYesOrNo) {
  for (int request : {2, 3, 255}) {
    std::string message = std::string(kUpdate.substr(0, 4)) + static_cast<char>(request);
    refuses(kIllegalParameter, "neither", [&] { return handshake(message); });
  }
}

TEST_P(LeanTransformTest, Section463AnUpdateHasOneByte) {
  for (std::string_view message :
       {"\x18\0\0\0"sv, "\x18\0\0\2\0\0"sv, "\x18\0\1\0"sv, "\x18\1\0\1"sv, "\x18\xff\xff\xff"sv})
    refuses(kDecodeError, "another length", [&] { return handshake(message); });
}

// A stream that only reads may ask once for each 2^24 records that it gets, and for ever.
TEST_P(LeanTransformTest, Section463UpdatesAreBoundedByWhatTheClientGets) {
  TlsEnd server = lean();
  for (int i = 0; i < 100; ++i) {
    server.hear(update(kUpdateRequested));
    (void)read(server.say("event"));
  }
  EXPECT_FALSE(server.broken);
  for (int i = 0; i < 32; ++i) server.hear(update());
  EXPECT_FALSE(server.broken);
  server.hear(update());
  expect_refused(server, kUnexpectedMessage, "for nothing");
}

// --- section 4.6: other messages behind the handshake ---

TEST_P(LeanTransformTest, Section46AClientSaysNothingElse) {
  for (int type = 0; type < 256; ++type) {
    if (type == 24) continue;
    std::string message = {static_cast<char>(type), 0, 0, 1, 0};
    refuses(kUnexpectedMessage, std::to_string(type), [&] { return handshake(message); });
  }
  refuses(kUnexpectedMessage, "a beginning is enough", [this] { return handshake("\1"); });
}

// --- section 6: alerts ---

TEST_P(LeanTransformTest, Section61CloseNotifyIsTheEnd) {
  for (char level : {1, 2, 77}) {
    renew();
    TlsEnd server = lean();
    server.hear(join({data("bytes"), says(alert(kCloseNotify, level)), data("ignored")}));
    EXPECT_TRUE(server.ended);
    EXPECT_EQ(server.plain, "bytes");
    server.ended = false;
    server.hear(data("and again"));
    EXPECT_TRUE(server.ended && server.plain == "bytes");
    // It has ended its direction only.
    EXPECT_EQ(read_bytes(server.say("the rest")), "the rest");
    server.transform->end();
    std::vector<Said> all = read(server.say());
    ASSERT_EQ(all.size(), 1U);
    EXPECT_EQ(all[0].content, alert(kCloseNotify, 1));
  }
  EXPECT_EQ(server_counters_.broken, 0U);
}

// A FIN is then a cut (Conn's kCutShort, tests/e2e/test_tls_records.py).
TEST_P(LeanTransformTest, Section61WithoutCloseNotifyThereIsNoEnd) {
  TlsEnd server = lean();
  std::string wire = join({data("bytes"), data("more")});
  server.hear(wire.substr(0, wire.size() - 1));
  EXPECT_EQ(server.plain, "bytes");
  EXPECT_FALSE(server.ended || server.broken);
}

TEST_P(LeanTransformTest, Section61NothingFollowsOurs) {
  TlsEnd server = lean();
  std::string events = server.say("events");
  server.hear(update(kUpdateRequested));
  server.transform->end();
  server.transform->end();
  std::vector<Said> all = read(events + server.say());
  ASSERT_EQ(all.size(), 2U) << "not the answer that was due either";
  EXPECT_EQ(all[1].content, alert(kCloseNotify, 1));
  server.hear(join({data("it may go on"), update(kUpdateRequested), data(" and on")}));
  EXPECT_EQ(server.plain, "it may go on and on");
  EXPECT_FALSE(server.transform->has_output());
  server.hear("\x14\3\3\0\1\1"sv);
  EXPECT_TRUE(server.broken);
  EXPECT_EQ(server.say(), "");
}

TEST_P(LeanTransformTest, Section61UserCanceledWaitsForTheEnd) {
  TlsEnd server = lean();
  server.hear(join({says(alert(kUserCanceled, 1)), says(alert(kUserCanceled, 2))}));
  EXPECT_FALSE(server.ended || server.broken);
  server.hear(says(alert(kCloseNotify, 1)));
  EXPECT_TRUE(server.ended);
  renew();
  TlsEnd patient = lean();
  for (int i = 0; i < 33; ++i) patient.hear(says(alert(kUserCanceled, 1)));
  expect_refused(patient, kUnexpectedMessage, "for ever");
}

TEST_P(LeanTransformTest, Section62AllOthersAreErrorsAndAreNotAnswered) {
  uint64_t broken = 0;
  for (int what = 1; what < 256; ++what) {
    if (what == kUserCanceled) continue;
    renew();
    TlsEnd server = lean();
    server.hear(update(kUpdateRequested));
    server.hear(join({says(alert(static_cast<uint8_t>(what), what % 2 == 0 ? 1 : 2)), data("x")}));
    ASSERT_TRUE(server.broken && !server.ended) << what;
    EXPECT_EQ(server.plain, "");
    EXPECT_FALSE(server.transform->has_output()) << what;
    server.transform->end();
    EXPECT_EQ(server.say("no more"), "");
    EXPECT_STREQ(server.transform->failure(), "alert");
    ++broken;
  }
  EXPECT_EQ(errors(RecordError::kByPeer), broken);
}

TEST_P(LeanTransformTest, Section6AnAlertIsOneWholeRecord) {
  for (std::string_view content : {"\1"sv, "\1\0\0"sv, "\1\0\1\0"sv})
    refuses(kDecodeError, "not two bytes", [&] { return says(content); });
}

// Each direction's keys go when it is over, not only with the connection.
TEST_P(LeanTransformTest, KeysAreWipedAsSoonAsTheyAreOfNoUse) {
  auto holds = [this](const TlsEnd& server, uint8_t salt) {
    const std::vector<uint8_t> bytes = secret(salt);
    void* object = server.transform.get();
    return memmem(object, malloc_usable_size(object), bytes.data(), bytes.size()) != nullptr;
  };
  auto expect_held = [&](const TlsEnd& server, bool clients, bool servers) {
    EXPECT_EQ(holds(server, 1), clients);
    EXPECT_EQ(holds(server, 2), servers);
  };
  TlsEnd ends = lean();
  expect_held(ends, true, true);
  ends.hear(says(alert(kCloseNotify)));
  expect_held(ends, false, true);
  ends.transform->end();
  (void)ends.say();
  expect_held(ends, false, false);

  renew();
  TlsEnd is_told = lean();
  is_told.hear(says(alert(kBadRecordMac)));
  expect_held(is_told, false, false);

  TlsEnd tells = lean();
  tells.hear("nonsense");
  expect_held(tells, false, true);
  (void)tells.say();
  expect_held(tells, false, false);
}

TEST_P(LeanTransformTest, AnErrorIsSaidBehindWhatTheHandshakeSays) {
  LeanStart begun = start();
  begun.said = record_of(server_keys_, "a ticket\x16");
  begun.sealed = 1;
  TlsEnd server{make_lean_transform(std::move(begun), server_counters_), pool_};
  server.hear("nonsense");
  std::string wire = server.say("", 30);
  RecordKeys reads(GetParam(), secret(2), 0);
  size_t ticket = 8 + kSealedOverheadBytes;
  ASSERT_GT(wire.size(), ticket);
  EXPECT_FALSE(reads.open({wire.data(), ticket}).wrong);
  RecordKeys::Opened last = reads.open({wire.data() + ticket, wire.size() - ticket});
  EXPECT_EQ(std::string(last.content.begin(), last.content.end()), alert(kUnexpectedMessage));
}

// --- bytes ---

TEST_P(LeanTransformTest, TheWireMayBeCutAnywhere) {
  auto say_all = [this] {
    renew();
    return join({data(text(100)), handshake(kUpdate.substr(0, 3)), update(kUpdate.substr(3)),
                 data(""), data(text(60), 30), update(kUpdateRequested), data(text(70)),
                 says(alert(kCloseNotify, 1))});
  };
  size_t size = say_all().size();
  auto expect_all = [&](TlsEnd& server, size_t cut) {
    ASSERT_EQ(server.plain, text(100) + text(60) + text(70)) << cut;
    ASSERT_TRUE(server.ended) << cut;
  };
  for (size_t cut = 0; cut <= size; ++cut) {
    std::string wire = say_all();
    TlsEnd server = lean();
    server.hear(wire.substr(0, cut));
    ASSERT_TRUE(cut == size || !server.ended) << cut;
    server.hear(wire.substr(cut));
    expect_all(server, cut);
  }
  for (size_t piece : {1, 2, 3, 7}) {
    std::string wire = say_all();
    TlsEnd server = lean();
    server.hear(wire, piece);
    expect_all(server, piece);
  }
}

TEST_P(LeanTransformTest, OneRecordCanBePutTogetherInTheSmallestRoom) {
  TlsEnd server = lean(/*records_per_key=*/3);
  std::vector<Said> all;
  server.hear(update(kUpdateRequested));
  for (size_t slot : {28, 30, 64, 512}) {
    for (const Said& said : read(server.say(text(200), slot))) all.push_back(said);
    EXPECT_FALSE(server.refused) << slot;
  }
  std::string bytes;
  for (const Said& said : all)
    if (said.type == ContentType::kApplicationData) bytes += said.content;
  EXPECT_EQ(bytes, text(200) + text(200) + text(200) + text(200));
}

TEST_P(LeanTransformTest, ASlotWithoutRoomTakesNothing) {
  TlsEnd server = lean();
  server.hear(update(kUpdateRequested));
  for (size_t slot = 0; slot < kUpdate.size() + kSealedOverheadBytes; ++slot) {
    std::string room(slot, '\0');
    EXPECT_EQ(server.transform->seal({}, room).wire, 0U);
    EXPECT_TRUE(server.transform->has_output());
  }
}

TEST_P(LeanTransformTest, RecordsAreCountedByKind) {
  TlsEnd server = lean();
  server.hear(join({data("a"), data("b"), update(kUpdateRequested)}));
  (void)read(server.say("event"));
  server.hear(says(alert(kCloseNotify)));
  server.transform->end();
  (void)read(server.say());
  const RecordCounters& counters = server_counters_.records;
  EXPECT_EQ(counters.opened, (std::array<uint64_t, kRecordKinds>{2, 1, 1}));
  EXPECT_EQ(counters.sealed, (std::array<uint64_t, kRecordKinds>{1, 1, 1}));
  EXPECT_EQ(counters.connections, 1U);
}

}  // namespace
}  // namespace sluice

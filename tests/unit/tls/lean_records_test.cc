// Keys and records: RFC 8448's values, what passes and what does not, and that keys are wiped.
#include "net/tls/lean_records.h"

#include <cstring>
#include <new>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace sluice {
namespace {

std::vector<uint8_t> hex(std::string_view digits) {
  std::vector<uint8_t> bytes;
  for (size_t i = 0; i + 1 < digits.size(); i += 2)
    bytes.push_back(static_cast<uint8_t>(std::stoi(std::string(digits.substr(i, 2)), nullptr, 16)));
  return bytes;
}

// RFC 8448 section 3: the secret of the server's application data, and what follows from it.
const std::vector<uint8_t> kSecret =
    hex("a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643");
const std::vector<uint8_t> kKey = hex("9f02283b6c9c07efc26bb9f2ac92e356");
const std::vector<uint8_t> kIv = hex("cf782b88dd83549aadf1e984");

// Whether these bytes stand anywhere in an object.
bool holds(const void* object, size_t size, const std::vector<uint8_t>& bytes) {
  return memmem(object, size, bytes.data(), bytes.size()) != nullptr;
}

std::string content_of(const RecordKeys::Opened& opened) {
  return {opened.content.begin(), opened.content.end()};
}

class LeanRecords : public testing::TestWithParam<CipherSuite> {
 protected:
  RecordKeys keys(uint64_t records = 0, uint8_t salt = 7) const {
    bool sha384 = GetParam() == CipherSuite::kAes256Gcm;
    std::vector<uint8_t> secret(sha384 ? 48 : 32, salt);
    return {GetParam(), secret, records};
  }
  static std::string sealed(RecordKeys& keys, std::string_view content,
                            ContentType type = ContentType::kApplicationData) {
    std::string record(kRecordHeaderBytes, '\0');
    record += content;
    record.resize(content.size() + kSealedOverheadBytes);
    EXPECT_EQ(keys.seal(type, content.size(), record.data()), record.size());
    return record;
  }
};

std::string suite_name(const testing::TestParamInfo<CipherSuite>& suite) {
  constexpr const char* kNames[] = {"Aes128Gcm", "Aes256Gcm", "ChaCha20"};
  return kNames[static_cast<size_t>(suite.param)];
}
INSTANTIATE_TEST_SUITE_P(Suites, LeanRecords,
                         testing::Values(CipherSuite::kAes128Gcm, CipherSuite::kAes256Gcm,
                                         CipherSuite::kChaCha20Poly1305),
                         suite_name);

TEST(LeanRecordKeys, AreThoseOfRfc8448) {
  RecordKeys keys(CipherSuite::kAes128Gcm, kSecret, 0);
  EXPECT_TRUE(holds(&keys, sizeof keys, kKey));
  EXPECT_TRUE(holds(&keys, sizeof keys, kIv));
}

// RFC 8448 section 3: "server: send alert record" ends the connection; its first application data
// has these 50 bytes.
TEST(LeanRecordKeys, SealTheRecordOfRfc8448) {
  RecordKeys keys(CipherSuite::kAes128Gcm, kSecret, 1);  // behind a ticket
  std::string record(kRecordHeaderBytes, '\0');
  for (char c = 0; c < 50; ++c) record += c;
  record.resize(50 + kSealedOverheadBytes);
  keys.seal(ContentType::kApplicationData, 50, record.data());
  std::vector<uint8_t> bytes(record.begin(), record.end());
  EXPECT_EQ(bytes,
            hex("17030300432e937e11ef4ac740e538ad36005fc4a46932fc3225d05f82aa1b36e30efaf97d90e6df"
                "fc602dcb501a59a8fcc49c4bf2e5f0a21c0047c2abf332540dd032e167c2955d"));
}

TEST(LeanRecordKeys, AreSmall) {
  EXPECT_LE(sizeof(RecordKeys), 112U);
}

TEST(LeanRecordKeys, AreWiped) {
  alignas(RecordKeys) unsigned char memory[sizeof(RecordKeys)];
  auto* keys = new (memory) RecordKeys(CipherSuite::kAes128Gcm, kSecret, 0);
  ASSERT_TRUE(holds(memory, sizeof memory, kSecret) && holds(memory, sizeof memory, kKey));
  keys->update();
  EXPECT_FALSE(holds(memory, sizeof memory, kSecret)) << "its successor does not lead back";
  EXPECT_FALSE(holds(memory, sizeof memory, kKey));
  EXPECT_FALSE(holds(memory, sizeof memory, kIv));
  keys->~RecordKeys();

  keys = new (memory) RecordKeys(CipherSuite::kAes128Gcm, kSecret, 0);
  keys->~RecordKeys();
  EXPECT_FALSE(holds(memory, sizeof memory, kSecret));
  EXPECT_FALSE(holds(memory, sizeof memory, kKey));
  EXPECT_FALSE(holds(memory, sizeof memory, kIv));
}

TEST(LeanSecrets, AreReadFromTheKeyLog) {
  TrafficSecrets secrets;
  EXPECT_FALSE(secrets.note("EXPORTER_SECRET 00 ab"));
  EXPECT_FALSE(secrets.note("CLIENT_HANDSHAKE_TRAFFIC_SECRET 00 ab"));
  EXPECT_FALSE(secrets.complete());
  EXPECT_TRUE(secrets.note("CLIENT_TRAFFIC_SECRET_0 00ff 0123456789abcdef" + std::string(48, 'f')));
  EXPECT_FALSE(secrets.complete());
  EXPECT_TRUE(secrets.note("SERVER_TRAFFIC_SECRET_0 00ff " + std::string(64, 'a')));
  EXPECT_TRUE(secrets.complete());
  EXPECT_EQ(std::vector<uint8_t>(secrets.client().begin(), secrets.client().end()),
            hex("0123456789abcdef" + std::string(48, 'f')));
  EXPECT_EQ(secrets.server()[31], 0xaa);
  for (const std::string& wrong : {std::string(98, 'a'), std::string("abc"), std::string()}) {
    secrets.note("SERVER_TRAFFIC_SECRET_0 00ff " + wrong);
    EXPECT_FALSE(secrets.complete()) << wrong;
  }
}

TEST(LeanSecrets, AreWiped) {
  alignas(TrafficSecrets) unsigned char memory[sizeof(TrafficSecrets)];
  auto* secrets = new (memory) TrafficSecrets;
  secrets->note("SERVER_TRAFFIC_SECRET_0 00 " + std::string(96, 'a'));
  const std::vector<uint8_t> secret(48, 0xaa);
  ASSERT_TRUE(holds(memory, sizeof memory, secret));
  secrets->~TrafficSecrets();
  EXPECT_FALSE(holds(memory, sizeof memory, std::vector<uint8_t>(8, 0xaa)));
}

TEST(LeanSuites, AreThoseWithACipher) {
  EXPECT_EQ(cipher_suite(0x1301), CipherSuite::kAes128Gcm);
  EXPECT_EQ(cipher_suite(0x1302), CipherSuite::kAes256Gcm);
  EXPECT_EQ(cipher_suite(0x1303), CipherSuite::kChaCha20Poly1305);
  EXPECT_FALSE(cipher_suite(0x1304)) << "CCM";
  EXPECT_FALSE(cipher_suite(0xc02b)) << "of TLS 1.2";
}

TEST_P(LeanRecords, OpenWhatWasSealed) {
  RecordKeys seals = keys();
  RecordKeys opens = keys();
  for (size_t size : {size_t{0}, size_t{1}, size_t{15}, size_t{16}, size_t{220}, size_t{16'384}}) {
    std::string content(size, 'x');
    std::string record = sealed(seals, content);
    EXPECT_EQ(record.size(), size + 22);
    EXPECT_EQ(record.substr(0, 3), std::string("\x17\x03\x03"));
    RecordKeys::Opened opened = opens.open(record);
    ASSERT_FALSE(opened.wrong) << size;
    EXPECT_EQ(opened.type, ContentType::kApplicationData);
    EXPECT_EQ(content_of(opened), content);
  }
  EXPECT_EQ(seals.records(), 6U);
  EXPECT_EQ(opens.records(), 6U);
}

TEST_P(LeanRecords, OpenInOrderOnly) {
  RecordKeys seals = keys();
  RecordKeys opens = keys();
  std::string first = sealed(seals, "first");
  std::string second = sealed(seals, "second");
  std::string copy = second;
  EXPECT_EQ(keys().open(copy).wrong, RecordError::kBadRecordMac) << "one is missing";
  copy = first;
  EXPECT_FALSE(opens.open(copy).wrong);
  EXPECT_EQ(opens.open(first).wrong, RecordError::kBadRecordMac) << "once more";
}

// Section 7.2.
TEST_P(LeanRecords, GoOnUnderTheNextKeys) {
  RecordKeys seals = keys();
  RecordKeys opens = keys();
  for (int i = 0; i < 3; ++i) {
    seals.update();
    EXPECT_EQ(seals.records(), 0U);
    std::string record = sealed(seals, "next");
    std::string copy = record;
    RecordKeys stays = keys();
    for (int k = 0; k < i; ++k) stays.update();
    EXPECT_EQ(stays.open(copy).wrong, RecordError::kBadRecordMac);
    opens.update();
    EXPECT_EQ(content_of(opens.open(record)), "next");
  }
}

// The thread has one context for all.
TEST_P(LeanRecords, KeysDoNotDisturbEachOther) {
  RecordKeys one = keys(0, 1);
  RecordKeys other = keys(0, 2);
  RecordKeys opens_one = keys(0, 1);
  RecordKeys opens_other = keys(0, 2);
  for (int i = 0; i < 10; ++i) {
    std::string of_one = sealed(one, "one");
    std::string of_other = sealed(other, "other");
    { RecordKeys gone = keys(0, 3); }
    EXPECT_EQ(content_of(opens_other.open(of_other)), "other");
    EXPECT_EQ(content_of(opens_one.open(of_one)), "one");
  }
}

TEST_P(LeanRecords, WithAnyBitFlippedAreNotOpened) {
  RecordKeys seals = keys();
  std::string record = sealed(seals, "some bytes of content");
  for (size_t at = 0; at < record.size() * 8; ++at) {
    std::string wrong = record;
    wrong[at / 8] = static_cast<char>(wrong[at / 8] ^ (1 << at % 8));
    RecordKeys::Opened opened = keys().open(wrong);
    ASSERT_EQ(opened.wrong, RecordError::kBadRecordMac) << at;
    ASSERT_TRUE(opened.content.empty());
    // Nor is there anything left of it to be read.
    ASSERT_EQ(wrong.find("content"), wrong.npos) << at;
  }
}

TEST_P(LeanRecords, ThatAreTooShortForATagAreNotOpened) {
  for (size_t size = 0; size < kTagBytes; ++size) {
    std::string record(kRecordHeaderBytes + size, '\x17');
    EXPECT_EQ(keys().open(record).wrong, RecordError::kBadRecordMac) << size;
  }
}

// Section 5.3. Numbers are used up to the last but one.
TEST_P(LeanRecords, SequenceNumbersDoNotWrap) {
  RecordKeys seals = keys(UINT64_MAX - 1);
  RecordKeys opens = keys(UINT64_MAX - 1);
  std::string last = sealed(seals, "last");
  EXPECT_FALSE(opens.open(last).wrong);
  EXPECT_EQ(opens.open(last).wrong, RecordError::kInternalError);
  EXPECT_DEATH(sealed(seals, "one more"), "records_ < UINT64_MAX");
}

TEST_P(LeanRecords, NothingIsSealedWithoutKeys) {
  RecordKeys seals = keys();
  seals.wipe();
  EXPECT_TRUE(seals.wiped());
  EXPECT_DEATH(sealed(seals, "in the clear"), "wiped_");
}

}  // namespace
}  // namespace sluice

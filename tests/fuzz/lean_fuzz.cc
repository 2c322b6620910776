// Lean records behind a handshake, between what the fuzzer makes up and OpenSSL at the other end:
// any bytes; records that OpenSSL has sealed, with mistakes; and sealed records of any content,
// which only who has the keys can send. Bytes that OpenSSL has said arrive in order or not at all,
// an end is never made up, what is broken says one alert and stays so.
#include <new>

#include "net/tls/lean_transform.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/unit/tls/tls_testing.h"

using namespace sluice;
using namespace sluice::test;
using namespace std::string_view_literals;

namespace {

constexpr const char* kSuites[] = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
                                   "TLS_CHACHA20_POLY1305_SHA256"};

class World final : public TlsTest {
 public:
  World() { server_ = server_of({"server"}, /*lean=*/true); }
  void TestBody() override {}

  enum class Mode : uint8_t { kAnyBytes, kWithMistakes, kAnyContent };

  void run(FuzzInput& input) {
    auto mode = static_cast<Mode>(input.byte() % 3);
    uint8_t suite = input.byte() % 3;
    if (mode == Mode::kAnyContent) {
      hear_any_content(static_cast<CipherSuite>(suite), input);
      return;
    }
    RawPeer client(TLS_client_method());
    SSL_CTX_set_ciphersuites(client.context, kSuites[suite]);
    client.begin(false);
    TlsEnd server = accept();
    talk(client, server);
    uint64_t connections = server_counters_.records.connections;
    EXPECT_EQ(connections, ++connections_) << "it went on without the SSL object";
    if (mode == Mode::kAnyBytes)
      hear_any_bytes(server, input);
    else
      hear_with_mistakes(client, server, input);
  }

 private:
  static void hear_any_bytes(TlsEnd& server, FuzzInput& input) {
    const size_t piece = size_t{input.byte()} + 1;
    server.say("hello");  // the ticket leaves with it
    server.hear(input.rest(), piece);
    EXPECT_TRUE(server.plain.empty() && !server.ended);
    if (server.broken) expect_stays_broken(server);
  }
  static void expect_stays_broken(TlsEnd& server) {
    std::string last = server.say();
    EXPECT_LE(last.size(), 2 + kSealedOverheadBytes);
    std::string plain = server.plain;
    server.broken = false;
    server.hear("\x17\x03\x03\x00\x01x"sv);
    EXPECT_TRUE(server.broken && server.plain == plain);
    EXPECT_EQ(server.say("no more"), "");
  }

  // Both say what the input tells them to. Of what the client says a byte may be another, a piece
  // missing, or one repeated.
  static void hear_with_mistakes(RawPeer& client, TlsEnd& server, FuzzInput& input) {
    std::string client_said;
    std::string server_said;
    bool mistaken = false;
    for (int i = 0; i < 12 && !server.broken && !mistaken; ++i) {
      std::string bytes(size_t{input.byte()} * 70, static_cast<char>('a' + i));
      std::string wire;
      switch (input.byte() % 6) {
        case 0:
          SSL_key_update(client.ssl, SSL_KEY_UPDATE_REQUESTED);
          break;
        case 1:
          SSL_key_update(client.ssl, SSL_KEY_UPDATE_NOT_REQUESTED);
          break;
        case 2:
          SSL_set_block_padding(client.ssl, size_t{input.byte()} + 1);
          break;
        case 3:
          mistaken = true;
          break;
        default:
          break;
      }
      client_said += bytes;
      wire = client.say(bytes);
      if (mistaken && !wire.empty()) wire = with_mistake(wire, &mistaken, input);
      server.hear(wire, size_t{input.byte()} + 1);
      if (server.broken) break;
      bytes.resize(size_t{input.byte()} * 50, static_cast<char>('A' + i));
      server_said += bytes;
      client.hear(server.say(bytes));
      EXPECT_TRUE(client.plain == server_said);
    }
    if (!mistaken) {
      EXPECT_TRUE(server.plain == client_said && !server.broken);
      SSL_shutdown(client.ssl);
      server.hear(client.say());
      EXPECT_TRUE(server.ended);
    }
    EXPECT_TRUE(client_said.starts_with(server.plain)) << "what was said, and nothing else";
    EXPECT_TRUE(!mistaken || !server.ended);
    if (!server.broken) return;
    client.hear(server.say());  // it can read why
    EXPECT_EQ(client.error, SSL_ERROR_SSL);
    expect_stays_broken(server);
  }
  static std::string with_mistake(std::string wire, bool* mistaken, FuzzInput& input) {
    size_t at = (size_t{input.byte()} << 8 | input.byte()) % wire.size();
    std::string right = wire;
    switch (input.byte() % 3) {
      case 0:
        wire[at] = static_cast<char>(wire[at] ^ input.byte());
        break;
      case 1:
        wire.erase(at, size_t{input.byte()} + 1);
        break;
      default:
        wire.insert(at, wire.substr(0, size_t{input.byte()} + 1));
    }
    *mistaken = wire != right;
    return wire;
  }

  // Each record: its size, the bytes within, the type among them. The client's own keys change
  // where a whole update was its content.
  void hear_any_content(CipherSuite suite, FuzzInput& input) {
    constexpr std::string_view kUpdate("\x18\0\0\1", 4);
    std::string secret(suite == CipherSuite::kAes256Gcm ? 96 : 64, '7');
    LeanStart start{.suite = suite, .secrets = nullptr, .sealed = 0};
    auto secrets = std::make_unique<TrafficSecrets>();
    secrets->note("CLIENT_TRAFFIC_SECRET_0 00 " + secret);
    secrets->note("SERVER_TRAFFIC_SECRET_0 00 " + secret);
    RecordKeys seals(suite, secrets->client(), 0);
    start.secrets = std::move(secrets);
    TlsEnd server{make_lean_transform(std::move(start), server_counters_, 3), pool_};
    ++connections_;
    std::string said;
    while (!input.rest().empty() && !server.broken && !server.ended) {
      size_t size = input.byte();
      if (size >= 240) size = (size - 239) * 1'040;  // up to beyond what a record may hold
      std::string inner(input.take(size));
      inner.resize(size, '\x17');
      std::string record(kRecordHeaderBytes, '\0');
      record += inner;
      record.resize(kRecordHeaderBytes + inner.size() + kTagBytes);
      seals.seal_inner(inner.size(), record.data());
      server.hear(record, 300);
      size_t end = inner.find_last_not_of('\0');
      if (end == inner.npos || inner.size() > kInnerBytesMax) {
        EXPECT_TRUE(server.broken);
        break;
      }
      auto type = static_cast<ContentType>(static_cast<uint8_t>(inner[end]));
      std::string_view content = std::string_view(inner).substr(0, end);
      if (type == ContentType::kApplicationData && !server.broken) said += content;
      if (type == ContentType::kHandshake && content.starts_with(kUpdate)) seals.update();
      bool close_notify = type == ContentType::kAlert && content.size() == 2 && content[1] == 0;
      EXPECT_TRUE(!server.ended || close_notify);
      if (!server.broken && !server.ended) (void)server.say("event");
    }
    EXPECT_TRUE(server.plain == said);
    if (server.broken) expect_stays_broken(server);
  }

  uint64_t connections_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static World world;
  FuzzInput input(data, size);
  world.run(input);
  return 0;
}

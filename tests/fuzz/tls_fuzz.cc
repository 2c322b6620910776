// Any bytes as a peer's TLS, in any pieces: before the handshake, on either side; behind it, where
// nobody without the keys can say anything; and as mistakes within a handshake that is real. Plain
// bytes come only from who has shaken hands, an end is never made up, and what is broken stays so.
#include "tests/fuzz/fuzz_input.h"
#include "tests/unit/tls/tls_testing.h"

using namespace sluice::test;

namespace {

class World final : public TlsTest {
 public:
  void TestBody() override {}

  enum class Mode : uint8_t { kToServer, kToClient, kBehindHandshake, kMistakes };

  void run(FuzzInput& input) {
    auto mode = static_cast<Mode>(input.byte() % 4);
    TlsEnd client = connect();
    TlsEnd server = accept();
    if (mode == Mode::kMistakes) {
      shake_hands_with_mistakes(client, server, input);
      return;
    }
    if (mode == Mode::kBehindHandshake) talk(client, server);
    TlsEnd& victim = mode == Mode::kToClient ? client : server;
    const size_t piece = size_t{input.byte()} + 1;
    victim.hear(input.rest(), piece);
    EXPECT_TRUE(victim.plain.empty() && !victim.ended);
    EXPECT_EQ(victim.told_ready, mode == Mode::kBehindHandshake);
    if (victim.broken) expect_stays_broken(victim);
    (void)victim.say();  // an alert, maybe
  }

 private:
  static void expect_stays_broken(TlsEnd& end) {
    end.broken = false;
    end.hear("\x17\x03\x03\x00\x01x");
    EXPECT_TRUE(end.broken && end.plain.empty());
  }

  // Each byte of a flight, as it is or not.
  static std::string with_mistake(std::string flight, FuzzInput& input) {
    if (flight.empty()) return flight;
    size_t at = (size_t{input.byte()} << 8 | input.byte()) % flight.size();
    flight[at] = static_cast<char>(flight[at] ^ input.byte());
    return flight;
  }
  static void shake_hands_with_mistakes(TlsEnd& client, TlsEnd& server, FuzzInput& input) {
    for (int i = 0; i < 3; ++i) {
      server.hear(with_mistake(client.say(), input));
      client.hear(with_mistake(server.say(), input));
    }
    EXPECT_TRUE(client.plain.empty() && server.plain.empty() && !client.ended && !server.ended);
    if (client.broken || server.broken || !server.transform->ready()) return;
    server.hear(client.say("ping"));
    EXPECT_TRUE(server.plain == "ping" || server.plain.empty());
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static World world;
  FuzzInput input(data, size);
  world.run(input);
  return 0;
}

// The gateway says nothing of how many records a key seals, so that the default decides. To count
// that many takes minutes, so the two functions that have the default stand here under other names,
// and note what they are given.
#include <gtest/gtest.h>

#define accept_tls note_accept
#define connect_tls note_connect
#include "net/tls/tls_client.h"
#include "net/tls/tls_server.h"
#undef accept_tls
#undef connect_tls

namespace sluice {

static uint64_t given = 0;

std::unique_ptr<Transform> note_accept(std::shared_ptr<const TlsServer> /*server*/,
                                       TlsCounters& /*counters*/, uint64_t records_per_key) {
  given = records_per_key;
  return nullptr;
}

std::unique_ptr<Transform> note_connect(std::shared_ptr<const TlsClient> /*client*/,
                                        TlsCounters& /*counters*/, uint64_t records_per_key) {
  given = records_per_key;
  return nullptr;
}

namespace {

TEST(RecordsPerKey, AreByDefaultNoMoreThanAKeyMaySeal) {
  constexpr uint64_t kMost = 23'726'566;  // 2^24.5 with AES-GCM (RFC 8446 section 5.5)
  TlsCounters counters;
  note_accept(nullptr, counters);
  EXPECT_GT(given, 0U);
  EXPECT_LE(given, kMost) << "towards clients";
  given = 0;
  note_connect(nullptr, counters);
  EXPECT_GT(given, 0U);
  EXPECT_LE(given, kMost) << "towards upstreams";
}

}  // namespace
}  // namespace sluice

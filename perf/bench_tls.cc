// What TLS costs towards a client, with OpenSSL's records and with lean ones: sealing a 220-byte
// event for one connection (warm) and for each of 3,000 in turn (cold), 1,390 bytes at once (a
// small record), a slot in bulk; opening a small record; memory of an idle connection, both ends'
// transforms alone; the server's part of a handshake, full and resumed, and of that
// the keys. ns_per_event is the figure to watch.
#include <algorithm>
#include <array>
#include <cstdio>
#include <malloc.h>
#include <memory>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string>
#include <unistd.h>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>

#include "core/clock.h"
#include "core/loop.h"
#include "net/tls/lean_records.h"
#include "net/tls/tls_server.h"
#include "net/tls/wiped_free.h"
#include "perf/bench_cost.h"
#include "pool/slot_pool.h"

namespace sluice {
namespace {

const bool kWipes = install_wiping_free();  // before OpenSSL is used; records are not lean without
constexpr size_t kEventBytes = 220;
constexpr size_t kSlotBytes = 16'384;

// A certificate of its own, in files, since that is how they come.
Credentials make_credentials() {
  EVP_PKEY* key = EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256");
  X509* cert = X509_new();
  X509_set_version(cert, 2);
  X509_gmtime_adj(X509_getm_notBefore(cert), -60);
  X509_gmtime_adj(X509_getm_notAfter(cert), 86'400);
  X509_set_pubkey(cert, key);
  X509_sign(cert, key, EVP_sha256());
  std::string name = "/tmp/sluice_bench_" + std::to_string(getpid());
  std::FILE* file = std::fopen((name + ".pem").c_str(), "we");
  PEM_write_X509(file, cert);
  (void)std::fclose(file);
  file = std::fopen((name + ".key").c_str(), "we");
  PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
  (void)std::fclose(file);
  X509_free(cert);
  EVP_PKEY_free(key);
  Credentials credentials;
  std::string wrong = read_credentials(name + ".pem", name + ".key", &credentials);
  if (!wrong.empty()) std::fprintf(stderr, "%s\n", wrong.c_str());
  unlink((name + ".pem").c_str());
  unlink((name + ".key").c_str());
  return credentials;
}

// A client that is OpenSSL, and the transforms of its server.
class Rig {
 public:
  explicit Rig(bool lean) : client_(SSL_CTX_new(TLS_client_method())) {
    std::vector<Credentials> all;
    all.push_back(make_credentials());
    std::string wrong;
    server_ = TlsServer::make(std::move(all), std::make_shared<TicketKeys>(), true, lean, &wrong);
    SSL_CTX_set1_groups_list(client_, "X25519");
  }
  ~Rig() { SSL_CTX_free(client_); }
  Rig(const Rig&) = delete;
  Rig& operator=(const Rig&) = delete;

  struct Pair {
    std::unique_ptr<Transform> server;
    SSL* client = nullptr;
    uint64_t server_ns = 0;  // what its handshake cost
  };
  Pair connect(const char* suite, SSL_SESSION* session = nullptr) {
    Pair pair;
    pair.client = SSL_new(client_);
    if (session) SSL_set_session(pair.client, session);
    SSL_set_ciphersuites(pair.client, suite);
    SSL_set_bio(pair.client, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(pair.client);
    std::array<char, kSlotBytes> buffer;
    uint64_t began_ns = thread_cpu_ns();
    pair.server = accept_tls(server_, counters_);
    pair.server_ns += thread_cpu_ns() - began_ns;
    for (int round = 0; round < 2; ++round) {
      SSL_do_handshake(pair.client);
      int size = BIO_read(SSL_get_wbio(pair.client), buffer.data(), buffer.size());
      began_ns = thread_cpu_ns();
      hear(pair, {buffer.data(), static_cast<size_t>(std::max(size, 0))});
      size_t said = pair.server->seal({}, buffer).wire;
      pair.server_ns += thread_cpu_ns() - began_ns;
      BIO_write(SSL_get_rbio(pair.client), buffer.data(), static_cast<int>(said));
    }
    return pair;
  }
  // The bytes that came of it.
  size_t hear(Pair& pair, std::span<char> wire) {
    size_t bytes = 0;
    Lease lease = pool_.take_block(static_cast<uint32_t>(std::max<size_t>(wire.size(), 1)), true);
    std::ranges::copy(wire, lease.data());
    std::span<char> rest(lease.data(), wire.size());
    for (;;) {
      Transform::Opened opened = pair.server->open(lease, &rest, pool_);
      bytes += opened.bytes.size();
      if (opened.kind == Transform::Opened::Kind::kReady)
        if (auto next = pair.server->successor()) pair.server = std::move(next);
      if (opened.kind == Transform::Opened::Kind::kBytes) continue;
      if (opened.kind != Transform::Opened::Kind::kReady) return bytes;
    }
  }

 private:
  SSL_CTX* client_;
  std::shared_ptr<const TlsServer> server_;
  TlsCounters counters_;
  std::string error_;
  std::unique_ptr<Ring> ring_ = Ring::create(Features{}, &error_);
  Loop loop_{*ring_};
  MemoryLimit memory_limit_{.bytes_max = 4 << 20, .heap_max = 1 << 20};
  SlotPool pool_{loop_, memory_limit_, {"bench", 1, kSlotBytes, 64}};
};

constexpr const char* kAes256 = "TLS_AES_256_GCM_SHA384";
constexpr const char* kAes128 = "TLS_AES_128_GCM_SHA256";
constexpr const char* kChaCha = "TLS_CHACHA20_POLY1305_SHA256";

// So many bytes for each of so many connections in turn.
void seal(benchmark::State& state, bool lean, const char* suite, size_t bytes, size_t connections) {
  Rig rig(lean);
  std::vector<Rig::Pair> pairs;
  for (size_t i = 0; i < connections; ++i) {
    pairs.push_back(rig.connect(suite));
    SSL_free(pairs.back().client);
  }
  std::string event(bytes, 'x');
  std::vector<char> slot(kSlotBytes);
  size_t at = 0;
  // In bulk: records have grown by then.
  for (int i = 0; i < 8 && bytes > 10'000; ++i) {
    iovec piece{event.data(), event.size()};
    benchmark::DoNotOptimize(pairs[0].server->seal({&piece, 1}, slot));
  }
  const perf::CostCounter cost;
  for (auto _ : state) {
    iovec piece{event.data(), event.size()};
    Transform::Sealed sealed = pairs[at].server->seal({&piece, 1}, slot);
    benchmark::DoNotOptimize(sealed);
    if (sealed.plain != bytes) state.SkipWithError("not sealed");
    if (++at == connections) at = 0;
  }
  cost.report(state, "ns_per_event", state.iterations());
}

// Batches of records that OpenSSL's client has sealed before.
void open(benchmark::State& state, bool lean, const char* suite) {
  constexpr size_t kRecords = 50;
  Rig rig(lean);
  Rig::Pair pair = rig.connect(suite);
  std::string event(kEventBytes, 'x');
  std::vector<char> wire(kSlotBytes);
  uint64_t spent_ns = 0;
  for (auto _ : state) {
    for (size_t i = 0; i < kRecords; ++i)
      SSL_write(pair.client, event.data(), static_cast<int>(event.size()));
    int size = BIO_read(SSL_get_wbio(pair.client), wire.data(), static_cast<int>(wire.size()));
    uint64_t began_ns = thread_cpu_ns();
    size_t opened = rig.hear(pair, {wire.data(), static_cast<size_t>(size)});
    spent_ns += thread_cpu_ns() - began_ns;
    if (opened != kRecords * kEventBytes) state.SkipWithError("not opened");
  }
  SSL_free(pair.client);
  state.counters["ns_per_event"] =
      static_cast<double>(spent_ns) / static_cast<double>(state.iterations() * kRecords);
}

// Bytes of the heap that an idle connection keeps, as the allocator rounds them.
void memory(benchmark::State& state, bool lean) {
  constexpr size_t kConnections = 1'000;
  double bytes = 0;
  for (auto _ : state) {
    Rig rig(lean);
    std::vector<Rig::Pair> pairs;
    pairs.reserve(kConnections + 10);
    std::string event(kEventBytes, 'x');
    std::vector<char> slot(kSlotBytes);
    size_t before = 0;
    for (size_t i = 0; i < kConnections + 10; ++i) {
      if (i == 10) before = mallinfo2().uordblks;
      pairs.push_back(rig.connect(kAes256));
      SSL_free(std::exchange(pairs.back().client, nullptr));
      iovec piece{event.data(), event.size()};
      benchmark::DoNotOptimize(pairs.back().server->seal({&piece, 1}, slot));
    }
    bytes = static_cast<double>(mallinfo2().uordblks - before) / kConnections;
  }
  state.counters["bytes_per_connection"] = bytes;
}

// The session of a handshake, with the ticket that comes with the first response.
SSL_SESSION* session_of(Rig& rig) {
  Rig::Pair pair = rig.connect(kAes256);
  std::array<char, kSlotBytes> wire;
  char response = 'x';
  iovec piece{&response, 1};
  size_t size = pair.server->seal({&piece, 1}, wire).wire;
  BIO_write(SSL_get_rbio(pair.client), wire.data(), static_cast<int>(size));
  SSL_read(pair.client, &response, 1);
  SSL_SESSION* session = SSL_get1_session(pair.client);
  SSL_set_shutdown(pair.client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  SSL_free(pair.client);
  return session;
}

// From accept to close, since the SSL object goes at either time.
void handshake(benchmark::State& state, bool lean, bool resumed) {
  Rig rig(lean);
  SSL_SESSION* session = resumed ? session_of(rig) : nullptr;
  uint64_t spent_ns = 0;
  for (auto _ : state) {
    Rig::Pair pair = rig.connect(kAes256, session);
    if (!pair.server->ready() || (SSL_session_reused(pair.client) == 1) != resumed)
      state.SkipWithError("no such handshake");
    uint64_t began_ns = thread_cpu_ns();
    pair.server.reset();  // lean records have let go of most of it already
    spent_ns += pair.server_ns + (thread_cpu_ns() - began_ns);
    SSL_set_shutdown(pair.client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(pair.client);
  }
  SSL_SESSION_free(session);
  state.counters["us_per_handshake"] =
      static_cast<double>(spent_ns) / 1'000 / static_cast<double>(state.iterations());
}

// The keys of one direction, and the next ones.
void derive_keys(benchmark::State& state) {
  const std::vector<uint8_t> secret(48, 7);
  const perf::CostCounter cost;
  for (auto _ : state) {
    RecordKeys keys(CipherSuite::kAes256Gcm, secret, 0);
    benchmark::DoNotOptimize(keys.records());
  }
  cost.report(state, "ns_per_direction", state.iterations());
}
void update_keys(benchmark::State& state) {
  const std::vector<uint8_t> secret(48, 7);
  RecordKeys keys(CipherSuite::kAes256Gcm, secret, 0);
  const perf::CostCounter cost;
  for (auto _ : state) keys.update();
  cost.report(state, "ns_per_update", state.iterations());
}
BENCHMARK(derive_keys);
BENCHMARK(update_keys);

[[maybe_unused]] const bool registered = [] {
  struct Shape {
    const char* name;
    const char* suite;
    size_t bytes;
    size_t connections;
  };
  constexpr Shape kShapes[] = {{"event/warm/aes256", kAes256, kEventBytes, 1},
                               {"event/warm/aes128", kAes128, kEventBytes, 1},
                               {"event/warm/chacha", kChaCha, kEventBytes, 1},
                               {"event/cold/aes256", kAes256, kEventBytes, 3'000},
                               {"event/cold/aes128", kAes128, kEventBytes, 3'000},
                               {"event/cold/chacha", kChaCha, kEventBytes, 3'000},
                               {"small_record/aes256", kAes256, 1'390, 1},
                               {"slot/aes256", kAes256, 16'300, 1}};
  for (bool lean : {false, true}) {
    std::string records = lean ? "/lean" : "/openssl";
    for (const Shape& shape : kShapes) {
      std::string name = std::string("seal/") + shape.name + records;
      benchmark::RegisterBenchmark(name.c_str(), seal, lean, shape.suite, shape.bytes,
                                   shape.connections);
    }
    benchmark::RegisterBenchmark(("open/aes256" + records).c_str(), open, lean, kAes256);
    benchmark::RegisterBenchmark(("open/chacha" + records).c_str(), open, lean, kChaCha);
    benchmark::RegisterBenchmark(("memory" + records).c_str(), memory, lean)->Iterations(1);
    benchmark::RegisterBenchmark(("handshake/full" + records).c_str(), handshake, lean, false);
    benchmark::RegisterBenchmark(("handshake/resumed" + records).c_str(), handshake, lean, true);
  }
  return true;
}();

}  // namespace
}  // namespace sluice

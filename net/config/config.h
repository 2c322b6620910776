// What sluice was told to do, as a value: read from flags and a TOML file at the start and at each
// reload, and checked. What runs is a ConfigSnapshot made of it (net/config/snapshot.h). Every
// setting is named once, in the table of settings.cc: the flag, the file's key and the route's key
// are that one name.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/file_stamps.h"
#include "core/log.h"
#include "net/base/address.h"
#include "net/base/content_coding.h"
#include "net/config/filter_rules.h"
#include "net/config/numbers.h"
#include "net/config/status_ranges.h"

namespace sluice {

// Where a piece of an event stream may be passed on: at the end of an event (or of a comment
// between two), at the end of a line, or wherever it was read.
enum class EventFraming : uint8_t { kEvent, kLine, kOff };

// How a route's group shares its requests out, and for kHash what of a request is hashed.
struct Balance {
  enum class Method : uint8_t { kLeast, kRoundRobin, kRandomTwo, kHash };
  enum class Key : uint8_t { kField, kCookie, kClient, kPath };

  Method method = Method::kLeast;
  Key key = Key::kPath;
  std::string name = {};  // of the field or cookie
};

// Which event streams go on behind a broken upstream: none, those that broke, or also those that
// have ended cleanly.
enum class Heal : uint8_t { kOff, kOn, kAlways };

// What a route's event streams are taken for: kAuto goes by path, request and first event.
enum class DialectChoice : uint8_t { kAuto, kNone, kOpenAi, kResponses, kAnthropic };

// What keeps a quiet event stream alive: kAuto is what its dialect knows, a comment for most.
enum class HeartbeatForm : uint8_t { kAuto, kComment, kLine, kEvent, kChunk };

// What a stream's head waits for before its client gets it.
enum class Gate : uint8_t { kOff, kContent };

// The statuses of an upstream's answer that another one may do better than. 0: no more.
using Statuses = std::array<uint16_t, 8>;

// When a publisher has its answer, and subscribers the event.
enum class HubAck : uint8_t { kMemory, kDisk };

// What clients of a route may do with its hub.
enum class HubAccess : uint8_t { kAll, kRead, kPublish };

// When a hub's source is read.
enum class HubSourceOpen : uint8_t { kSubscribed, kAlways };

// What each stream flag says; a route starts from the global values and overrides some.
// Times in milliseconds, 0 = off; sizes in bytes.
struct StreamSettings {
  uint64_t heartbeat_ms = 30'000;
  bool heartbeat_named_by_route = false;  // by its own key: overrides no-transform
  uint64_t heartbeat_head_after_ms = 0;
  HeartbeatForm heartbeat_form = HeartbeatForm::kAuto;
  DialectChoice dialect = DialectChoice::kAuto;
  bool error_event = true;  // of a known dialect, before an abort
  Gate gate = Gate::kOff;
  uint64_t gate_time_ms = 10'000;  // after which it opens
  uint64_t buffer_size = 8ULL * 1024;
  uint64_t buffer_size_max = 256ULL * 1024;
  uint64_t event_hold = 64ULL * 1024;
  EventFraming framing = EventFraming::kEvent;
  OnUnseen on_invalid = OnUnseen::kPass;      // events without JSON where a filter needs it
  OnUnseen on_oversize = OnUnseen::kPass;     // events over event_hold, where there are filters
  OnEncoded on_encoded = OnEncoded::kDecode;  // event streams, where events have to be seen
  bool usage = false;                         // of requests to models is counted
  uint64_t drain_for_usage_ms = 0;
  uint64_t pace_ms = 0;                 // between two reads of an event stream; 0 = read at once
  CodingOrder compress = {};            // towards clients, the most welcome one first; none: off
  uint64_t max_body_size = 0;           // request body; 0 = unlimited
  uint64_t header_timeout_ms = 10'000;  // of the request after one on this route
  uint64_t body_timeout_ms = 30'000;
  uint64_t connect_timeout_ms = 5'000;
  uint64_t first_byte_timeout_ms = 60'000;
  uint64_t stream_idle_timeout_ms = 300'000;
  uint64_t write_timeout_ms = 60'000;
  uint64_t keepalive_timeout_ms = 75'000;  // client connection idle between requests
  bool half_close = false;
  bool retry_non_idempotent = false;  // also a POST goes out again on a stale connection
  Heal heal = Heal::kOn;
  uint64_t heal_ids = 256;
  uint64_t heal_for_ms = 60'000;
  uint64_t heal_rate = 500;  // reconnects a second, per upstream; 0 = unlimited
  bool gap_event = false;    // a resumed stream that begins elsewhere says so
  uint64_t retries = 2;      // at other upstreams, before the client has content
  Statuses retry_on = {429, 502, 503, 504};
  Statuses retry_on_post = {429, 503};    // of requests that must not be executed twice
  uint64_t retry_buffer = 64ULL * 1024;   // of a request's body, kept for a retry
  uint64_t upstream_max_connections = 0;  // per upstream; 0 = unlimited
  uint64_t upstream_max_pending = 1024;   // requests that wait for one of those; 0 = unlimited
  uint64_t upstream_keepalive = 64;       // idle connections kept, per upstream and worker
  uint64_t upstream_keepalive_timeout_ms = 30'000;
  Balance balance;
  uint64_t eject_after = 5;         // failures in a row; 0 = off
  uint64_t eject_time_ms = 10'000;  // the first time; each further one is twice as long
  uint64_t slow_start_ms = 10'000;
  std::string health;  // what a probe asks an upstream for, "/healthz"; empty = none is sent
  uint64_t health_interval_ms = 5'000;
  uint64_t health_timeout_ms = 2'000;
  uint64_t health_fail = 3;  // bad probes in a row
  uint64_t health_pass = 2;  // good ones
  StatusRanges health_status{{{{200, 399}}}};
  // TCP's keep-alive: a peer that is gone is noticed within twice the time.
  uint64_t upstream_tcp_keepalive_ms = 60'000;
  uint64_t client_tcp_keepalive_ms = 60'000;
  // Kernel memory bounds (bytes; 0 = the kernel's default).
  uint64_t upstream_rcvbuf = 64ULL * 1024;
  bool upstream_quickack = false;  // acknowledge every read, however fast they come
  uint64_t client_sndbuf = 64ULL * 1024;
  uint64_t client_notsent_lowat = 16ULL * 1024;
  // Of both buffers for a client that takes all at once, where they are set and smaller.
  uint64_t socket_buffer_max = 1024ULL * 1024;
  // Of the hub that a route serves.
  uint64_t hub_history_bytes = 64ULL * 1024 * 1024;
  uint64_t hub_history_events = 100'000;
  uint64_t hub_history_age_ms = 0;  // 0 = unlimited, here and in the others
  uint64_t hub_stream_events = 0;
  uint64_t hub_stream_bytes = 0;
  uint64_t hub_streams = 100'000;
  uint64_t hub_event_size = 64ULL * 1024;
  uint64_t hub_rate = 0;  // events a second
  uint64_t hub_dedup_window_ms = 5 * 60'000;
  HubAck hub_ack = HubAck::kDisk;  // of a hub with a store
  uint64_t hub_store_events = 0;   // kept on the disk
  uint64_t hub_store_bytes = 0;
  uint64_t hub_store_age_ms = 0;
  uint64_t hub_lease_ms = 30'000;
  HubAccess hub_access = HubAccess::kAll;
  bool hub_cors_credentials = false;
  HubSourceOpen hub_source_open = HubSourceOpen::kSubscribed;
  uint64_t hub_source_linger_ms = 30'000;
};

class Filters;
class TlsServer;
class TlsClient;

// How an https upstream is reached and trusted. All of it is a part of the upstream's url: an
// upstream that is trusted otherwise is another one.
struct UpstreamTls {
  std::string name;       // asked for (SNI), and what its certificate must carry: a host or an IP
  std::string ca = {};    // a PEM file; empty: the system's
  std::string cert = {};  // of ours, with its key; empty: none
  std::string key = {};
  bool insecure = false;  // any certificate will do
};

// An upstream as one route names it: two routes may give the same url other options.
struct Upstream {
  std::string url;   // as given, "http://127.0.0.1:9000" or "unix:/run/app.sock"
  std::string host;  // authority of the url; "localhost" for a unix socket
  Address address;   // where the url has one; of size 0 where it has a name
  std::string name = {};
  uint16_t port = 0;  // with the name
  uint32_t weight = 1;
  bool backup = false;  // gets requests only where no other of its group can
  uint32_t id = 0;      // the same in every snapshot that names its url
  InUse id_in_use = {};
  uint64_t url_hash = 0;  // for --balance hash
  std::optional<UpstreamTls> tls_settings = {};
  std::shared_ptr<const TlsClient> tls = nullptr;  // what was made of them (net/tls/load_tls.h)
};

// An upstream's event stream that a stream of a hub is fed from.
struct HubSource {
  std::string stream;
  std::string target;  // of the request, "/events?all"
  Upstream upstream;
};

// What a route is for by which a hub's source is read.
struct HubFeed {
  std::string hub = {};  // empty: it is a route for clients
  std::string stream = {};
  std::string target = {};
};

struct Route {
  // A prefix of the request's path; "/" is the default route. Of a hub's source one that no request
  // has, "hub-source:NAME/STREAM".
  std::string path;
  std::vector<Upstream> upstreams;  // the group
  StreamSettings settings;
  uint32_t id = 0;  // the same in every snapshot that has its path
  InUse id_in_use = {};
  std::vector<std::string> filter_names = {};
  std::string filters_where = {};  // for messages about these
  std::string hub = {};            // the name of the hub that answers here; empty: upstreams do
  std::string hub_store = {};      // the file of its store; empty: it has none
  std::vector<std::string> hub_cors = {};  // origins of web pages that may use it; "*": any
  std::vector<HubSource> hub_sources = {};
  HubFeed feeds = {};
  std::shared_ptr<const Filters> filters = nullptr;  // of these (net/filter/load_filters.h)

  bool is_source() const { return !feeds.hub.empty(); }
};

struct PoolSettings {
  uint64_t slot_bytes;
  uint64_t slots;

  bool operator==(const PoolSettings&) const = default;
};

enum class AccessLogFormat : uint8_t { kText, kJson };

// How a listener takes its clients in.
struct ListenOptions {
  bool operator==(const ListenOptions&) const = default;

  bool tls = false;
  bool proxy_protocol = false;  // a PROXY header comes first, always
  uint16_t redirect_port = 0;   // of https, which requests are sent to; 0: they are served
};

// An address for clients.
struct Listen : Address {
  Listen(const Address& address, ListenOptions its_options = {})
      : Address(address), options(its_options) {}

  // "127.0.0.1:80", "https://127.0.0.1:443".
  std::string name() const { return (options.tls ? "https://" : "") + text(); }
  // With its options: a listener with others is another one.
  std::string identity() const;

  ListenOptions options;
};

// Files in PEM form that belong together.
struct TlsKeyPair {
  std::string cert;
  std::string key;
  int64_t expires_s = 0;       // since 1970; known once they have been read
  int64_t ocsp_expires_s = 0;  // of the OCSP response for it; 0: there is none
};

// Whether a client that shows no certificate is refused, where clients are asked for one.
enum class ClientAuth : uint8_t { kRequired, kOptional };

struct Config {
  std::vector<Listen> listen;
  std::vector<std::string> tls_cert_files;
  std::vector<std::string> tls_key_files;
  std::vector<std::string> tls_ocsp_files;  // each for one of the certificates
  std::string tls_ticket_keys_file;         // empty: keys of our own
  std::string tls_client_ca_file;           // empty: clients are not asked for a certificate
  ClientAuth tls_client_auth = ClientAuth::kRequired;
  std::vector<TlsKeyPair> tls_keys;                       // of the two, in order
  std::shared_ptr<const TlsServer> tls_server = nullptr;  // of these (net/tls/load_tls.h)
  FileStamps tls_server_files = {};                       // from before it was read
  uint64_t tls_handshake_timeout_ms = 10'000;
  uint64_t tls_handshakes_max = 1'000;  // under way, per worker
  bool tls_lean_records = false;        // of clients: without OpenSSL's SSL object
  std::vector<FilterRule> filters;
  uint64_t script_memory = 8ULL * 1024 * 1024;  // bytes, of a worker's scripts together
  uint64_t script_instructions = 100'000;       // of one call
  std::vector<Route> routes;
  StreamSettings defaults;  // of routes, and of a request that has none yet and no "/" to go by
  unsigned threads = 0;     // 0 = one per allowed CPU
  bool pin = true;
  std::optional<uint64_t> latency_budget_us;  // nullopt = automatic; 0 = off
  std::string uring_disable;                  // comma list, checked against core/features
  std::string simd = "auto";
  PoolSettings pool_sse_event{4096, 1000};
  PoolSettings pool_http_message{16384, 500};
  PoolSettings pool_json{8192, 500};
  uint64_t pool_max = 256ULL * 1024 * 1024;  // bytes a worker, all classes together
  uint64_t max_header_size = 16ULL * 1024;
  uint64_t max_headers = 128;
  bool http2 = true;  // by ALPN, and on plain listeners by prior knowledge
  uint64_t http2_max_streams = 100;
  uint64_t http2_stream_window = 64ULL * 1024;  // of requests' bodies
  uint64_t http2_connection_window = 1024ULL * 1024;
  std::vector<AddressRange> trusted_proxies;
  uint64_t dns_ttl_min_ms = 5'000;
  uint64_t dns_ttl_max_ms = 300'000;
  std::vector<Address> dns_servers;  // none: the system's
  bool admin_on = true;
  Address admin;
  std::string admin_name;                // the host of --admin, as it was given
  std::vector<std::string> admin_hosts;  // others that it answers for beside its addresses
  bool tap = false;                      // streams can be watched there
  std::string access_log = "off";        // path, "-" or "off"
  AccessLogFormat access_log_format = AccessLogFormat::kText;
  std::string usage_log = "off";  // the same
  bool log_query = false;         // targets in logs and /streams keep their query
  LogLevel log_level = LogLevel::kInfo;
  uint64_t shutdown_delay_ms = 0;  // after the signal, before the drain
  uint64_t shutdown_grace_ms = 30'000;
  bool demo = false;
  bool check_only = false;
  bool filter_test = false;  // events of standard input go through the first route's filters
  // Tells this process from others in our Via and in request ids; main makes it up at start.
  std::string instance = "0";

  // No client's request has an upstream.
  bool serves_only_hubs() const {
    return std::ranges::all_of(
        routes, [](const Route& route) { return route.is_source() || !route.hub.empty(); });
  }
};

// The outcome of reading argv: a configuration, or what to print and the exit status
// (--help, --version and --check: 0, to stdout; a mistake: 2, one line to stderr).
struct ConfigResult {
  std::shared_ptr<Config> config;  // null where the program should exit
  std::string message;             // without a final newline
  int exit_status = 0;
  std::vector<std::string> warnings = {};  // of a configuration that is right
};
// Reads the files that a configuration names, and makes of them what workers need. Returns what is
// wrong, or "".
using ReadNamedFiles = std::function<std::string(Config&, std::vector<std::string>& warnings)>;
ConfigResult read_config(int argc, const char* const* argv, const ReadNamedFiles& read_files = {});

// "2 routes, 3 upstreams, listening on 127.0.0.1:8080, admin off"
std::string summary(const Config& config);

// The names of those settings in which the two differ and which a running process cannot take over.
std::vector<std::string> need_restart(const Config& running, const Config& wanted);

}  // namespace sluice

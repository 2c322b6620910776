#include "net/config.h"

#include <gmock/gmock.h>

#include "tests/unit/config/config_support.h"

namespace sluice {
namespace {

using testing::ElementsAre;
using testing::StartsWith;

constexpr const char* kUpstream = "http://127.0.0.1:9000";

// The message of a file that is wrong, with FILE for its path.
std::string file_error(const std::string& toml, std::vector<std::string> flags = {"--demo"}) {
  TomlFile file(toml);
  flags.insert(flags.end(), {"--config", file.path()});
  std::string message = error_of(flags);
  size_t at = 0;
  while ((at = message.find(file.path())) != message.npos) {
    message.replace(at, file.path().size(), "FILE");
  }
  return message;
}

Config config_of_file(const std::string& toml, std::vector<std::string> flags = {}) {
  TomlFile file(toml);
  flags.insert(flags.end(), {"--config", file.path()});
  return config_of(flags);
}

std::vector<std::string> paths(const Config& config) {
  std::vector<std::string> all;
  for (const Route& route : config.routes) all.push_back(route.path);
  return all;
}

std::vector<std::string> urls(const Route& route) {
  std::vector<std::string> all;
  for (const Upstream& upstream : route.upstreams) all.push_back(upstream.url);
  return all;
}

std::vector<std::string> listen_texts(const Config& config) {
  std::vector<std::string> all;
  for (const Address& address : config.listen) all.push_back(address.text());
  return all;
}

TEST(Defaults, OfOneUpstream) {
  Config config = config_of({"--upstream", kUpstream});
  EXPECT_THAT(listen_texts(config), ElementsAre("127.0.0.1:8080"));
  EXPECT_EQ(config.admin.text(), "127.0.0.1:9901");
  EXPECT_TRUE(config.admin_on);
  EXPECT_FALSE(config.check_only);
  ASSERT_THAT(paths(config), ElementsAre("/"));
  EXPECT_EQ(config.routes[0].settings.heartbeat_ms, 30'000U);
  EXPECT_FALSE(config.routes[0].settings.heartbeat_named_by_route);
  ASSERT_THAT(urls(config.routes[0]), ElementsAre(kUpstream));
  EXPECT_EQ(config.routes[0].upstreams[0].host, "127.0.0.1:9000");
  EXPECT_EQ(config.routes[0].upstreams[0].address.text(), "127.0.0.1:9000");
}

TEST(Upstream, Forms) {
  Config config = config_of({"--upstream", "http://localhost:9000/", "--upstream",
                             "HTTP://[::1]:9000", "--upstream", "http://127.0.0.1"});
  const std::vector<Upstream>& upstreams = config.routes[0].upstreams;
  ASSERT_EQ(upstreams.size(), 3U);
  EXPECT_EQ(upstreams[0].url, "http://localhost:9000/");
  EXPECT_EQ(upstreams[0].host, "localhost:9000");
  EXPECT_EQ(upstreams[0].address.text(), "127.0.0.1:9000");
  EXPECT_EQ(upstreams[1].host, "[::1]:9000");
  EXPECT_EQ(upstreams[1].address.text(), "[::1]:9000");
  EXPECT_EQ(upstreams[2].host, "127.0.0.1");
  EXPECT_EQ(upstreams[2].address.port(), 80);
}

TEST(Upstream, Errors) {
  auto error = [](const char* url) { return error_of({"--upstream", url}); };
  EXPECT_EQ(error("https://127.0.0.1:1"),
            "sluice: --upstream: TLS to upstreams comes later: use http://");
  EXPECT_EQ(error("unix:/run/app.sock"),
            "sluice: --upstream: unix sockets come later: use http://HOST:PORT");
  EXPECT_EQ(error("127.0.0.1:1"),
            "sluice: --upstream: '127.0.0.1:1' is not of the form http://HOST:PORT");
  EXPECT_EQ(error("http://127.0.0.1:1/v1"),
            "sluice: --upstream: an upstream takes no path ('/v1'): requests keep the path they "
            "came with");
  EXPECT_EQ(error("http://127.0.0.1:1?x"),
            "sluice: --upstream: an upstream takes no path ('?x'): requests keep the path they "
            "came with");
  EXPECT_EQ(error("http://me@127.0.0.1:1"), "sluice: --upstream: an upstream takes no user name");
  EXPECT_EQ(error("http://"), "sluice: --upstream: 'http://' names no host");
  EXPECT_EQ(error("http://:9000"), "sluice: --upstream: 'http://:9000' names no host");
  EXPECT_EQ(error("http://127.0.0.1:0"), "sluice: --upstream: port 0 cannot be connected to");
  EXPECT_EQ(error("http://127.0.0.1:99999"),
            "sluice: --upstream: '99999' is not a port (0 to 65535)");
  EXPECT_THAT(error("http://no..such:1"),
              StartsWith("sluice: --upstream: cannot resolve 'no..such': "));
}

TEST(Flags, LastOneWins) {
  EXPECT_EQ(config_of({"--demo", "--max-headers", "20", "--max-headers=30"}).max_headers, 30U);
  EXPECT_FALSE(config_of({"--demo", "--pin", "--no-pin"}).pin);
  EXPECT_TRUE(config_of({"--demo", "--no-pin", "--pin"}).pin);
  EXPECT_FALSE(config_of({"--upstream", kUpstream, "--demo", "--no-demo"}).demo);
}

TEST(Flags, ListsCollect) {
  EXPECT_THAT(
      listen_texts(config_of({"--demo", "--listen", ":1,[::1]:2", "--listen", "127.0.0.1:3"})),
      ElementsAre(testing::EndsWith(":1"), "[::1]:2", "127.0.0.1:3"));
  EXPECT_EQ(config_of({"--demo", "--uring-disable=recv-budget", "--uring-disable=huge-pages"})
                .uring_disable,
            "recv-budget,huge-pages");
}

TEST(Flags, ThreadsAll) {
  EXPECT_EQ(config_of({"--demo", "--threads", "all"}).threads, 0U);
  EXPECT_EQ(config_of({"--demo", "--threads=0"}).threads, 0U);
  EXPECT_EQ(config_of({"--demo", "--threads=2", "--threads=all"}).threads, 0U);
}

TEST(Flags, UnknownOnes) {
  EXPECT_EQ(error_of({"--heartbaet", "30s"}),
            "sluice: --heartbaet: no such flag; did you mean --heartbeat?");
  EXPECT_EQ(error_of({"--buffersize=4k"}),
            "sluice: --buffersize: no such flag; did you mean --buffer-size?");
  EXPECT_EQ(error_of({"-x"}), "sluice: -x: no such flag; --help lists them all");
  EXPECT_EQ(error_of({"--path", "/v1"}),
            "sluice: --path: path is a key of --route: --route path=PATH");
  EXPECT_EQ(error_of({"--certificate"}),
            "sluice: --certificate: no such flag; --help lists them all");
  EXPECT_EQ(error_of({"start", "--demo"}),
            "sluice: start: unexpected argument: every setting is a flag, see --help");
}

TEST(Flags, BadValues) {
  auto error = [](const char* flag, const char* value) {
    return error_of({"--demo", std::string("--") + flag, value});
  };
  EXPECT_EQ(error("heartbeat", "30"),
            "sluice: --heartbeat: '30' is not a time: a number with ms, s, m or h");
  EXPECT_EQ(error("heartbeat", "25h"),
            "sluice: --heartbeat: 25h is out of bounds: 0, or 1ms to 24h");
  EXPECT_EQ(error("buffer-size", "4kb"),
            "sluice: --buffer-size: '4kb' is not a size: a number of bytes, or one with k, m or g");
  EXPECT_EQ(error("buffer-size", "1023"),
            "sluice: --buffer-size: 1023 is out of bounds: 1k to 64m");
  EXPECT_EQ(error("max-headers", "many"), "sluice: --max-headers: 'many' is not a number");
  EXPECT_EQ(error("max-headers", "-5"), "sluice: --max-headers: '-5' is not a number");
  EXPECT_EQ(error("max-headers", "7"), "sluice: --max-headers: 7 is out of bounds: 8 to 1024");
  EXPECT_EQ(error("threads", "2000"), "sluice: --threads: 2000 is out of bounds: 0, or 1 to 1024");
  EXPECT_EQ(error("pin", "yes"), "sluice: --pin: 'yes' is neither on nor off");
  EXPECT_EQ(error("check", "it"), "sluice: --check: 'it' is neither on nor off");
  EXPECT_EQ(error("log-level", "warning"),
            "sluice: --log-level: 'warning' is not one of debug, info, warn, error; did you mean "
            "warn?");
  EXPECT_EQ(error("half-close", "x"), "sluice: --half-close: 'x' is not one of deny, allow");
  EXPECT_EQ(error("uring-disable", "recv-budget,multishot-rcv"),
            "sluice: --uring-disable: 'multishot-rcv' is not one of defer-taskrun, single-issuer, "
            "registered-ring-fd, multishot-accept, multishot-recv, recv-budget, fixed-buffers, "
            "huge-pages; did you mean multishot-recv?");
  EXPECT_EQ(error("listen", "8080"),
            "sluice: --listen: '8080' has no port (HOST:PORT); did you mean :8080?");
  EXPECT_EQ(error("listen", ":1,,:2"), "sluice: --listen: an item of the list is empty");
  EXPECT_EQ(error("admin", "on"), "sluice: --admin: 'on' has no port (HOST:PORT)");
  EXPECT_EQ(error("trusted-proxies", "10.0.0.0/33"),
            "sluice: --trusted-proxies: the prefix of '10.0.0.0/33' must be 0 to 32");
  EXPECT_EQ(error("listen", "a\nb"), "sluice: --listen: 'a?b' has no port (HOST:PORT)");
}

TEST(Flags, PoolBounds) {
  auto error = [](const char* value) { return error_of({"--demo", "--pool-sse-event", value}); };
  EXPECT_EQ(error("4k"), "sluice: --pool-sse-event: '4k' is not SIZE:COUNT, such as 4k:1000");
  EXPECT_EQ(error("3k:100"), "sluice: --pool-sse-event: the slot size 3k is not a power of two");
  EXPECT_EQ(error("256:100"),
            "sluice: --pool-sse-event: the slot size 256 is out of bounds: 512 to 64k");
  EXPECT_EQ(error("128k:100"),
            "sluice: --pool-sse-event: the slot size 128k is out of bounds: 512 to 64k");
  EXPECT_EQ(error("4k:15"), "sluice: --pool-sse-event: the count 15 is out of bounds: 16 to 32768");
  EXPECT_EQ(error("4k:32769"),
            "sluice: --pool-sse-event: the count 32769 is out of bounds: 16 to 32768");
  EXPECT_EQ(error("4k:x"), "sluice: --pool-sse-event: the count 'x' is not a number");
  EXPECT_EQ(error_of({"--demo", "--pool-max", "4m"}),
            "sluice: --pool-max: pool-sse-event and pool-http-response start with 12000k, which is "
            "more than pool-max (4m)");
}

TEST(Flags, SettingsThatDoNotFit) {
  EXPECT_EQ(error_of({"--demo", "--buffer-size", "128k"}),
            "sluice: --buffer-size: buffer-size (128k) is more than event-hold (64k)");
  EXPECT_EQ(error_of({"--demo", "--buffer-size-max", "4k"}),
            "sluice: --buffer-size-max: buffer-size (8k) is more than buffer-size-max (4k)");
  EXPECT_EQ(error_of({"--route", "path=/v1,upstream=http://127.0.0.1:1,event-hold=4k"}),
            "sluice: --route path=/v1: event-hold: buffer-size (8k) is more than event-hold (4k)");
  EXPECT_EQ(config_of({"--demo", "--buffer-size=128k", "--event-hold=128k"})
                .routes[0]
                .settings.buffer_size,
            128U * 1024);
}

TEST(Flags, NowhereToSendRequests) {
  EXPECT_EQ(error_of({}),
            "sluice: nowhere to send requests: give --upstream http://HOST:PORT, --route "
            "path=/...,upstream=... or --demo");
}

TEST(Demo, LeavesTheDefaultRouteEmpty) {
  Config config = config_of({"--demo", "--heartbeat", "1s"});
  EXPECT_TRUE(config.demo);
  ASSERT_THAT(paths(config), ElementsAre("/"));
  EXPECT_TRUE(config.routes[0].upstreams.empty());
  EXPECT_EQ(config.routes[0].settings.heartbeat_ms, 1000U);
}

TEST(Demo, StandsBesideRoutes) {
  Config config = config_of({"--demo", "--route", "path=/v1,upstream=http://127.0.0.1:1"});
  ASSERT_THAT(paths(config), ElementsAre("/v1", "/"));
  EXPECT_TRUE(config.routes[1].upstreams.empty());
}

TEST(Demo, GivesWayToAnUpstream) {
  EXPECT_THAT(urls(config_of({"--demo", "--upstream", kUpstream}).routes[0]),
              ElementsAre(kUpstream));
  Config config = config_of({"--demo", "--route", "path=/,upstream=http://127.0.0.1:1"});
  ASSERT_EQ(config.routes.size(), 1U);
  EXPECT_THAT(urls(config.routes[0]), ElementsAre("http://127.0.0.1:1"));
}

TEST(Routes, OverrideSomeOfTheGlobalSettings) {
  Config config =
      config_of({"--upstream", kUpstream, "--heartbeat", "5s", "--buffer-size", "2k", "--route",
                 "path=/v1/chat/completions,upstream=http://127.0.0.1:1,upstream=http://"
                 "127.0.0.1:2,heartbeat=15s"});
  ASSERT_THAT(paths(config), ElementsAre("/v1/chat/completions", "/"));
  const Route& route = config.routes[0];
  EXPECT_THAT(urls(route), ElementsAre("http://127.0.0.1:1", "http://127.0.0.1:2"));
  EXPECT_EQ(route.settings.heartbeat_ms, 15'000U);
  EXPECT_TRUE(route.settings.heartbeat_named_by_route);
  EXPECT_EQ(route.settings.buffer_size, 2048U);
  EXPECT_EQ(config.routes[1].settings.heartbeat_ms, 5000U);
  EXPECT_FALSE(config.routes[1].settings.heartbeat_named_by_route);
}

TEST(Routes, LongestPathFirst) {
  std::vector<std::string> flags = {"--upstream", kUpstream};
  for (const char* path : {"/a", "/a/b/c", "/a/b"}) {
    flags.insert(flags.end(), {"--route", std::string("upstream=http://127.0.0.1:1,path=") + path});
  }
  EXPECT_THAT(paths(config_of(flags)), ElementsAre("/a/b/c", "/a/b", "/a", "/"));
}

TEST(Routes, Errors) {
  auto error = [](const char* route) { return error_of({"--route", route}); };
  EXPECT_EQ(error("path=/v1,upstrem=http://127.0.0.1:1"),
            "sluice: --route path=/v1: a route has no setting 'upstrem'; did you mean upstream?");
  EXPECT_EQ(error("upstream=http://127.0.0.1:1"),
            "sluice: --route upstream=http://127.0.0.1:1: a route needs a path: path=/PREFIX");
  EXPECT_EQ(error("path=/v1"),
            "sluice: --route path=/v1: a route needs an upstream: upstream=http://HOST:PORT");
  EXPECT_EQ(error("path=v1,upstream=http://127.0.0.1:1"),
            "sluice: --route path=v1: path: 'v1' does not start with \"/\"");
  EXPECT_EQ(error("path=/v1?x,upstream=http://127.0.0.1:1"),
            "sluice: --route path=/v1?x: path: '/v1?x' holds what no path does: blanks, controls, "
            "? or #");
  EXPECT_EQ(error("path=/v1,heartbeat"),
            "sluice: --route path=/v1: heartbeat needs a value: heartbeat=TIME");
  EXPECT_EQ(error("path=/v1,heartbeat="),
            "sluice: --route path=/v1: heartbeat needs a value: heartbeat=TIME");
  EXPECT_EQ(error("path=/v1,heartbeat=1s,heartbeat=2s"),
            "sluice: --route path=/v1: heartbeat is given twice");
  EXPECT_EQ(error("path=/v1,heartbeat=soon"),
            "sluice: --route path=/v1: heartbeat: 'soon' is not a time: a number with ms, s, m or "
            "h");
  EXPECT_EQ(error("path=/v1,"),
            "sluice: --route path=/v1: a route has no setting ''; --help lists them all");
  EXPECT_EQ(error("path=/v1,threads=2"),
            "sluice: --route path=/v1: threads is a setting of the whole process, not of a route");
}

TEST(Routes, PathsAreTakenOnce) {
  std::string route = "path=/v1,upstream=http://127.0.0.1:1";
  EXPECT_EQ(error_of({"--route", route, "--route", route}),
            "sluice: --route path=/v1: path /v1 is already taken by --route path=/v1");
  EXPECT_EQ(error_of({"--upstream", kUpstream, "--route", "path=/,upstream=http://127.0.0.1:1"}),
            "sluice: --route path=/: path / is already taken by --upstream");
  EXPECT_EQ(file_error("[[route]]\npath = \"/v1\"\nupstream = \"http://127.0.0.1:1\"\n"
                       "[[route]]\nupstream = \"http://127.0.0.1:1\"\npath = \"/v1\"\n"),
            "sluice: FILE:4:1: path /v1 is already taken by FILE:1:1");
}

constexpr const char* kFile = R"(# every form of a value
listen = ["127.0.0.1:1", "127.0.0.1:2"]
upstream = "http://127.0.0.1:3"
heartbeat = "10s"
buffer-size = 4096
threads = 2
pin = false

[[route]]
path = "/v1"
upstream = ["http://127.0.0.1:4", "http://127.0.0.1:5"]
heartbeat = 0

[[route]]
path = "/v2"
upstream = "http://127.0.0.1:6"
)";

TEST(File, IsRead) {
  Config config = config_of_file(kFile);
  EXPECT_THAT(listen_texts(config), ElementsAre("127.0.0.1:1", "127.0.0.1:2"));
  EXPECT_EQ(config.threads, 2U);
  EXPECT_FALSE(config.pin);
  ASSERT_THAT(paths(config), ElementsAre("/v1", "/v2", "/"));
  EXPECT_THAT(urls(config.routes[0]), ElementsAre("http://127.0.0.1:4", "http://127.0.0.1:5"));
  EXPECT_EQ(config.routes[0].settings.heartbeat_ms, 0U);
  EXPECT_TRUE(config.routes[0].settings.heartbeat_named_by_route);
  EXPECT_EQ(config.routes[0].settings.buffer_size, 4096U);
  EXPECT_EQ(config.routes[1].settings.heartbeat_ms, 10'000U);
  EXPECT_FALSE(config.routes[1].settings.heartbeat_named_by_route);
}

TEST(File, FlagsWinOverIt) {
  Config config =
      config_of_file(kFile, {"--listen", "127.0.0.1:9", "--upstream", kUpstream, "--pin",
                             "--heartbeat=20s", "--route", "path=/v1,upstream=http://127.0.0.1:7"});
  EXPECT_THAT(listen_texts(config), ElementsAre("127.0.0.1:9"));
  EXPECT_TRUE(config.pin);
  EXPECT_EQ(config.threads, 2U);
  ASSERT_THAT(paths(config), ElementsAre("/v1", "/v2", "/"));
  EXPECT_THAT(urls(config.routes[0]), ElementsAre("http://127.0.0.1:7"));
  EXPECT_EQ(config.routes[0].settings.heartbeat_ms, 20'000U);
  EXPECT_EQ(config.routes[1].settings.heartbeat_ms, 20'000U);
  EXPECT_THAT(urls(config.routes[2]), ElementsAre(kUpstream));
}

TEST(File, RouteKeepsItsOwnValueUnderAFlag) {
  Config config = config_of_file(kFile, {"--heartbeat=20s"});
  EXPECT_EQ(config.routes[0].settings.heartbeat_ms, 0U);
  EXPECT_EQ(config.routes[1].settings.heartbeat_ms, 20'000U);
}

TEST(File, RouteFlagReplacesTheDefaultRoute) {
  Config config = config_of_file(kFile, {"--route", "path=/,upstream=http://127.0.0.1:7"});
  ASSERT_THAT(paths(config), ElementsAre("/v1", "/v2", "/"));
  EXPECT_THAT(urls(config.routes[2]), ElementsAre("http://127.0.0.1:7"));
}

TEST(File, UnknownKeys) {
  EXPECT_EQ(file_error("listen = \":1\"\nheartbaet = \"3s\"\n"),
            "sluice: FILE:2:1: no such setting 'heartbaet'; did you mean heartbeat?");
  EXPECT_EQ(file_error("buffer_size = 4096\n"),
            "sluice: FILE:1:1: no such setting 'buffer_size'; did you mean buffer-size?");
  EXPECT_EQ(file_error("[certificate]\n"),
            "sluice: FILE:1:2: no such setting 'certificate'; --help lists them all");
  EXPECT_EQ(file_error("check = true\n"), "sluice: FILE:1:1: check is a flag only: --check");
  EXPECT_EQ(file_error("path = \"/\"\n"),
            "sluice: FILE:1:1: path belongs to a route: put it below [[route]]");
  EXPECT_EQ(file_error("[[route]]\npath = \"/v1\"\n  buffersize = 1\n"),
            "sluice: FILE:3:3: a route has no setting 'buffersize'; did you mean buffer-size?");
  EXPECT_EQ(file_error("[[route]]\nthreads = 1\n"),
            "sluice: FILE:2:1: threads is a setting of the whole process, not of a route");
}

TEST(File, WrongTypes) {
  EXPECT_EQ(file_error("heartbeat = true\n"),
            "sluice: FILE:1:13: heartbeat: a boolean where a string or an integer is due");
  EXPECT_EQ(file_error("simd = 2\n"), "sluice: FILE:1:8: simd: an integer where a string is due");
  EXPECT_EQ(file_error("pin = 1\n"),
            "sluice: FILE:1:7: pin: an integer where a boolean, \"on\" or \"off\" is due");
  EXPECT_EQ(file_error("listen = [1]\n"),
            "sluice: FILE:1:11: listen: an integer where a string or an array of strings is due");
  EXPECT_EQ(file_error("max-headers = 1.5\n"),
            "sluice: FILE:1:15: max-headers: a float where a string or an integer is due");
  EXPECT_EQ(file_error("max-headers = [1]\n"),
            "sluice: FILE:1:15: max-headers: an array where a string or an integer is due");
  EXPECT_EQ(file_error("access-log = 2020-01-01\n"),
            "sluice: FILE:1:14: access-log: a date or time where a string is due");
  EXPECT_EQ(file_error("[listen]\n"),
            "sluice: FILE:1:1: listen: a table where a string or an array of strings is due");
  EXPECT_EQ(file_error("[route]\npath = \"/\"\n"),
            "sluice: FILE:1:1: a route is a table of its own: [[route]]");
  EXPECT_EQ(file_error("route = \"path=/\"\n"),
            "sluice: FILE:1:9: a route is a table of its own: [[route]]");
}

TEST(File, BadValues) {
  EXPECT_EQ(file_error("\nheartbeat = 30\n"),
            "sluice: FILE:2:13: heartbeat: '30' is not a time: a number with ms, s, m or h");
  EXPECT_EQ(file_error("max-headers = -1\n"),
            "sluice: FILE:1:15: max-headers: '-1' is not a number");
  EXPECT_EQ(file_error("access-log = \"\"\n"), "sluice: FILE:1:14: access-log: a value is missing");
  EXPECT_EQ(file_error("trusted-proxies = [\n  \"::1\",\n  \"x\"]\n"),
            "sluice: FILE:3:3: trusted-proxies: 'x' is not an address range (10.0.0.0/8, ::1, "
            "127.0.0.1)");
  EXPECT_EQ(file_error("[[route]]\npath = \"/v1\"\nupstream = \"https://x:1\"\n"),
            "sluice: FILE:3:12: upstream: TLS to upstreams comes later: use http://");
  EXPECT_EQ(file_error("[[route]]\npath = \"/v1\"\n"),
            "sluice: FILE:1:1: a route needs an upstream: upstream=http://HOST:PORT");
  EXPECT_EQ(file_error("buffer-size = \"1m\"\n"),
            "sluice: FILE:1:15: buffer-size: buffer-size (1m) is more than buffer-size-max (256k)");
}

TEST(File, FirstMistakeIsReported) {
  EXPECT_EQ(file_error("zzz = 1\nmmm = 2\naaa = 3\n"),
            "sluice: FILE:1:1: no such setting 'zzz'; --help lists them all");
}

TEST(File, BadValueIsReportedEvenUnderAFlag) {
  EXPECT_EQ(file_error("max-headers = 1\n", {"--demo", "--max-headers=20"}),
            "sluice: FILE:1:15: max-headers: 1 is out of bounds: 8 to 1024");
}

TEST(File, IsNotToml) {
  EXPECT_THAT(file_error("listen = \":1\"\nheartbeat = \n"), StartsWith("sluice: FILE:2:13: "));
  EXPECT_THAT(file_error("pin = true\npin = false\n"), StartsWith("sluice: FILE:2:"));
  EXPECT_THAT(file_error("\xff\xfe = 1\n"), StartsWith("sluice: FILE:1:"));
}

TEST(File, CannotBeRead) {
  EXPECT_EQ(error_of({"--config", "/no/such.toml"}),
            "sluice: --config /no/such.toml: cannot be read: No such file or directory");
  EXPECT_EQ(error_of({"--config", "/"}), "sluice: --config /: cannot be read: Is a directory");
}

TEST(Check, SaysWhatTheConfigurationAmountsTo) {
  ConfigResult one = read({"--check", "--upstream", kUpstream});
  EXPECT_FALSE(one.config);
  EXPECT_EQ(one.exit_status, 0);
  EXPECT_EQ(one.message,
            "configuration ok: 1 route, 1 upstream, listening on 127.0.0.1:8080, admin on "
            "127.0.0.1:9901");
  TomlFile file(kFile);
  EXPECT_EQ(read({"--check", "--config", file.path(), "--admin", "off"}).message,
            "configuration ok: 3 routes, 4 upstreams, listening on 127.0.0.1:1, 127.0.0.1:2, "
            "admin off");
}

TEST(Check, FailsOnAMistake) {
  EXPECT_EQ(error_of({"--check", "--demo", "--max-headers", "1"}),
            "sluice: --max-headers: 1 is out of bounds: 8 to 1024");
}

TEST(HelpAndVersion, WinOverMistakesInValues) {
  ConfigResult version = read({"--version", "--heartbeat", "x"});
  EXPECT_FALSE(version.config);
  EXPECT_EQ(version.exit_status, 0);
  EXPECT_THAT(version.message, testing::MatchesRegex("sluice [0-9]+\\.[0-9]+\\.[0-9]+"));
  EXPECT_THAT(read({"--help", "--heartbeat", "x"}).message,
              StartsWith("A streaming gateway for Server-Sent Events."));
}

TEST(FindRoute, MatchesWholeSegments) {
  Config config;
  for (const char* path : {"/v1/chat", "/old/", "/v1"}) {
    config.routes.push_back({.path = path, .upstreams = {}, .settings = {}});
  }
  auto found = [&config](const char* path) {
    const Route* route = find_route(config, path);
    return route == nullptr ? "none" : route->path;
  };
  EXPECT_EQ(found("/v1"), "/v1");
  EXPECT_EQ(found("/v1/"), "/v1");
  EXPECT_EQ(found("/v1/x"), "/v1");
  EXPECT_EQ(found("/v1?x"), "/v1");
  EXPECT_EQ(found("/v10"), "none");
  EXPECT_EQ(found("/v1/chat"), "/v1/chat");
  EXPECT_EQ(found("/v1/chat?x=/"), "/v1/chat");
  EXPECT_EQ(found("/v1/chats"), "/v1");
  EXPECT_EQ(found("/old/"), "/old/");
  EXPECT_EQ(found("/old/x"), "/old/");
  EXPECT_EQ(found("/old"), "none");
  EXPECT_EQ(found("/"), "none");
  EXPECT_EQ(found("*"), "none");
  EXPECT_EQ(found(""), "none");
  config.routes.push_back({.path = "/", .upstreams = {}, .settings = {}});
  EXPECT_EQ(found("/v10"), "/");
  EXPECT_EQ(found("/"), "/");
  EXPECT_EQ(found("/?x"), "/");
}

}  // namespace
}  // namespace sluice

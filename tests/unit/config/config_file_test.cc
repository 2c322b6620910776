// What read_file() makes of a TOML file; each key for itself is in config_settings_test.cc.
#include <gmock/gmock.h>

#include "net/config/config.h"
#include "tests/unit/config/config_support.h"

namespace sluice {
namespace {

using testing::ElementsAre;
using testing::StartsWith;

TEST(File, IsRead) {
  Config config = config_of_file(kFile);
  EXPECT_THAT(listen_texts(config), ElementsAre("127.0.0.1:1", "127.0.0.1:2"));
  EXPECT_EQ(config.threads, 2U);
  EXPECT_FALSE(config.pin);
  ASSERT_THAT(paths(config), ElementsAre("/", "/v1", "/v2"));
  EXPECT_THAT(urls(config.routes[1]), ElementsAre("http://127.0.0.1:4", "http://127.0.0.1:5"));
  EXPECT_EQ(config.routes[1].settings.heartbeat_ms, 0U);
  EXPECT_TRUE(config.routes[1].settings.heartbeat_named_by_route);
  EXPECT_EQ(config.routes[1].settings.buffer_size, 4096U);
  EXPECT_EQ(config.routes[2].settings.heartbeat_ms, 10'000U);
  EXPECT_FALSE(config.routes[2].settings.heartbeat_named_by_route);
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
  EXPECT_EQ(file_error("access-log = \"/tmp/a\\u0000b\"\n"),
            "sluice: FILE:1:14: access-log: a value has no zero bytes");
  EXPECT_EQ(file_error("trusted-proxies = [\n  \"::1\",\n  \"x\"]\n"),
            "sluice: FILE:3:3: trusted-proxies: 'x' is not an address range (10.0.0.0/8, ::1, "
            "127.0.0.1)");
  EXPECT_EQ(file_error("[[route]]\npath = \"/v1\"\nupstream = \"ftp://x:1\"\n"),
            "sluice: FILE:3:12: upstream: 'ftp://x:1' is not of the form http://HOST:PORT, "
            "https://HOST:PORT or unix:/PATH");
  EXPECT_EQ(file_error("[[route]]\npath = \"/v1\"\n"),
            "sluice: FILE:1:1: a route needs an upstream: upstream=http://HOST:PORT, or a hub: "
            "hub=NAME");
  EXPECT_EQ(file_error("buffer-size = \"1m\"\n"),
            "sluice: FILE:1:15: buffer-size: buffer-size (1m) is more than buffer-size-max (256k)");
}

TEST(File, FirstMistakeIsReported) {
  EXPECT_EQ(file_error("zzz = 1\nmmm = 2\naaa = 3\n"),
            "sluice: FILE:1:1: no such setting 'zzz'; --help lists them all");
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

TEST(File, MayBeEmpty) {
  EXPECT_EQ(config_of_file("", {"--demo"}).threads, config_of({"--demo"}).threads);
  EXPECT_TRUE(config_of_file("# nothing\n", {"--demo"}).demo);
}

// Longer than one read of it.
TEST(File, IsReadToItsEnd) {
  std::string text = "#" + std::string(10'000, 'x') + "\nmax-headers = 77\n";
  EXPECT_EQ(config_of_file(text, {"--demo"}).max_headers, 77U);
}

}  // namespace
}  // namespace sluice

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include "net/config/check.h"
#include "tests/unit/config/config_support.h"

namespace sluice {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

namespace fs = std::filesystem;

// --- ports ---

std::string listening_on(const std::string& one, const std::string& other) {
  ConfigResult result = read({"--demo", "--listen", one, "--listen", other});
  return result.config ? "" : result.message;
}

TEST(Ports, OfTheSameAddressCollide) {
  EXPECT_EQ(listening_on("127.0.0.1:8080", "127.0.0.1:8080"),
            "sluice: --listen: 127.0.0.1:8080 is given twice; once is enough");
  EXPECT_EQ(listening_on("[::1]:8080", "[::1]:8080"),
            "sluice: --listen: [::1]:8080 is given twice; once is enough");
  EXPECT_EQ(listening_on("127.0.0.1:8080", "[::ffff:127.0.0.1]:8080"),
            "sluice: --listen: 127.0.0.1:8080 is given twice; once is enough");
}

TEST(Ports, OfAWildcardCollideWithThoseOfItsAddresses) {
  for (const auto& [wide, narrow] : {std::pair{"0.0.0.0:80", "127.0.0.1:80"},
                                     {"[::]:80", "[::1]:80"},
                                     {"[::]:80", "10.0.0.1:80"},
                                     {"[::]:80", "0.0.0.0:80"},
                                     {"0.0.0.0:80", "[::ffff:127.0.0.1]:80"}}) {
    EXPECT_THAT(listening_on(wide, narrow), HasSubstr(std::string(" is a part of ") + wide));
    EXPECT_THAT(listening_on(narrow, wide), HasSubstr(std::string(" is a part of ") + wide));
  }
}

TEST(Ports, OfDifferentAddressesDoNot) {
  EXPECT_EQ(listening_on("127.0.0.1:8080", "127.0.0.1:8081"), "");
  EXPECT_EQ(listening_on("127.0.0.1:8080", "127.0.0.2:8080"), "");
  EXPECT_EQ(listening_on("127.0.0.1:8080", "[::1]:8080"), "");
  EXPECT_EQ(listening_on("0.0.0.0:8080", "[::1]:8080"), "");
  EXPECT_EQ(listening_on("127.0.0.1:0", "127.0.0.1:0"), "");
}

TEST(Ports, OfAdminAndListenCollide) {
  EXPECT_EQ(error_of({"--demo", "--listen", "127.0.0.1:80", "--admin", "127.0.0.1:80"}),
            "sluice: --admin: listen (127.0.0.1:80) and admin (127.0.0.1:80) need different ports");
  EXPECT_THAT(error_of({"--demo", "--listen", ":9901"}),
              StartsWith("sluice: --listen: listen ([::]:9901) and admin "));
  EXPECT_TRUE(read({"--demo", "--listen", ":9901", "--admin", "off"}).config);
  EXPECT_TRUE(read({"--demo", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"}).config);
}

TEST(Ports, OfTheFileAreNamedWithTheirPlace) {
  EXPECT_EQ(file_error("listen = [\"127.0.0.1:1\", \"127.0.0.1:1\"]\n"),
            "sluice: FILE:1:26: listen: 127.0.0.1:1 is given twice; once is enough");
}

// --- the log ---

class Log : public testing::Test {
 protected:
  Log() { fs::create_directories(folder_); }
  ~Log() override {
    fs::permissions(folder_, fs::perms::owner_all);
    fs::remove_all(folder_);
  }
  // As somebody who is not root, whom no permissions stop.
  static std::string as_nobody(const std::string& path) {
    int fds[2];
    EXPECT_EQ(pipe(fds), 0);
    pid_t child = fork();
    if (child == 0) {
      if (getuid() == 0 && setuid(65534) != 0) _exit(1);
      std::string wrong = unusable_log(path);
      _exit(write(fds[1], wrong.data(), wrong.size()) == static_cast<ssize_t>(wrong.size()) ? 0
                                                                                            : 1);
    }
    close(fds[1]);
    char text[1000];
    ssize_t size = 0;
    std::string wrong;
    while ((size = ::read(fds[0], text, sizeof text)) > 0)
      wrong.append(text, static_cast<size_t>(size));
    close(fds[0]);
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
    return wrong;
  }

  fs::path folder_ = fs::path(testing::TempDir()) / ("sluice_check_" + std::to_string(getpid()));
};

TEST_F(Log, IsNotMadeByTheCheck) {
  fs::path log = folder_ / "access.log";
  EXPECT_EQ(unusable_log(log), "");
  EXPECT_FALSE(fs::exists(log));
  std::ofstream(log) << "a line\n";
  EXPECT_EQ(unusable_log(log), "");
  EXPECT_EQ(fs::file_size(log), 7U);
  EXPECT_EQ(unusable_log("off"), "");
  EXPECT_EQ(unusable_log("-"), "");
  EXPECT_EQ(unusable_log("/dev/null"), "");
}

TEST_F(Log, IsNoFolderAndHasOne) {
  EXPECT_EQ(unusable_log(folder_), folder_.string() + " is a folder; name a file in it");
  EXPECT_EQ(unusable_log(folder_ / "none" / "access.log"),
            "there is no folder " + (folder_ / "none").string() +
                " (No such file or directory); make it, or name another file");
  EXPECT_EQ(unusable_log(folder_.string() + "/none/"),
            folder_.string() + "/none/ names a folder; name a file in it");
  std::ofstream(folder_ / "file") << "";
  EXPECT_THAT(unusable_log(folder_ / "file" / "access.log"), HasSubstr("(Not a directory)"));
}

TEST_F(Log, IsWritable) {
  fs::path log = folder_ / "access.log";
  std::ofstream(log) << "";
  fs::permissions(log, fs::perms::owner_read);
  EXPECT_THAT(as_nobody(log), HasSubstr("access.log cannot be written to (Permission denied); "));
  constexpr fs::perms kWritable =
      fs::perms::owner_write | fs::perms::group_write | fs::perms::others_write;
  fs::permissions(folder_, fs::perms::all & ~kWritable);
  EXPECT_EQ(as_nobody(folder_ / "other.log"),
            "no file can be made in " + folder_.string() +
                " (Permission denied); let this user write there, or name another file");
}

TEST_F(Log, IsMadeWhereALinkLeads) {
  fs::create_symlink("real.log", folder_ / "link");
  EXPECT_EQ(unusable_log(folder_ / "link"), "");
  fs::create_symlink("none/real.log", folder_ / "astray");
  EXPECT_THAT(unusable_log(folder_ / "astray"),
              HasSubstr("there is no folder " + (folder_ / "none").string()));
  fs::create_symlink("circle", folder_ / "circle");
  EXPECT_THAT(unusable_log(folder_ / "circle"), HasSubstr("cannot be looked at"));
}

TEST_F(Log, IsLookedAtByTheCheckOnly) {
  std::string log = folder_ / "none" / "access.log";
  EXPECT_THAT(error_of({"--check", "--demo", "--access-log", log}),
              StartsWith("sluice: --access-log: there is no folder "));
  EXPECT_TRUE(read({"--demo", "--access-log", log}).config) << "the start itself says so";
}

// --- loops ---

std::vector<std::string> loops_of(const std::string& listen, const std::string& upstream) {
  ConfigResult result = read({"--listen", listen, "--upstream", upstream});
  EXPECT_TRUE(result.config) << result.message;
  return result.warnings;
}

TEST(Loops, AreUpstreamsThatAreOurOwnListeners) {
  EXPECT_THAT(loops_of("127.0.0.1:8080", "http://127.0.0.1:8080"),
              ElementsAre("route /: upstream http://127.0.0.1:8080 is our own --listen "
                          "127.0.0.1:8080, so requests would go round in circles"));
  for (const auto& [listen, upstream] : {std::pair{"0.0.0.0:80", "http://127.0.0.1"},
                                         {"0.0.0.0:80", "http://127.1.2.3"},
                                         {"[::]:80", "http://127.0.0.1"},
                                         {"[::]:80", "http://[::1]"},
                                         {"[::1]:80", "http://[::1]"},
                                         {"127.0.0.1:80", "http://0.0.0.0"},
                                         {"127.0.0.1:80", "http://localhost"},
                                         {"[::1]:80", "http://localhost."},
                                         {"[::]:80", "http://[::]"}})
    EXPECT_EQ(loops_of(listen, upstream).size(), 1U) << listen << ' ' << upstream;
}

TEST(Loops, AreNotUpstreamsElsewhere) {
  for (const auto& [listen, upstream] : {std::pair{"127.0.0.1:80", "http://127.0.0.1:81"},
                                         {"127.0.0.1:80", "http://127.0.0.2"},
                                         {"0.0.0.0:80", "http://192.0.2.1"},
                                         {"0.0.0.0:80", "http://[::1]"},
                                         {"127.0.0.1:80", "http://localhost:81"},
                                         {"127.0.0.1:80", "http://a.test"},
                                         {"127.0.0.1:80", "unix:/run/app.sock"}})
    EXPECT_THAT(loops_of(listen, upstream), IsEmpty()) << listen << ' ' << upstream;
}

TEST(Loops, AreWarnedOfByTheCheckAndDoNotFailIt) {
  ConfigResult result = read({"--check", "--listen", "127.0.0.1:80", "--route",
                              "path=/v1,upstream=http://127.0.0.1:80,upstream=http://192.0.2.1"});
  EXPECT_EQ(result.exit_status, 0);
  EXPECT_THAT(result.message, StartsWith("configuration ok: "));
  EXPECT_THAT(result.warnings, ElementsAre(StartsWith("route /v1: upstream http://127.0.0.1:80 ")));
}

}  // namespace
}  // namespace sluice

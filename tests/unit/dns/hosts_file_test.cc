#include "net/dns/hosts_file.h"

#include <cstdio>
#include <fstream>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> ips(const HostsFile& hosts, std::string_view name, IpFamily family) {
  std::vector<std::string> all;
  const auto* found = hosts.find(name);
  EXPECT_NE(found, nullptr) << name;
  if (found)
    for (const Address& address : (*found)[static_cast<unsigned>(family)])
      all.push_back(address.ip());
  return all;
}

TEST(HostsFile, HasNamesWithAliasesInBothFamilies) {
  HostsFile hosts;
  hosts.read(
      "# a comment\n"
      "127.0.0.5\tapp.test app\t# and one behind\n"
      "  fd00::1 app.test\r\n"
      "127.0.0.6 app.test\n"
      "no-address x.test\n"
      "127.0.0.7\n"
      "127.0.0.8 last.test");
  EXPECT_THAT(ips(hosts, "app.test", IpFamily::kV4), ElementsAre("127.0.0.5", "127.0.0.6"));
  EXPECT_THAT(ips(hosts, "app.test", IpFamily::kV6), ElementsAre("fd00::1"));
  EXPECT_THAT(ips(hosts, "APP.", IpFamily::kV4), ElementsAre("127.0.0.5"));
  EXPECT_THAT(ips(hosts, "app", IpFamily::kV6), IsEmpty()) << "and no other source has some";
  EXPECT_THAT(ips(hosts, "last.test", IpFamily::kV4), ElementsAre("127.0.0.8"));
  EXPECT_EQ(hosts.find("x.test"), nullptr);
  EXPECT_EQ(hosts.find("test"), nullptr);
}

TEST(HostsFile, LocalhostIsThereEvenIfItDoesNotStandThere) {
  HostsFile hosts;
  hosts.read("");
  EXPECT_THAT(ips(hosts, "localhost", IpFamily::kV4), ElementsAre("127.0.0.1"));
  EXPECT_THAT(ips(hosts, "localhost.", IpFamily::kV6), ElementsAre("::1"));
  hosts.read("127.0.0.9 localhost\n::2 localhost\n");
  EXPECT_THAT(ips(hosts, "localhost", IpFamily::kV4), ElementsAre("127.0.0.9"));
  EXPECT_THAT(ips(hosts, "localhost", IpFamily::kV6), ElementsAre("::2"));
}

class HostsFileOnDisk : public testing::Test {
 protected:
  ~HostsFileOnDisk() override { std::remove(path_.c_str()); }
  void write(std::string_view text) const { std::ofstream(path_) << text; }

  std::string path_ = testing::TempDir() + "sluice-hosts-test";
  HostsFile hosts_{path_.c_str()};
};

TEST_F(HostsFileOnDisk, IsReadAgainWhenItHasChanged) {
  hosts_.read_if_changed();
  EXPECT_EQ(hosts_.find("app.test"), nullptr);
  write("127.0.0.5 app.test\n");
  hosts_.read_if_changed();
  EXPECT_THAT(ips(hosts_, "app.test", IpFamily::kV4), ElementsAre("127.0.0.5"));
  write("127.0.0.66 app.test\n");
  hosts_.read_if_changed();
  EXPECT_THAT(ips(hosts_, "app.test", IpFamily::kV4), ElementsAre("127.0.0.66"));
}

TEST_F(HostsFileOnDisk, WhatCannotBeReadChangesNothing) {
  write("127.0.0.5 app.test\n");
  hosts_.read_if_changed();
  write("");  // about to be written
  hosts_.read_if_changed();
  EXPECT_NE(hosts_.find("app.test"), nullptr);
  std::remove(path_.c_str());
  hosts_.read_if_changed();
  EXPECT_NE(hosts_.find("app.test"), nullptr);
  mkdir(path_.c_str(), 0700);
  hosts_.read_if_changed();
  EXPECT_NE(hosts_.find("app.test"), nullptr);
}

}  // namespace
}  // namespace sluice

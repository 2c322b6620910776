#include <gmock/gmock.h>

#include "net/config/values.h"
#include "tests/unit/config/config_support.h"

namespace sluice {
namespace {

using testing::HasSubstr;

ListenOptions options_of(std::string_view text) {
  std::string wrong;
  std::optional<Listen> listen = parse_listen(text, &wrong);
  EXPECT_TRUE(listen) << wrong;
  return listen ? listen->options : ListenOptions{};
}

std::string wrong_with(std::string_view text) {
  std::string wrong;
  EXPECT_FALSE(parse_listen(text, &wrong)) << text;
  return wrong;
}

TEST(Listen, HasOptionsBehindItsAddress) {
  EXPECT_EQ(options_of("127.0.0.1:80"), ListenOptions{});
  EXPECT_EQ(options_of("https://127.0.0.1:443"), ListenOptions{.tls = true});
  EXPECT_EQ(options_of("https://127.0.0.1:443;proxy-protocol"),
            (ListenOptions{.tls = true, .proxy_protocol = true}));
  EXPECT_EQ(options_of(":80;redirect=https"), ListenOptions{.redirect_port = 443});
  EXPECT_EQ(options_of("http://[::1]:80;redirect=https:8443;proxy-protocol"),
            (ListenOptions{.proxy_protocol = true, .redirect_port = 8443}));
}

TEST(Listen, SaysWhatIsWrongWithAnOption) {
  EXPECT_EQ(wrong_with(":80;weight=3"),
            "'weight=3' is no option of a listener: proxy-protocol or redirect=https[:PORT]");
  EXPECT_THAT(wrong_with(":80;"), HasSubstr("'' is no option"));
  EXPECT_THAT(wrong_with(":80;proxy-protocol=on"), HasSubstr("no option"));
  EXPECT_EQ(wrong_with("https://:443;redirect=https"),
            "an https listener has no redirect to https");
  for (const char* text : {":80;redirect=", ":80;redirect=http", ":80;redirect=httpsx"})
    EXPECT_THAT(wrong_with(text), HasSubstr("is not https or https:PORT"));
  EXPECT_THAT(wrong_with(":80;redirect=https:0"), HasSubstr("out of bounds"));
  EXPECT_THAT(wrong_with(":80;redirect=https:65536"), HasSubstr("out of bounds"));
  EXPECT_THAT(wrong_with(":80;redirect=https:"), HasSubstr("is not a number"));
  EXPECT_NE(wrong_with("nowhere;proxy-protocol"), "");
}

// A reload that changes an option makes another listener.
TEST(Listen, IsAnotherOneWithOtherOptions) {
  std::string wrong;
  auto identity = [&wrong](std::string_view text) {
    return parse_listen(text, &wrong)->identity();
  };
  EXPECT_EQ(identity("http://127.0.0.1:80"), identity("127.0.0.1:80"));
  EXPECT_NE(identity("127.0.0.1:80;proxy-protocol"), identity("127.0.0.1:80"));
  EXPECT_NE(identity("127.0.0.1:80;redirect=https"), identity("127.0.0.1:80"));
  EXPECT_NE(identity("127.0.0.1:80;redirect=https:1"), identity("127.0.0.1:80;redirect=https:2"));
  EXPECT_NE(identity("https://127.0.0.1:80"), identity("127.0.0.1:80"));
}

TEST(Listen, OptionsStandInFlags) {
  ConfigResult result =
      read({"--demo", "--listen", "127.0.0.1:80;redirect=https,127.0.0.1:81;proxy-protocol"});
  ASSERT_TRUE(result.config) << result.message;
  EXPECT_EQ(result.config->listen[0].options, ListenOptions{.redirect_port = 443});
  EXPECT_EQ(result.config->listen[1].options, ListenOptions{.proxy_protocol = true});
}

}  // namespace
}  // namespace sluice

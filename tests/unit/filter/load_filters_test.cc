// Filters from a file to what runs, and what is said of those that are wrong: the place, the
// filter, the key.
#include "net/filter/load_filters.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "net/filter/filters.h"
#include "net/http1/parser.h"
#include "tests/unit/config/config_support.h"

namespace sluice::test {
namespace {

struct NoBody final : BodySink {
  void on_body(std::string_view) override { ADD_FAILURE(); }
};

struct Loaded {
  ConfigResult read;
  std::string wrong;
  std::vector<std::string> warnings;
};

Loaded load(const std::string& toml, const std::vector<std::string>& flags = {}) {
  TomlFile file("upstream = \"http://127.0.0.1:1\"\n" + toml);
  std::vector<const char*> argv{"sluice", "--config", file.path().c_str()};
  for (const std::string& flag : flags) argv.push_back(flag.c_str());
  Loaded loaded;
  loaded.read = read_config(static_cast<int>(argv.size()), argv.data(),
                            [](Config& config, std::vector<std::string>& warnings) {
                              return load_filters(config, warnings);
                            });
  std::string& message = loaded.read.message;
  for (size_t at = 0; (at = message.find(file.path())) != message.npos;)
    message.replace(at, file.path().size(), "FILE");
  loaded.warnings = loaded.read.warnings;
  for (std::string& warning : loaded.warnings) warning.erase(0, warning.rfind(".toml") + 5);
  return loaded;
}

std::string run(const Config& config, std::string_view event) {
  const Route& route = config.routes.front();
  FilterBench bench(0, 4096, [] { return uint64_t{0}; });
  bench.rules = config.filters;
  Filters::Result result = route.filters->run(bench, route.filters->choose_all(), event, false,
                                              false, route.settings.on_invalid);
  return std::string(result.changed ? result.text : event);
}

std::string run(const std::string& toml, std::string_view event) {
  Loaded loaded = load("filters = [\"a\"]\n" + toml);
  EXPECT_TRUE(loaded.read.config) << loaded.read.message;
  return loaded.read.config ? run(*loaded.read.config, event) : "";
}

TEST(LoadFilters, EveryMatch) {
  constexpr std::string_view kEvent = "event: e\nid: 1\ndata: {\"a\":[\"x\",2.5,true]}\n\n";
  auto drops = [&](const std::string& match) {
    return run("[[filter]]\nname = \"a\"\nmatch = { " + match +
                   " }\nactions = [ { drop = true } ]\n",
               kEvent)
        .empty();
  };
  EXPECT_TRUE(drops(R"(event = "e")"));
  EXPECT_TRUE(drops(R"(event = ["d", "e"])"));
  EXPECT_FALSE(drops(R"(event = "f")"));
  EXPECT_TRUE(drops(R"(id = "1")"));
  EXPECT_FALSE(drops(R"(id = "2")"));
  EXPECT_TRUE(drops(R"(data = '{"a":["x",2.5,true]}')"));
  EXPECT_TRUE(drops(R"(json = { pointer = "/a/0" })"));
  EXPECT_TRUE(drops(R"(json = { pointer = "/b", exists = false })"));
  EXPECT_TRUE(drops(R"(json = { pointer = "/a/0", equals = "x" })"));
  EXPECT_TRUE(drops(R"(json = { pointer = "/a/1", equals = 2.5 })"));
  EXPECT_TRUE(drops(R"(json = { pointer = "/a/2", equals = true })"));
  EXPECT_TRUE(drops(R"(json = [ { pointer = "/a" }, { pointer = "/a/0", matches = "^.$" } ])"));
  EXPECT_FALSE(drops(R"(json = [ { pointer = "/a" }, { pointer = "/a/0", matches = "^..$" } ])"));
  EXPECT_FALSE(drops(R"(event = "e", id = "2")"));
}

TEST(LoadFilters, EveryAction) {
  auto made = [&](const std::string& actions) {
    return run("[[filter]]\nname = \"a\"\nactions = [ " + actions + " ]\n",
               "data: {\"a\":\"x\"}\n\n");
  };
  EXPECT_EQ(made("{ drop = true }"), "");
  EXPECT_EQ(made(R"({ set = "/a", value = "é\"" })"), "data: {\"a\":\"é\\\"\"}\n\n");
  EXPECT_EQ(made(R"({ set = "/a", value = { b = [1, 0.1, false, "c"] } })"),
            "data: {\"a\":{\"b\":[1,0.1,false,\"c\"]}}\n\n");
  EXPECT_EQ(made(R"({ remove = "/a" })"), "data: {}\n\n");
  EXPECT_EQ(made(R"({ rename = "/a", to = "b" })"), "data: {\"b\":\"x\"}\n\n");
  EXPECT_EQ(made(R"({ redact = "x", with = "y" })"), "data: {\"a\":\"y\"}\n\n");
  EXPECT_EQ(made(R"({ redact = "x", with = "y", in = "/b" })"), "data: {\"a\":\"x\"}\n\n");
  EXPECT_EQ(made(R"({ data = "1\n2" })"), "data: 1\ndata: 2\n\n");
  EXPECT_EQ(made(R"({ event = "e" })"), "event: e\ndata: {\"a\":\"x\"}\n\n");
  EXPECT_EQ(made(R"({ add-before = { event = "e", data = "1" } }, { drop = true })"),
            "event: e\ndata: 1\n\n");
  EXPECT_EQ(made(R"({ add-after = { data = "1" } }, { drop = true })"), "data: 1\n\n");
  EXPECT_EQ(made(R"({ end = { data = "1" } }, { drop = true })"), "data: 1\n\n");
  EXPECT_EQ(made("{ end = true }, { drop = true }"), "");
}

TEST(LoadFilters, ARouteHasThoseItNamesInItsOrder) {
  constexpr const char* kFile = R"(
[[filter]]
name = "one"
actions = [ { add-before = { data = "1" } } ]
[[filter]]
name = "two"
actions = [ { add-before = { data = "2" } } ]
)";
  Loaded both = load(kFile, {"--filters", "two,one"});
  ASSERT_TRUE(both.read.config) << both.read.message;
  EXPECT_EQ(run(*both.read.config, "data\n\n"), "data: 2\n\ndata: 1\n\ndata\n\n");
  Loaded one = load(kFile, {"--filters", "one"});
  ASSERT_TRUE(one.read.config) << one.read.message;
  EXPECT_EQ(run(*one.read.config, "data\n\n"), "data: 1\n\ndata\n\n");
  EXPECT_EQ(one.warnings,
            std::vector<std::string>{":6:1: no route names filter two: filters = [\"two\"]"});
  EXPECT_FALSE(load(kFile).read.config->routes.front().filters);
}

Filters::Chosen choose(const Loaded& loaded, const std::string& request) {
  Http1Parser parser(Http1Parser::Role::kRequest, {16384, 100});
  Head head;
  NoBody body;
  parser.begin(&head);
  EXPECT_EQ(parser.feed(request + "\r\n", body).event, Http1Parser::Event::kHead);
  return loaded.read.config->routes.front().filters->choose(head, head.target(), 0);
}

// A search that would take too long is not begun: the filter then looks at the events.
TEST(LoadFilters, AFieldTooLongForItsExpressionCountsAsFound) {
  Loaded loaded = load(R"(
filters = ["a", "b"]
[[filter]]
name = "a"
match = { field = { name = "x-a", matches = '(\w{1,900}) (\w{1,900})' } }
actions = [ { drop = true } ]
[[filter]]
name = "b"
match = { field = { name = "x-a", matches = "b" } }
actions = [ { drop = true } ]
)");
  ASSERT_TRUE(loaded.read.config) << loaded.read.message;
  auto chosen = [&](size_t bytes) {
    return choose(loaded, "GET / HTTP/1.1\r\nHost: a\r\nX-A: " + std::string(bytes, 'a') + "\r\n");
  };
  EXPECT_EQ(chosen(100), 0U);
  EXPECT_EQ(chosen(10'000), 0b01U);
}

TEST(LoadFilters, ChoosesByTheRequest) {
  Loaded loaded = load(R"(
filters = ["a", "b", "c", "d"]
[[filter]]
name = "a"
match = { method = ["POST", "PUT"] }
actions = [ { drop = true } ]
[[filter]]
name = "b"
match = { path = ["/v1", "/w/"] }
actions = [ { drop = true } ]
[[filter]]
name = "c"
match = { field = [ { name = "X-A", equals = "1" }, { name = "x-b", matches = "^u" } ] }
actions = [ { drop = true } ]
[[filter]]
name = "d"
match = { field = { name = "x-a", exists = false } }
actions = [ { drop = true } ]
)");
  ASSERT_TRUE(loaded.read.config) << loaded.read.message;
  auto chosen = [&](const std::string& request) { return choose(loaded, request); };
  EXPECT_EQ(chosen("POST /v1?x HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nX-B: user\r\n"), 0b0111U);
  EXPECT_EQ(chosen("GET /v10 HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nX-B: super\r\n"), 0U);
  EXPECT_EQ(chosen("GET /v1/x HTTP/1.1\r\nHost: a\r\n"), 0b1010U);
  EXPECT_EQ(chosen("GET /w/x HTTP/1.1\r\nHost: a\r\n"), 0b1010U);
  EXPECT_EQ(chosen("GET /w HTTP/1.1\r\nHost: a\r\n"), 0b1000U);
}

TEST(LoadFilters, ScriptsStandAmongThemAndTheirPathsAreBesideTheFile) {
  Loaded loaded = load(
      "filters = [\"b\", \"a\", \"c\"]\n[[filter]]\nname = \"a\"\nscript = \"x/a.lua\"\n"
      "[[filter]]\nname = \"b\"\nactions = [ { drop = true } ]\n"
      "[[filter]]\nname = \"c\"\nscript = \"/x/c.lua\"\n");
  ASSERT_TRUE(loaded.read.config) << loaded.read.message;
  const std::string& script = loaded.read.config->filters[0].script;
  EXPECT_TRUE(script.starts_with('/') && script.ends_with("/x/a.lua")) << script;
  EXPECT_EQ(loaded.read.config->filters[2].script, "/x/c.lua");
  const Filters& filters = *loaded.read.config->routes.front().filters;
  EXPECT_EQ(filters.scripts(), 0b110U);
  EXPECT_EQ(filters.place_of(1), 0U);
}

TEST(LoadFilters, SayWhatIsWrongAndWhere) {
  auto wrong = [](const std::string& toml) { return load(toml).read.message; };
  auto in_filter = [&](const std::string& rest) {
    return wrong("[[filter]]\nname = \"a\"\n" + rest);
  };
  EXPECT_EQ(wrong("filter = 1\n"), "sluice: FILE:2:10: a filter is a table of its own: [[filter]]");
  EXPECT_EQ(wrong("[[filter]]\nactions = []\n"),
            "sluice: FILE:2:1: filter: a filter needs a name: name = \"pii\"");
  EXPECT_EQ(in_filter(""),
            "sluice: FILE:2:1: filter a: a filter needs actions: actions = [ { drop = true } ], or "
            "a script");
  EXPECT_EQ(in_filter("script = \"a.lua\"\nmatch = { event = \"x\" }\n"),
            "sluice: FILE:4:10: filter a: script: a filter is a script, or a rule with match and "
            "actions");
  EXPECT_EQ(in_filter("script = \"\"\n"),
            "sluice: FILE:4:10: filter a: script: names a file: script = \"NAME.lua\"");
  EXPECT_EQ(in_filter("script = 1\n"), "sluice: FILE:4:10: filter a: script: is a string");
  EXPECT_EQ(in_filter("action = 1\n"),
            "sluice: FILE:4:10: filter a: no key 'action'; did you mean actions?");
  EXPECT_EQ(in_filter("match = { evnt = \"x\" }\nactions = [ { drop = true } ]\n"),
            "sluice: FILE:4:18: filter a: match: no key 'evnt'; did you mean event?");
  EXPECT_EQ(in_filter("match = { json = { equals = 1 } }\n"),
            "sluice: FILE:4:18: filter a: match.json: json: needs a pointer");
  EXPECT_EQ(in_filter("match = { json = { pointer = \"/a\", equals = 1, exists = true } }\n"),
            "sluice: FILE:4:18: filter a: match.json: json: asks one thing: exists, equals or "
            "matches");
  EXPECT_EQ(in_filter("match = { json = { pointer = \"a\" } }\nactions = [ { drop = true } ]\n"),
            "sluice: FILE:4:18: filter a: match.json: 'a' is no JSON pointer: "
            "\"/choices/0/delta\"");
  EXPECT_EQ(in_filter("match = { field = { name = \"x user\" } }\n"),
            "sluice: FILE:4:28: filter a: match.field: name: 'x user' is no name of a field");
  EXPECT_EQ(in_filter("actions = [ { drip = true } ]\n"),
            "sluice: FILE:4:22: filter a: actions: no key 'drip'; did you mean drop?");
  EXPECT_EQ(in_filter("actions = [ { } ]\n"),
            "sluice: FILE:4:13: filter a: actions: names no action");
  EXPECT_EQ(in_filter("actions = [ { drop = true, end = true } ]\n"),
            "sluice: FILE:4:13: filter a: actions: drop and end are two actions; give each a "
            "table of its own");
  EXPECT_EQ(in_filter("actions = [ { set = \"/a\" } ]\n"),
            "sluice: FILE:4:21: filter a: actions: set: needs value beside it");
  EXPECT_EQ(in_filter("actions = [ { set = \"/a\", value = 2020-01-01 } ]\n"),
            "sluice: FILE:4:35: filter a: actions: value: JSON has no such value");
  EXPECT_EQ(in_filter("actions = [ { redact = \"(\", with = \"\" } ]\n"),
            "sluice: FILE:4:24: filter a: actions: redact: '(' is no regular expression: missing "
            "): (");
  EXPECT_EQ(in_filter("actions = [ { event = \"a\\nb\" } ]\n"),
            "sluice: FILE:4:23: filter a: actions: event: is one line");
  EXPECT_EQ(in_filter("actions = [ { add-after = { id = \"1\" } } ]\n"),
            "sluice: FILE:4:34: filter a: actions: add-after: no key 'id'; known are event, data");
  EXPECT_EQ(in_filter("actions = [ { drop = true } ]\n[[filter]]\nname = \"a\"\n"
                      "actions = [ { drop = true } ]\n"),
            "sluice: FILE:5:1: filter a is already there, at FILE:2:1");
  EXPECT_EQ(
      wrong("filters = [\"pi\"]\n[[filter]]\nname = \"pii\"\nactions = [ { drop = true } ]\n"),
      "sluice: FILE:2:12: filters: no [[filter]] of the file is called 'pi'; did you mean "
      "pii?");
  EXPECT_EQ(wrong("filters = \"a\"\nframing = \"line\"\n"),
            "sluice: FILE:3:11: framing: filters look at whole events, so they need framing event");
}

}  // namespace
}  // namespace sluice::test

// Any text as a configuration: a file, routes of a command line, a whole command line, a single
// value. It is taken, or refused in one line that names where. What is taken is sound, and a file
// that says the same is read as the same.
#include <algorithm>
#include <charconv>
#include <netdb.h>
#include <optional>
#include <string>
#include <string_view>
#include <sys/mman.h>
#include <sys/un.h>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "core/units.h"
#include "net/config/config.h"
#include "net/config/snapshot.h"
#include "net/config/values.h"
#include "net/http/target.h"
#include "tests/fuzz/config_tables.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/unit/config/config_support.h"

using namespace sluice;
using namespace sluice::test;

// No question about a name leaves this process: only addresses are understood.
extern "C" decltype(getaddrinfo) __real_getaddrinfo;
extern "C" int __wrap_getaddrinfo(const char* node, const char* service, const addrinfo* hints,
                                  addrinfo** found) {
  addrinfo numeric = *hints;
  numeric.ai_flags |= AI_NUMERICHOST;
  return __real_getaddrinfo(node, service, &numeric, found);
}

namespace {

class MemoryFile {
 public:
  MemoryFile()
      : fd_(memfd_create("config", MFD_CLOEXEC)), path_("/proc/self/fd/" + std::to_string(fd_)) {}
  ~MemoryFile() { close(fd_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  // The path of a file with this text, until the next call.
  const std::string& holding(std::string_view text) {
    EXPECT_EQ(ftruncate(fd_, 0), 0);
    EXPECT_EQ(pwrite(fd_, text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
    return path_;
  }

 private:
  int fd_;
  std::string path_;
};

const std::string& file_holding(std::string_view text) {
  static MemoryFile file;
  return file.holding(text);
}

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

// --- what is refused ---

// The message without "sluice: "; one line, and no byte in it that a terminal would act on.
std::string_view refusal_of(const ConfigResult& result) {
  constexpr std::string_view kProgram = "sluice: ";
  EXPECT_EQ(result.exit_status, 2);
  EXPECT_TRUE(result.message.starts_with(kProgram));
  EXPECT_TRUE(std::ranges::none_of(result.message, [](char c) {
    return static_cast<unsigned char>(c) < ' ' || c == 0x7f;
  })) << ::testing::PrintToString(result.message);
  return std::string_view(result.message).substr(std::min(kProgram.size(), result.message.size()));
}

// What is missing has no place.
bool names_what_is_missing(std::string_view refusal) {
  return refusal.starts_with("nowhere to send requests: ");
}

// Takes a number and the colon behind it from the front; 0 where there is none.
size_t take_number(std::string_view* text) {
  size_t number = 0;
  const char* end = text->data() + text->size();
  const auto [stop, error] = std::from_chars(text->data(), end, number);
  if (error != std::errc{} || stop == end || *stop != ':') return 0;
  text->remove_prefix(static_cast<size_t>(stop - text->data()) + 1);
  return number;
}

// "FILE:LINE:COLUMN: what", of a line that there is.
void expect_place_in_file(std::string_view refusal, const std::string& path,
                          std::string_view text) {
  SCOPED_TRACE(refusal);
  EXPECT_TRUE(refusal.starts_with(path + ":"));
  refusal.remove_prefix(std::min(path.size() + 1, refusal.size()));
  const size_t line = take_number(&refusal);
  const size_t column = take_number(&refusal);
  EXPECT_GE(line, 1U);
  EXPECT_LE(line, static_cast<size_t>(std::ranges::count(text, '\n')) + 1);
  EXPECT_GE(column, 1U);
  EXPECT_TRUE(refusal.starts_with(' ') && refusal.size() > 1);
}

// --- what is taken ---

void expect_reads_back(const Address& address) {
  if (address.is_unix()) return;
  std::string error;
  const auto again = parse_address(address.text(), &error);
  EXPECT_TRUE(again) << error;
  if (!again) return;
  EXPECT_EQ(again->text(), address.text());
}

void expect_reads_back(const AddressRange& range) {
  EXPECT_TRUE(range.contains(range.base));
}

void expect_sound(const Upstream& upstream) {
  // It is the Host of a request that has none.
  EXPECT_TRUE(is_authority(upstream.host, Port::kOptional))
      << ::testing::PrintToString(upstream.host);
  EXPECT_NE(upstream.address.size == 0, upstream.name.empty());
  if (upstream.name.empty())
    expect_reads_back(upstream.address);
  else
    EXPECT_TRUE(is_host_name(upstream.name) && upstream.port != 0);
  const std::string path = upstream.url.substr(upstream.url.find(':') + 1);
  if (!upstream.address.is_unix() || path.starts_with('@')) return;
  // What the kernel takes for the path is all of it.
  const auto& un = reinterpret_cast<const sockaddr_un&>(upstream.address.storage);
  EXPECT_EQ(un.sun_path, path) << ::testing::PrintToString(upstream.url);
}

bool takes(const Route& route, const std::string& path) {
  return path == route.path || path.starts_with(route.path + "/") ||
         path.starts_with(route.path + "?") ||
         (route.path.ends_with('/') && path.starts_with(route.path));
}

void expect_longest_route(const ConfigSnapshot& snapshot, const std::string& path) {
  const Route* longest = nullptr;
  for (const Route& route : snapshot.routes()) {
    if (takes(route, path) && (!longest || route.path.size() > longest->path.size()))
      longest = &route;
  }
  EXPECT_EQ(snapshot.find_route(path), longest) << path;
}

void expect_sound(const StreamSettings& settings) {
  EXPECT_LE(settings.buffer_size, settings.buffer_size_max);
  EXPECT_LE(settings.buffer_size, settings.event_hold);
  EXPECT_TRUE(settings.health.empty() || settings.health.starts_with('/'));
  EXPECT_EQ(settings.health.find_first_of(" \r\n"), std::string::npos) << "one request line";
  StatusRanges again;
  EXPECT_EQ(parse_status_ranges(settings.health_status.text(), &again), "");
  EXPECT_EQ(again, settings.health_status);
}

void expect_sound(const Config& config) {
  EXPECT_FALSE(config.listen.empty());
  for (const Address& address : config.listen) expect_reads_back(address);
  if (config.admin_on) expect_reads_back(config.admin);
  for (const AddressRange& range : config.trusted_proxies) expect_reads_back(range);
  expect_sound(config.defaults);
  EXPECT_FALSE(config.routes.empty());
  const ConfigSnapshot snapshot(config);
  for (const Route& route : config.routes) {
    if (!route.feeds.hub.empty()) {  // a source's, which no request finds
      EXPECT_FALSE(route.path.starts_with('/'));
      continue;
    }
    EXPECT_TRUE(route.path.starts_with('/'));
    EXPECT_TRUE(!route.upstreams.empty() || (config.demo && route.path == "/"));
    EXPECT_EQ(std::ranges::count(config.routes, route.path, &Route::path), 1);
    expect_sound(route.settings);
    if (route.hub.empty())  // it is in the place of an upstream
      for (const Upstream& upstream : route.upstreams) expect_sound(upstream);
    for (const char* more : {"", "/", "/x", "?x", "x"})
      expect_longest_route(snapshot, route.path + more);
    expect_longest_route(snapshot, route.path.substr(0, route.path.size() - 1));
  }
}

// A file that says what the tables say is read as them, and is taken, too.
void expect_reads_back(const Tables& tables, const Config& config, std::vector<std::string> flags) {
  const std::string toml = toml_of(tables);
  SCOPED_TRACE(toml);
  flags.insert(flags.end(), {"--config", file_holding(toml)});
  const ConfigResult again = sluice::read(flags);
  EXPECT_TRUE(again.config) << again.message;
  if (!again.config) return;
  EXPECT_EQ(tables_of(read_file(flags.back())), tables);
  EXPECT_EQ(paths(*again.config), paths(config));
  for (size_t i = 0; i < config.routes.size(); ++i)
    EXPECT_EQ(urls(again.config->routes[i]), urls(config.routes[i]));
}

// --- the ways in ---

void check_file(std::string_view text, std::vector<std::string> flags) {
  const std::vector<std::string> others = flags;
  flags.insert(flags.end(), {"--config", file_holding(text)});
  Tables tables;
  try {
    tables = tables_of(read_file(flags.back()));
  } catch (const ConfigError& error) {  // most end here, without the cost of a command line
    expect_place_in_file(error.what(), flags.back(), text);
    return;
  }
  const ConfigResult result = sluice::read(flags);
  if (!result.config) {
    const std::string_view refusal = refusal_of(result);
    if (!names_what_is_missing(refusal)) expect_place_in_file(refusal, flags.back(), text);
    return;
  }
  expect_sound(*result.config);
  expect_reads_back(tables, *result.config, others);
}

// A route in each line.
void check_routes(std::string_view text, std::vector<std::string> flags) {
  const std::vector<std::string> others = flags;
  for (const std::string& line : lines_of(text)) flags.push_back("--route=" + line);
  const ConfigResult result = sluice::read(flags);
  if (!result.config) {
    const std::string_view refusal = refusal_of(result);
    EXPECT_TRUE(refusal.starts_with("--route") || names_what_is_missing(refusal)) << refusal;
    return;
  }
  expect_sound(*result.config);
  // A file is UTF-8, a command line any bytes.
  if (std::ranges::any_of(text, [](char c) { return c < 0; })) return;
  std::vector<const char*> argv{"sluice"};
  for (const std::string& flag : flags) argv.push_back(flag.c_str());
  Tables tables = tables_of(read_flags(static_cast<int>(argv.size()), argv.data()));
  tables.process.erase("demo");
  expect_reads_back(tables, *result.config, others);
}

// An argument in each line.
void check_arguments(std::string_view text) {
  std::vector<std::string> arguments = lines_of(text);
  // It would read any path.
  std::erase_if(arguments,
                [](const std::string& argument) { return argument.starts_with("--config"); });
  const ConfigResult result = sluice::read(arguments);
  if (result.config) {
    expect_sound(*result.config);
  } else if (result.exit_status == 0) {
    EXPECT_FALSE(result.message.empty());
  } else {
    const std::string_view refusal = refusal_of(result);
    EXPECT_NE(refusal.find(": "), refusal.npos) << refusal;
  }
}

using Parse = std::optional<uint64_t> (*)(std::string_view);
using Format = std::string (*)(uint64_t);

// What is printed is the shortest text of that value.
void check_number(std::string_view text, Parse parse, Format format) {
  const std::optional<uint64_t> value = parse(text);
  if (!value) return;
  EXPECT_EQ(parse(format(*value)), value) << format(*value);
  EXPECT_LE(format(*value).size(), text.size()) << format(*value);
}

void check_value(std::string_view text) {
  check_number(text, parse_size, format_size);
  check_number(text, parse_duration_ms, format_duration_ms);
  check_number(text, parse_duration_us, format_duration_us);
  std::string error;
  if (const auto address = parse_address(text, &error)) {
    expect_reads_back(*address);
  } else {
    EXPECT_NE(error, "");
  }
  error.clear();
  if (const auto range = parse_address_range(text, &error)) {
    expect_reads_back(*range);
  } else {
    EXPECT_NE(error, "");
  }
  Upstream upstream;
  if (parse_upstream(text, &upstream).empty()) expect_sound(upstream);
  PoolSettings pool{};
  if (!parse_pool(text, &pool).empty()) return;
  EXPECT_EQ(parse_pool(format_size(pool.slot_bytes) + ":" + std::to_string(pool.slots), &pool), "");
}

}  // namespace

// The first byte is the way in and whether there is a demo, so that nothing has to be named: "0" to
// "3" without, "4" to "7" with one.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  FuzzInput input(data, size);
  const uint8_t options = input.byte();
  const std::string_view text = input.rest();
  std::vector<std::string> flags;
  if ((options & 4) != 0) flags.emplace_back("--demo");
  switch (options & 3) {
    case 0:
      check_file(text, flags);
      break;
    case 1:
      check_routes(text, flags);
      break;
    case 2:
      check_arguments(text);
      break;
    default:
      check_value(text);
  }
  return 0;
}

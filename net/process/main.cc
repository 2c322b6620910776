#include <cstdio>
#include <exception>
#include <utility>

#include "net/config/config.h"
#include "net/process/server.h"

int main(int argc, char** argv) {
  sluice::ConfigResult read = sluice::read_config(argc, argv);
  bool warns = !read.config || read.config->log_level <= sluice::LogLevel::kWarn;
  for (const std::string& warning : read.warnings)
    if (warns) sluice::print_message(warning);
  if (!read.config) {
    (void)std::fprintf(read.exit_status == 0 ? stdout : stderr, "%s\n", read.message.c_str());
    return read.exit_status;
  }
  try {
    auto read_again = [argc, argv] { return sluice::read_config(argc, argv); };
    return sluice::Server(std::move(read.config), read_again).run();
  } catch (const std::exception& error) {  // no memory, no thread: at start, before any traffic
    (void)std::fprintf(stderr, "sluice: cannot start: %s\n", error.what());
    return 1;
  }
}

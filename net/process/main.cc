#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <utility>

#include "net/config/config.h"
#include "net/filter/load_filters.h"
#include "net/process/filter_test.h"
#include "net/process/server.h"
#include "net/script/load_scripts.h"
#include "net/tls/load_tls.h"
#include "net/tls/wiped_free.h"

int main(int argc, char** argv) {
  (void)sluice::install_wiping_free();  // where it cannot be, TLS records are not lean
  // Beyond reloads: sessions are resumed after one, too.
  auto ticket_keys = std::make_shared<sluice::TicketKeys>();
  auto tls_clients = std::make_shared<sluice::TlsClients>();
  auto read_config = [argc, argv, ticket_keys, tls_clients] {
    return sluice::read_config(argc, argv, [&](sluice::Config& config, auto& warnings) {
      std::string wrong = sluice::load_tls(config, ticket_keys, *tls_clients, warnings);
      if (wrong.empty()) wrong = sluice::load_filters(config, warnings);
      return wrong.empty() ? sluice::load_scripts(config) : wrong;
    });
  };
  sluice::ConfigResult read = read_config();
  bool warns = !read.config || read.config->log_level <= sluice::LogLevel::kWarn;
  for (const std::string& warning : read.warnings)
    if (warns) sluice::print_message(warning);
  if (!read.config) {
    (void)std::fprintf(read.exit_status == 0 ? stdout : stderr, "%s\n", read.message.c_str());
    return read.exit_status;
  }
  if (read.config->filter_test) return sluice::run_filter_test(*read.config);
  try {
    auto read_certificates = [ticket_keys](sluice::Config& config, auto& warnings) {
      return sluice::load_tls_server(config, ticket_keys, warnings);
    };
    return sluice::Server(std::move(read.config), read_config, read_certificates).run();
  } catch (const std::exception& error) {  // no memory, no thread: at start, before any traffic
    (void)std::fprintf(stderr, "sluice: cannot start: %s\n", error.what());
    return 1;
  }
}

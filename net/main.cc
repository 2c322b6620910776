#include <cstdio>
#include <utility>

#include "net/config.h"
#include "net/server.h"

int main(int argc, char** argv) {
  sluice::ConfigResult read = sluice::read_config(argc, argv);
  if (!read.config) {
    std::fprintf(read.exit_status == 0 ? stdout : stderr, "%s\n", read.message.c_str());
    return read.exit_status;
  }
  return sluice::Server(std::move(read.config)).run();
}

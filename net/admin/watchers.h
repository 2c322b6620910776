// Those who watch events live: GET /tap. Each has a tap at every worker whose streams it watches,
// and looks for new events twenty times a second, so that workers wake nobody. A watcher that reads
// slowly is not looked after meanwhile; what its taps have no room for is dropped, and it is told
// how much. Owned by the admin port, used on its server's thread. A watcher lives as long as its
// response.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "net/base/limits.h"
#include "net/config/snapshot.h"
#include "net/gateway/worker.h"
#include "net/httpd/httpd.h"

namespace sluice {

class Watchers {
 public:
  using Workers = std::vector<std::unique_ptr<Worker>>;

  // `snapshot` is the admin port's, which a reload replaces.
  // No more of them than half of `connections_max`, so that others reach the port.
  Watchers(Httpd& server, Workers& workers, const std::shared_ptr<const ConfigSnapshot>& snapshot,
           std::chrono::milliseconds answer_within, size_t connections_max)
      : server_(server),
        workers_(workers),
        snapshot_(snapshot),
        answer_within_(answer_within),
        most_(std::min(limits::kTapsMax, connections_max / 2)) {}

  void add(const HttpdRequest& request, const HttpdResponder& responder);
  uint64_t count() const { return *count_; }

 private:
  struct Watcher;

  void ask(size_t worker, const std::shared_ptr<Watcher>& watcher, std::shared_ptr<Tap> tap);
  void on_answer(const std::shared_ptr<Watcher>& watcher, TapAnswer answer) const;
  void look(const std::shared_ptr<Watcher>& watcher) const;

  Httpd& server_;
  Workers& workers_;
  const std::shared_ptr<const ConfigSnapshot>& snapshot_;
  const std::chrono::milliseconds answer_within_;
  const size_t most_;
  std::shared_ptr<uint64_t> count_ = std::make_shared<uint64_t>(0);
};

}  // namespace sluice

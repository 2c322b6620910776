// One question that the admin port asks of all workers, without waiting for any. Each worker gets a
// message and sends its answer back; the last answer (or the time-out) completes the responses on
// the server's thread. Requests that come meanwhile share the round. Owned by the admin port, used
// on its server's thread. A worker that hangs holds one message of ours, however often we ask; once
// it goes on, that message answers the round of that time. The server outlives the workers'
// threads, which post to it.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "net/gateway/worker.h"
#include "net/httpd/httpd.h"

namespace sluice {

template <typename Answer>
class Scrape {
 public:
  using Workers = std::vector<std::unique_ptr<Worker>>;
  // On a worker's thread.
  using Ask = void (*)(Gateway&, Answer&);
  // Makes the response from all answers.
  using Respond = std::function<void(const std::vector<Answer>&, const HttpdResponder&)>;

  Scrape(Httpd& server, Workers& workers, Answer initial, Ask ask,
         std::chrono::milliseconds answer_within)
      : server_(server),
        workers_(workers),
        initial_(std::move(initial)),
        ask_(ask),
        answer_within_(answer_within) {}

  // `responder` gets its response, or 503 if a worker does not answer in time.
  void add(const HttpdResponder& responder, Respond respond) {
    std::erase_if(waiting_, [](const auto& waiter) { return !waiter.first.open(); });
    if (waiting_.size() == kWaitingMax) {
      responder.problem(503, "Too many requests wait for the workers.", {{"Retry-After", "1"}});
      return;
    }
    auto now = HttpdResponder::Clock::now();
    bool begin = missing_ == 0 || now >= end_;
    if (begin) end_ = now + answer_within_;
    waiting_.emplace_back(responder, std::move(respond));
    responder.at(end_, [responder] {
      responder.problem(503, "A worker did not answer in time.", {{"Retry-After", "1"}});
    });
    if (begin) begin_round();
  }

 private:
  // Requests that share a round. Each gets its own copy of a response that may be long.
  static constexpr size_t kWaitingMax = 8;

  struct Part {
    bool asked = false;  // and yet to answer
    bool there = false;  // has answered in this round
  };

  void begin_round() {
    answers_.assign(workers_.size(), initial_);
    parts_.resize(workers_.size());
    missing_ = workers_.size();
    for (Part& part : parts_) part.there = false;
    for (size_t i = 0; i < workers_.size(); ++i) {
      // A worker that has stopped may never have seen an earlier question.
      if (parts_[i].asked && !workers_[i]->stopped()) continue;
      auto answer = std::make_shared<Answer>(initial_);
      parts_[i].asked = workers_[i]->post([this, i, answer](Gateway& gateway) {
        ask_(gateway, *answer);
        server_.post([this, i, answer] { on_answer(i, std::move(*answer)); });
      });
      if (!parts_[i].asked) on_answer(i, Answer(initial_));  // the worker has stopped
    }
  }

  void on_answer(size_t i, Answer answer) {
    parts_[i].asked = false;
    if (parts_[i].there) return;
    parts_[i].there = true;
    answers_[i] = std::move(answer);
    if (--missing_ > 0) return;
    for (auto& [responder, respond] : std::exchange(waiting_, {}))
      if (responder.open()) respond(answers_, responder);
    answers_.clear();
  }

  Httpd& server_;
  Workers& workers_;
  const Answer initial_;
  const Ask ask_;
  const std::chrono::milliseconds answer_within_;

  std::vector<std::pair<HttpdResponder, Respond>> waiting_;
  std::vector<Part> parts_;  // as workers_
  std::vector<Answer> answers_;
  size_t missing_ = 0;  // 0: no round is under way
  HttpdResponder::Clock::time_point end_;
};

}  // namespace sluice

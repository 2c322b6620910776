// A resolver that says what the test tells it to, when the test tells it to.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "net/dns/resolver.h"

namespace sluice::test {

inline Address ip(std::string_view text) {
  return *parse_ip(text);
}

class FakeResolver final : public Resolver {
 public:
  struct Question {
    std::string name;
    IpFamily family;
    DnsAsker* asker;
  };

  ~FakeResolver() override { EXPECT_TRUE(questions.empty()) << "each asker forgets its own"; }

  void ask(const std::string& name, IpFamily family, DnsAsker& asker) override {
    questions.push_back({name, family, &asker});
    ++asked;
  }
  void forget(DnsAsker& asker) override {
    std::erase_if(questions, [&](const Question& one) { return one.asker == &asker; });
  }
  void reload() override { ++reloads; }

  // Answers the oldest question for that family.
  void answer(IpFamily family, DnsAnswer answer) {
    auto found = std::ranges::find(questions, family, &Question::family);
    ASSERT_NE(found, questions.end());
    DnsAsker* asker = found->asker;
    questions.erase(found);
    asker->on_answer(std::move(answer));
  }
  void found(IpFamily family, std::vector<std::string_view> ips, uint64_t ttl_ms = 60'000) {
    DnsAnswer all{.status = DnsAnswer::Status::kFound, .ttl_ms = ttl_ms};
    for (std::string_view one : ips) all.addresses.push_back(ip(one));
    answer(family, std::move(all));
  }
  void none(IpFamily family) {
    answer(family, {.status = DnsAnswer::Status::kNone, .reason = "no_such_name"});
  }
  void failed(IpFamily family) {
    answer(family, {.status = DnsAnswer::Status::kFailed, .reason = "no_answer"});
  }

  std::vector<Question> questions;
  unsigned asked = 0;
  unsigned reloads = 0;
};

}  // namespace sluice::test

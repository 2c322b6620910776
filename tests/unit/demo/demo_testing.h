// What the tests of the demo upstream share: the demo, one request at a time, and its events.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "net/demo/demo.h"
#include "tests/unit/httpd/httpd_client.h"

namespace sluice {

class DemoTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ("", demo_.start()); }

  // The whole response to one request on a connection of its own; a chunked body without framing.
  std::string fetch(std::string_view method, std::string_view target, std::string_view fields = "",
                    std::string_view body = "") {
    HttpdClient client(demo_.port());
    std::string request;
    request.append(method).append(" ").append(target).append(" HTTP/1.1\r\nHost: a\r\n");
    request.append("Content-Length: ").append(std::to_string(body.size())).append("\r\n");
    client.send(request.append(fields).append("\r\n").append(body));
    std::string head = client.receive_through("\r\n\r\n");
    if (head.find("chunked") != std::string::npos) return head + client.receive_chunked(&complete_);
    size_t at = head.find("Content-Length: ");
    return at == std::string::npos ? head
                                   : head + client.receive_bytes(std::stoul(head.substr(at + 16)));
  }
  // The events of such a response, blank lines and head taken off.
  static std::vector<std::string> events_of(const std::string& response) {
    std::vector<std::string> events;
    size_t begin = response.find("\r\n\r\n") + 4;
    for (size_t end; (end = response.find("\n\n", begin)) != std::string::npos; begin = end + 2) {
      events.push_back(response.substr(begin, end - begin));
    }
    EXPECT_EQ(begin, response.size()) << "a piece of an event at the end";
    return events;
  }
  // With the number behind each `name` made 0.
  static std::string without_number(std::string text, std::string_view name) {
    for (size_t at = 0; (at = text.find(name, at)) != std::string::npos;) {
      at += name.size();
      size_t end = text.find_first_not_of("0123456789", at);
      text.replace(at, end - at, "0");
    }
    return text;
  }

  DemoUpstream demo_;
  bool complete_ = false;
};

}  // namespace sluice

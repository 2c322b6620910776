// Any bytes as what clients give to a hub: a publisher's body in each of its forms, the head of a
// request, an id. Nothing that is published breaks out of its event, or out of the JSON that it is
// read as; a name or an id that is taken is read back as the same.
#include <cstdint>
#include <string>
#include <string_view>

#include "core/check.h"
#include "net/http1/parser.h"
#include "net/hub/call.h"
#include "net/hub/home.h"
#include "net/hub/names.h"
#include "net/hub/publish_body.h"
#include "sse/framer.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/unit/hub/hub_log.h"

namespace sluice::test {
namespace {

bool is_one_event(std::string_view text) {
  Framer framer;
  Framer::Result found = framer.feed(text);
  return found.events == 1 && found.whole == text.size();
}

void publish(std::string body, BodyForm form, std::string_view type = {},
             std::string_view message_id = {}) {
  static JsonCheck check(64 * 1024);
  HubLog hub;
  PublishRequest request{.stream = "a-1"};
  PublishRules rules{
      .event_bytes_max = 4096, .events_max = 20, .type = type, .message_id = message_id};
  if (read_publish_body(body, form, rules, check, request.events)) return;
  PublishResult result = hub.publish(std::move(request));
  for (uint64_t global = 1; global < hub.log.next(); ++global) {
    const Block& block = *hub.log.at(global)->block;
    for (std::string_view form_of :
         {block.event(), block.poke(), block.envelope_event(), block.envelope_poke()})
      SLUICE_CHECK(is_one_event(form_of));
    std::string message(block.message());
    message.reserve(message.size() + JsonCheck::kPadding);
    SLUICE_CHECK(check.valid(message) && message.find_first_of("\r\n") == message.npos);
  }
  SLUICE_CHECK(result.count == hub.log.next() - 1);
}

void call(std::string_view bytes) {
  Head head;
  Http1Parser parser(Http1Parser::Role::kRequest, {16 * 1024, 64});
  parser.begin(&head);
  struct Sink final : BodySink {
    void on_body(std::string_view) override {}
  } sink;
  if (parser.feed(bytes, sink).event != Http1Parser::Event::kHead) return;
  Route route{.path = "/hub", .upstreams = {}, .settings = {}};
  if (!head.target().starts_with(route.path)) return;
  route.hub_cors = {"https://a.example"};
  HubCall read;
  read_hub_call(head, route, read);
  SLUICE_CHECK((read.status == 0) == read.detail.empty());
  if (read.status != 0) return;
  for (const HubCall::Source& source : read.sources) SLUICE_CHECK(!name_fault(source.name));
  SLUICE_CHECK(read.sources.size() <= limits::kHubSourcesMax);
  SLUICE_CHECK(read.origin.empty() || read.origin == route.hub_cors.front());
  if (read.what == HubCall::What::kPublish)
    publish("x", BodyForm::kText, read.type, read.message_id);
}

void id(std::string_view text) {
  std::optional<HubId> read = parse_hub_id(text);
  if (!read) return;
  std::string written;
  append_hub_id(written, *read);
  SLUICE_CHECK(written == text);
}

}  // namespace
}  // namespace sluice::test

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sluice;
  using namespace sluice::test;
  FuzzInput input(data, size);
  uint8_t kind = input.byte();
  switch (kind % 5) {
    case 0:
      publish(std::string(input.rest()), BodyForm::kText);
      break;
    case 1:
      publish(std::string(input.rest()), BodyForm::kJson);
      break;
    case 2:
      publish(std::string(input.rest()), BodyForm::kJsonLines);
      break;
    case 3:
      call(input.rest());
      break;
    default:
      id(input.rest());
  }
  return 0;
}

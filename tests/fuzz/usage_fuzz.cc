// Any bytes as a request to a language model and as its answer: what is read of them, and where a
// member is put in, is the same however they are cut. The first byte says where.
#include <cstdint>
#include <string>
#include <string_view>

#include "core/check.h"
#include "net/llm/answer_reader.h"
#include "net/llm/request_reader.h"
#include "net/llm/usage_meter.h"

namespace sluice {
namespace {

std::string splice(RequestReader& reader, std::string_view piece) {
  std::string text(piece);
  bool before = reader.inserted();
  if (auto insertion = reader.read(piece)) {
    SLUICE_CHECK(!before && piece.at(insertion->at) == '}');
    text.insert(insertion->at, insertion->text);
  }
  return text;
}

void try_request(std::string_view body, size_t cut) {
  RequestReader whole;
  RequestReader parts;
  std::string spliced = splice(whole, body);
  std::string in_parts = splice(parts, body.substr(0, cut));
  in_parts += splice(parts, body.substr(cut));
  SLUICE_CHECK(spliced == in_parts);
  SLUICE_CHECK(spliced.size() <= body.size() + RequestReader::kInsertionBytesMax);
  SLUICE_CHECK(whole.model() == parts.model() && whole.text_bytes() == parts.text_bytes());
}

void try_answer(std::string_view body, size_t cut) {
  AnswerReader whole;
  AnswerReader parts;
  whole.read(body);
  parts.read(body.substr(0, cut));
  parts.read(body.substr(cut));
  SLUICE_CHECK(whole.usage().tokens == parts.usage().tokens);
  SLUICE_CHECK(whole.is_usage_alone() == parts.is_usage_alone());
  SLUICE_CHECK(whole.text_bytes() == parts.text_bytes());
  RequestReader request;
  UsageMeter meter(request);
  EventMembers members(body);
  meter.on_event(body, members, 1);
  (void)meter.bill(/*served=*/true);
  SLUICE_CHECK(content_bytes(body, members) <= body.size());
}

}  // namespace
}  // namespace sluice

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  size_t cut = body.empty() ? 0 : data[0] % (body.size() + 1);
  sluice::try_request(body, cut);
  sluice::try_answer(body, cut);
  return 0;
}

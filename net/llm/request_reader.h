// What a request to a language model says, read while its JSON body passes in pieces: whether it
// wants a stream, of which model, and where a member has to be put into it so that its answer tells
// of usage. OpenAI's chat and text completions say nothing of it in a stream unless
// `stream_options` has `include_usage`. The member goes in at the end of that object, or of the
// whole one; nothing else changes. What the client has said itself, be it false, stays. Where a
// name comes twice the last one counts, as in JSON.parse(). Owned by the stream's Inspection, for
// dialect and usage alike. Allocates nothing; one request, one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "net/llm/answer_reader.h"
#include "net/llm/json_tokens.h"

namespace sluice {

class RequestReader {
 public:
  // Text that belongs before the byte at that place of a piece.
  struct Insertion {
    size_t at;
    std::string_view text;
  };
  // Its text is no longer than this.
  static constexpr size_t kInsertionBytesMax = 40;

  // The body is packed: what it says is not known, and all of its bytes count as text.
  void take_as_packed() { packed_ = true; }
  // The next piece of the body. There is one insertion in a body at most.
  std::optional<Insertion> read(std::string_view piece);

  std::string_view model() const { return model_.view(); }
  bool streams() const { return streams_; }
  // The client has asked for usage itself.
  bool asks_for_usage() const { return asks_; }
  // An insertion has been told of.
  bool inserted() const { return inserted_; }
  // The bytes of text that the model is given.
  uint64_t text_bytes() const { return text_bytes_; }

 private:
  enum class Name : uint8_t { kOther, kStream, kModel, kOptions, kIncludeUsage };

  std::optional<Insertion> at_end(const JsonTokens::Token& end, size_t at);
  void take_name(const JsonTokens::Token& name);
  void take_scalar(const JsonTokens::Token& scalar);

  JsonTokens tokens_;
  Name top_ = Name::kOther;     // that was read last in the whole object
  Name option_ = Name::kOther;  // in stream_options
  bool packed_ = false;
  bool text_follows_ = false;
  bool streams_ = false;
  bool has_options_ = false;
  bool options_are_empty_ = true;
  bool says_ = false;  // include_usage is there, whatever its value
  bool asks_ = false;
  bool inserted_ = false;
  bool done_ = false;  // its object has ended, or it is none
  KeptText model_;
  uint64_t text_bytes_ = 0;
};

}  // namespace sluice

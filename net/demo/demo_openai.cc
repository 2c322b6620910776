#include "net/demo/demo_openai.h"

#include <algorithm>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include "core/text.h"

namespace sluice {
namespace {

using Clock = HttpdResponder::Clock;

constexpr std::string_view kText =
    "Every word that you read here left the server as one event, went through the gateway whole, "
    "and was on its way to you the moment its blank line had arrived. Nothing was buffered to be "
    "efficient later, nothing was cut in half, and nothing was altered on the way. If you stop "
    "reading, the server hears of it at once and stops writing; if you only read slowly, it slows "
    "down with you, and nobody else does. That is all a streaming gateway should do, and it should "
    "do it ten thousand times over on one core without you ever noticing that it is there.";
constexpr std::string_view kModel = "\"sluice-demo\"";
constexpr std::string_view kModelObject =
    R"({"id":"sluice-demo","object":"model","created":1767225600,"owned_by":"sluice"})";
constexpr uint64_t kTokensMax = 1'000'000;
constexpr uint64_t kDelayMaxMs = 60'000;
constexpr uint64_t kDefaultDelayMs = 20;

const std::vector<std::string_view>& words() {
  static const std::vector<std::string_view> all = [] {
    std::vector<std::string_view> list;
    for (std::string_view rest = kText; !rest.empty();) {
      std::string_view word = rest.substr(0, rest.find(' '));
      list.push_back(word);
      rest.remove_prefix(std::min(rest.size(), word.size() + 1));
    }
    return list;
  }();
  return all;
}

std::string token_text(uint64_t index) {
  std::string text(index == 0 ? "" : " ");
  return text.append(words()[index % words().size()]);
}

// --- JSON, as little of it as is needed

constexpr std::string_view kSpace = " \t\r\n";

// The end of the value that starts at `begin`, npos if it is cut off.
size_t json_value_end(std::string_view text, size_t begin) {
  size_t depth = 0;
  bool in_string = false;
  for (size_t i = begin; i < text.size(); ++i) {
    char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      in_string = c != '"';
      if (!in_string && depth == 0) return i + 1;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if (c == '}' || c == ']') {
      if (depth == 0) return i;
      if (--depth == 0) return i + 1;
    } else if (depth == 0 && (c == ',' || kSpace.find(c) != std::string_view::npos)) {
      return i;
    }
  }
  return std::string_view::npos;
}

std::optional<uint64_t> to_number(std::optional<std::string_view> text) {
  return text ? parse_decimal(*text) : std::nullopt;
}

// A JSON string that may stand in one line of an event as it is.
bool is_plain_json_string(std::string_view text) {
  constexpr size_t kMax = 200;
  return text.size() > 2 && text.size() <= kMax && text.front() == '"' &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return c >= ' ' && c <= '~' && c != '\\'; });
}

// --- completions

struct Completion {
  bool chat;
  std::string id;
  std::string model;  // as JSON
  time_t created;
  bool stream;
  bool include_usage;
  uint64_t prompt_tokens;
  uint64_t tokens;
  bool cut_short;  // by max_tokens
  uint64_t delay_ms;
  // While it streams.
  uint64_t tokens_sent = 0;
  Clock::time_point due;
};

void refuse(const HttpdResponder& responder, std::string_view message) {
  std::string body = R"({"error":{"message":")";
  body.append(message).append(R"(","type":"invalid_request_error","param":null,"code":null}})");
  responder.respond(400, "application/json", body);
}

Completion read_completion(const HttpdRequest& request, bool chat) {
  static uint64_t serial = 0;  // one server's thread reads and writes it
  std::string_view json = request.body;
  auto number = [&](std::string_view name) {
    auto in_query = to_number(request.parameter(name));
    return in_query ? in_query : to_number(json_member(json, name));
  };
  auto is_true = [](std::optional<std::string_view> value) { return value == "true"; };

  Completion c{};
  c.chat = chat;
  c.id = (chat ? "chatcmpl-demo-" : "cmpl-demo-") + std::to_string(++serial);
  std::string_view model = json_member(json, "model").value_or("");
  c.model = is_plain_json_string(model) ? model : kModel;
  c.created = ::time(nullptr);
  c.stream = is_true(json_member(json, "stream"));
  auto options = json_member(json, "stream_options");
  c.include_usage = options && is_true(json_member(*options, "include_usage"));
  c.prompt_tokens = std::max<uint64_t>(1, json.size() / 4);
  uint64_t wanted = std::min(number("tokens").value_or(words().size()), kTokensMax);
  auto max_tokens = number("max_completion_tokens");
  if (!max_tokens) max_tokens = number("max_tokens");
  c.tokens = std::min(wanted, max_tokens.value_or(kTokensMax));
  c.cut_short = c.tokens < wanted;
  c.delay_ms = std::min(number("delay_ms").value_or(kDefaultDelayMs), kDelayMaxMs);
  return c;
}

std::string usage_json(const Completion& c) {
  return R"({"prompt_tokens":)" + std::to_string(c.prompt_tokens) + R"(,"completion_tokens":)" +
         std::to_string(c.tokens) + R"(,"total_tokens":)" +
         std::to_string(c.prompt_tokens + c.tokens) + "}";
}

std::string finish_json(const Completion& c) {
  return c.cut_short ? "\"length\"" : "\"stop\"";
}

// The start of every object of an answer, up to its choices.
std::string preamble(const Completion& c, std::string_view object) {
  std::string json = R"({"id":")" + c.id + R"(","object":")";
  json.append(object).append(R"(","created":)").append(std::to_string(c.created));
  return json.append(R"(,"model":)").append(c.model);
}

std::string chunk_event(const Completion& c, std::string_view choices, std::string_view usage) {
  std::string event = "data: " + preamble(c, c.chat ? "chat.completion.chunk" : "text_completion");
  event.append(R"(,"choices":[)").append(choices).append("]");
  if (c.include_usage) event.append(R"(,"usage":)").append(usage);
  return event.append("}\n\n");
}

// A chunk with one choice: `piece` is the delta's inside (chat) or the text (legacy).
std::string piece_event(const Completion& c, std::string_view piece, std::string_view finish) {
  std::string choice = R"({"index":0,)";
  choice.append(c.chat ? R"("delta":{)" : R"("text":")").append(piece);
  choice.append(c.chat ? "}" : "\"").append(R"(,"logprobs":null,"finish_reason":)");
  return chunk_event(c, choice.append(finish).append("}"), "null");
}

std::string token_event(const Completion& c, uint64_t index) {
  std::string text = token_text(index);
  return piece_event(c, c.chat ? R"("content":")" + text + "\"" : text, "null");
}

void send_next_token(const HttpdResponder& responder, const std::shared_ptr<Completion>& c) {
  if (c->tokens_sent < c->tokens) {
    responder.write(token_event(*c, c->tokens_sent++));
    c->due = std::max(c->due + std::chrono::milliseconds(c->delay_ms), Clock::now());
    responder.at(c->due, [=] { send_next_token(responder, c); });
    return;
  }
  std::string last = piece_event(*c, "", finish_json(*c));
  if (c->include_usage) last += chunk_event(*c, "", usage_json(*c));
  responder.write(last + "data: [DONE]\n\n");
  responder.end();
}

void stream_completion(const HttpdResponder& responder, Completion completion) {
  auto c = std::make_shared<Completion>(std::move(completion));
  c->due = Clock::now() + std::chrono::milliseconds(c->delay_ms);
  responder.begin_stream("text/event-stream; charset=utf-8", {{"Cache-Control", "no-cache"}});
  if (c->chat) responder.write(piece_event(*c, R"("role":"assistant","content":"")", "null"));
  responder.at(c->due, [=] { send_next_token(responder, c); });
}

void answer_completion(const HttpdResponder& responder, const Completion& c) {
  std::string text;
  for (uint64_t i = 0; i < c.tokens; ++i) text += token_text(i);
  std::string body = preamble(c, c.chat ? "chat.completion" : "text_completion");
  body.append(R"(,"choices":[{"index":0,)");
  body.append(c.chat ? R"("message":{"role":"assistant","content":")" : R"("text":")").append(text);
  body.append(c.chat ? R"(","refusal":null})" : "\"")
      .append(R"(,"logprobs":null,"finish_reason":)");
  body.append(finish_json(c)).append(R"(}],"usage":)").append(usage_json(c)).append("}\n");
  responder.respond(200, "application/json", body);
}

void serve_completion(const HttpdRequest& request, const HttpdResponder& responder, bool chat) {
  std::string_view required = chat ? "messages" : "prompt";
  if (!json_member(request.body, required)) {
    return refuse(responder,
                  "The body must be a JSON object with '" + std::string(required) + "'.");
  }
  Completion completion = read_completion(request, chat);
  if (completion.stream) {
    stream_completion(responder, std::move(completion));
  } else {
    answer_completion(responder, completion);
  }
}

}  // namespace

std::optional<std::string_view> json_member(std::string_view object, std::string_view name) {
  size_t i = object.find_first_not_of(kSpace);
  if (i == std::string_view::npos || object[i] != '{') return std::nullopt;
  ++i;
  while (true) {
    i = object.find_first_not_of(" \t\r\n,", i);
    if (i == std::string_view::npos || object[i] != '"') return std::nullopt;
    size_t key_end = json_value_end(object, i);
    if (key_end == std::string_view::npos) return std::nullopt;
    std::string_view key = object.substr(i + 1, key_end - i - 2);
    i = object.find_first_not_of(" \t\r\n:", key_end);
    if (i == std::string_view::npos) return std::nullopt;
    size_t value_end = json_value_end(object, i);
    if (value_end == std::string_view::npos) return std::nullopt;
    if (key == name) return object.substr(i, value_end - i);
    i = value_end;
  }
}

void add_openai_routes(Httpd& server) {
  server.route("POST", "/v1/chat/completions",
               [](const HttpdRequest& request, HttpdResponder answer) {
                 serve_completion(request, answer, true);
               });
  server.route("POST", "/v1/completions", [](const HttpdRequest& request, HttpdResponder answer) {
    serve_completion(request, answer, false);
  });
  server.route("GET", "/v1/models", [](const HttpdRequest&, HttpdResponder answer) {
    std::string list = R"({"object":"list","data":[)";
    answer.respond(200, "application/json", list.append(kModelObject).append("]}\n"));
  });
  server.route("GET", "/v1/models/sluice-demo", [](const HttpdRequest&, HttpdResponder answer) {
    answer.respond(200, "application/json", kModelObject);
  });
}

}  // namespace sluice

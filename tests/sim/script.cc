#include "tests/sim/script.h"

#include <algorithm>

#include "tests/sim/world.h"

namespace sluice::sim {

namespace {

// Bytes that name their place, so that nothing can be taken for anything else.
std::string filler(unsigned id, size_t number, size_t size) {
  std::string text = std::to_string(id) + ":" + std::to_string(number) + " ";
  while (text.size() < size) text += static_cast<char>('a' + (text.size() * 7 + number) % 26);
  return text.substr(0, std::max<size_t>(size, 1));
}

// What may pass before an empty line follows it: each line end is a boundary.
void add_keep_alives(Script& script, Random& random) {
  static constexpr const char* kLines[] = {":", ": ping", "retry: 3000", "retry:"};
  static constexpr const char* kLineEnds[] = {"\n", "\r\n", "\r"};
  for (size_t lines = random.magnitude(1, 4); lines > 0; --lines) {
    script.body += kLines[random.between(0, std::size(kLines) - 1)];
    script.body += kLineEnds[random.between(0, std::size(kLineEnds) - 1)];
    script.boundaries.push_back(script.body.size());
  }
}

void note_longest(Script& script) {
  for (size_t i = 1; i < script.boundaries.size(); ++i)
    script.longest = std::max(script.longest, script.boundaries[i] - script.boundaries[i - 1]);
}

void add_events(Script& script, Random& random) {
  static constexpr const char* kLineEnds[] = {"\n", "\r\n", "\r"};
  size_t count = random.magnitude(0, 60);
  script.boundaries.push_back(0);
  if (script.marked) {
    script.body = kByteOrderMark;
    script.boundaries.push_back(script.body.size());
  }
  const double keep_alives = random.chance(0.5) ? 0.3 : 0;
  for (size_t i = 0; i < count; ++i) {
    if (random.chance(keep_alives)) add_keep_alives(script, random);
    const char* line_end = kLineEnds[random.chance(0.8) ? 0 : random.between(0, 2)];
    size_t size = random.magnitude(4, random.chance(0.03) ? 30'000 : 600);
    script.body += "id: " + std::to_string(i) + line_end;
    if (random.chance(keep_alives)) script.body += ": within\nretry: 1\n";
    script.body += "data: " + filler(script.id, i, size);
    script.body += line_end;
    script.body += line_end;
    script.boundaries.push_back(script.body.size());
  }
  if (random.chance(keep_alives)) add_keep_alives(script, random);
  note_longest(script);
}

void make_request(Script& script, const Config& config, Random& random) {
  script.route = random.between(0, config.routes.size() - 1);
  const std::string& path = config.routes[script.route].path;
  script.path = path == "/" ? path : path + "/";
  if (random.chance(0.2)) {
    script.method = "POST";
    script.request_body = filler(script.id, 0, random.magnitude(1, 40'000));
    if (random.chance(0.1)) script.request_body = filler(script.id, 0, 200'000);
    script.request_chunked = random.chance(0.5);
    script.answers_early = random.chance(0.3);
    script.hangs_up_early = script.answers_early && random.chance(0.5);
    script.expects = random.chance(0.2);
    script.goes_ahead = script.expects && random.chance(0.7);
  } else if (random.chance(0.05)) {
    script.method = "HEAD";
  }
}

void make_head(Script& script, Random& random) {
  uint64_t head = random.between(0, 99);
  script.head = head < 75   ? Script::Head::kPrompt
                : head < 85 ? Script::Head::kInterim
                : head < 94 ? Script::Head::kLate
                : head < 97 ? Script::Head::kMissing
                            : Script::Head::kGarbage;
  bool late = script.head == Script::Head::kLate;
  if (script.head == Script::Head::kInterim) {
    script.interim_heads = random.chance(0.05) ? static_cast<unsigned>(random.between(15, 19))
                                               : static_cast<unsigned>(random.magnitude(1, 5));
    // With a go-ahead, which does not always leave, it must be clear whether these are too many.
    if (script.goes_ahead && script.interim_heads == Script::kInterimHeadsMax)
      ++script.interim_heads;
    late = script.interim_heads < 6 && random.chance(0.5);
  }
  if (late) script.wait_ns = random.magnitude(1, random.chance(0.3) ? 8 * kSecond : 2 * kSecond);
  script.event_stream = random.chance(0.8);
  script.marked = script.event_stream && random.chance(0.1);
  script.wants_events = random.chance(0.9) ? script.event_stream : !script.event_stream;
  if (random.chance(0.05)) script.status = random.chance(0.5) ? 404 : 500;
}

}  // namespace

Script make_script(unsigned id, const Config& config, Random& random) {
  Script script;
  script.id = id;
  make_request(script, config, random);
  make_head(script, random);
  if (script.event_stream)
    add_events(script, random);
  else
    script.body = filler(id, 1, random.magnitude(0, 100'000));
  script.framing = random.chance(0.6)   ? Script::Framing::kChunked
                   : random.chance(0.5) ? Script::Framing::kLength
                                        : Script::Framing::kUntilClose;
  if (random.chance(0.25)) script.ending = static_cast<Script::Ending>(random.between(1, 3));
  if (script.answers_early && random.chance(0.3)) {
    script.framing = Script::Framing::kUntilClose;
    script.ending = Script::Ending::kReset;
  }
  // A FIN ends such a body, wherever it comes: only a reset cuts it.
  if (script.framing == Script::Framing::kUntilClose && script.ending == Script::Ending::kTruncated)
    script.ending = Script::Ending::kReset;
  script.cut = random.between(0, script.body.size());
  // A full length is the end, whatever follows.
  if (script.framing == Script::Framing::kLength && script.cut == script.body.size())
    script.ending = Script::Ending::kComplete;
  if (script.method == "HEAD") script.ending = Script::Ending::kComplete;
  script.pause_ns_max = random.magnitude(kMicrosecond, 300 * kMillisecond);
  script.write_max = random.magnitude(1, 20'000);
  // Few writes, and long pauses.
  if (random.chance(0.15)) {
    script.pause_ns_max = random.magnitude(300 * kMillisecond, 6 * kSecond);
    script.write_max = std::max<size_t>(script.body.size() / random.between(1, 8), 100);
  }
  // None takes longer than some minutes.
  uint64_t writes = script.body.size() / script.write_max + 1;
  script.pause_ns_max = std::min(script.pause_ns_max, 100 * kSecond / writes);
  return script;
}

void lengthen(Script& script, Random& random) {
  const size_t most = random.between(2'500'000, 5'000'000);
  for (size_t i = script.boundaries.size(); script.body.size() < most; ++i) {
    std::string text = filler(script.id, i, random.between(1'000, 8'000));
    script.body += "id: " + std::to_string(i) + "\ndata: " + text + "\n\n";
    script.boundaries.push_back(script.body.size());
  }
  note_longest(script);
  if (random.chance(0.9)) script.cut = random.between(0, script.body.size() - 1);
  script.write_max = 20'000;
  script.pause_ns_max = random.magnitude(kMicrosecond, 2 * kMillisecond);
}

}  // namespace sluice::sim

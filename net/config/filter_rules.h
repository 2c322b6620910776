// Filters as the configuration file gives them: what each looks for and what it does then, with the
// place of each text for messages. Plain values, made while the configuration is read, on one
// thread. What runs is made of them (net/filter/load_filters.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sluice {

struct FileValue;

// What becomes of an event that filters cannot look at: too long, or no JSON.
enum class OnUnseen : uint8_t { kPass, kDrop, kEnd };

// And of an event stream that is compressed.
enum class OnEncoded : uint8_t { kDecode, kRefuse, kPass };

// What is asked of a value of an event's JSON, or of a request's field.
struct FilterTest {
  enum class Kind : uint8_t { kExists, kMissing, kEquals, kMatches };

  std::string subject;  // a JSON pointer, or a field's name
  Kind kind = Kind::kExists;
  std::string text;   // JSON for kEquals of a pointer, an expression for kMatches
  std::string where;  // "sluice.toml:7:3: filter pii: match.json"
};

// An event of the operator's. It has no id.
struct FilterEvent {
  std::string event;
  std::string data;
};

struct FilterAction {
  enum class Kind : uint8_t {
    kDrop,
    kSet,
    kRemove,
    kRename,
    kRedact,
    kData,
    kRenameEvent,
    kAddBefore,
    kAddAfter,
    kEnd,
  };

  Kind kind = Kind::kDrop;
  std::optional<std::string> pointer;  // kRedact without one: all strings
  std::string text;  // JSON, a new name, an expression, or data: what the kind is about
  std::string with;  // of kRedact
  std::optional<FilterEvent> event;
  std::string where;
};

struct FilterRule {
  std::string name;
  std::string where;
  // Each is a list of which one has to fit; empty: anything does.
  std::vector<std::string> events = {};
  std::vector<std::string> ids = {};
  std::vector<std::string> data = {};
  std::vector<std::string> methods = {};
  std::vector<std::string> paths = {};  // prefixes, as routes have them
  // All have to hold.
  std::vector<FilterTest> json = {};
  std::vector<FilterTest> fields = {};
  std::vector<FilterAction> actions = {};
  std::string script = {};        // a file with Lua in it; empty: this is a rule
  std::string script_where = {};  // for messages
  std::string code = {};          // what is in the file (net/script/load_scripts.h)
  uint32_t id = 0;                // the same in every snapshot that has its name

  bool is_script() const { return !script.empty(); }
};

// Of the [[filter]] tables of that file. Throws ConfigError.
std::vector<FilterRule> read_filters(const std::vector<FileValue>& tables, const std::string& file);

}  // namespace sluice

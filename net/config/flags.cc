#include <algorithm>

#include <CLI/CLI.hpp>

#include "net/config/source.h"

namespace sluice {
namespace {

constexpr size_t kHelpColumn = 36;
constexpr size_t kHelpWidth = 100;

// Lines of at most `width` bytes, broken at blanks.
std::string wrapped(std::string_view text, size_t width) {
  std::string lines;
  while (text.size() > width) {
    size_t end = text.rfind(' ', width);
    if (end == text.npos) break;
    lines.append(text.substr(0, end)).append("\n");
    text.remove_prefix(end + 1);
  }
  return lines.append(text);
}

std::string description(const Setting& setting) {
  std::string text = setting.help;
  if (!setting.default_text.empty()) text += " [" + setting.default_text + "]";
  if (setting.differs) text += " (restart)";
  return wrapped(text, kHelpWidth - kHelpColumn);
}

// CLI11 splits argv and prints the help. It takes values as text only, so that what is wrong with
// one is said in the same words wherever it came from.
class Flags {
 public:
  Flags() : app_("A streaming gateway for Server-Sent Events.", "sluice") {
    app_.set_help_flag("");
    app_.allow_extras();
    app_.get_formatter()->column_width(kHelpColumn);
    app_.footer(
        "Sizes take k, m or g; times take ms, s, m or h; the default is in brackets. The settings "
        "of a\nroute are keys of --route (heartbeat=15s) and of the file's [[route]] tables "
        "(heartbeat = \"15s\").\nA reload (SIGHUP, or POST /reload on the admin port) applies all "
        "but "
        "those marked (restart).");
    for (const Setting& setting : settings()) {
      if (is_flag(setting)) add(setting);
    }
  }

  std::string help() const { return app_.help(); }

  void parse(int argc, const char* const* argv) {
    std::vector<std::string> backwards;  // as CLI11 wants it
    for (int i = argc - 1; i > 0; i--) backwards.push_back(without_negation(argv[i]));
    app_.parse(std::move(backwards));
    std::vector<std::string> unknown = app_.remaining();
    if (!unknown.empty()) refuse(unknown.front());
  }

  // Calls take(setting, text) for every value, several of one setting in order of argv.
  template <typename Take>
  void each_value(Take take) const {
    for (const auto& [setting, option] : rows_) {
      for (const std::string& text : option->results()) take(*setting, text);
    }
  }

 private:
  void add(const Setting& setting) {
    std::string flags = (setting.name == "help" ? "-h,--" : "--") + setting.name;
    CLI::Option* option = app_.add_option(flags, CLI::callback_t{}, description(setting));
    // A missing value becomes an empty one: where one is required, CLI11 takes the next flag for
    // it.
    option->expected(0, 1)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    option->group(std::string(setting.group))->option_text(setting.value_name);
    rows_.emplace_back(&setting, option);
  }

  // "--no-pin" as "--pin=off".
  static std::string without_negation(std::string_view argument) {
    constexpr std::string_view kNegation = "--no-";
    if (argument.starts_with(kNegation)) {
      std::string_view name = argument.substr(kNegation.size());
      const Setting* setting = find_setting(name);
      if (setting != nullptr && setting->form == Form::kSwitch) {
        return "--" + std::string(name) + "=off";
      }
    }
    return std::string(argument);
  }

  [[noreturn]] static void refuse(const std::string& argument) {
    if (!argument.starts_with('-')) {
      throw ConfigError(argument, "unexpected argument: every setting is a flag, see --help");
    }
    std::string flag = argument.substr(0, argument.find('='));
    std::string name = flag.substr(std::min(flag.find_first_not_of('-'), flag.size()));
    if (const Setting* setting = find_setting(name); setting != nullptr && !is_flag(*setting)) {
      throw ConfigError(flag,
                        name + " is a key of --route: --route " + name + "=" + setting->value_name);
    }
    throw ConfigError(flag, "no such flag" + did_you_mean(name, is_flag, "--"));
  }

  CLI::App app_;
  std::vector<std::pair<const Setting*, CLI::Option*>> rows_;
};

// "path=/v1,upstream=http://127.0.0.1:9000,heartbeat=15s". Only upstream may come twice.
RouteSource read_route(std::string_view text) {
  RouteSource route{"--route " + std::string(text), {}};
  for (size_t at = 0, end = 0; end != text.npos; at = end + 1) {
    end = text.find(',', at);
    std::string_view pair = text.substr(at, end == text.npos ? end : end - at);
    size_t equals = pair.find('=');
    std::string_view key = pair.substr(0, equals);
    if (key == "path" && equals != pair.npos) route.where = "--route " + std::string(pair);
    const Setting& setting = route_key(key, route.where);
    if (equals == pair.npos || equals + 1 == pair.size()) {
      throw ConfigError(
          route.where, setting.name + " needs a value: " + setting.name + "=" + setting.value_name);
    }
    if (setting.form != Form::kList &&
        std::ranges::find(route.assignments, &setting, &Assignment::setting) !=
            route.assignments.end()) {
      throw ConfigError(route.where, setting.name + " is given twice");
    }
    route.assignments.push_back({&setting, std::string(pair.substr(equals + 1)), ""});
  }
  for (Assignment& assignment : route.assignments) {
    assignment.where = route.where + ": " + assignment.setting->name;
  }
  return route;
}

}  // namespace

Source read_flags(int argc, const char* const* argv) {
  Flags flags;
  flags.parse(argc, argv);
  Source source;
  flags.each_value([&source](const Setting& setting, const std::string& text) {
    std::string where = "--" + setting.name;
    if (text.empty() && setting.form != Form::kSwitch) {
      throw ConfigError(where, "a value is missing: " + where + " " + setting.value_name);
    }
    if (setting.name == "route") {
      source.routes.push_back(read_route(text));
    } else {
      source.assignments.push_back({&setting, text.empty() ? "on" : text, where});
    }
  });
  return source;
}

std::string help_text() {
  // CLI11 puts two blank lines between groups.
  std::string text = CLI::detail::find_and_replace(Flags().help(), "\n\n\n", "\n\n");
  return text.substr(0, text.find_last_not_of('\n') + 1);
}

}  // namespace sluice

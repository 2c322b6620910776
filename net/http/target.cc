#include "net/http/target.h"

#include <cstddef>

#include "net/http/text.h"

namespace sluice {
namespace {

constexpr size_t kPortDigitsMax = 5;

void split_path(std::string_view text, Target& target) {
  const size_t question = text.find('?');
  target.path = text.substr(0, question);
  if (question != std::string_view::npos) target.query = text.substr(question);
}

// reg-name of RFC 3986 section 3.2.2; IPv4 addresses are a subset.
bool is_registered_name(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      if (i + 2 >= text.size() || !is_hex_digit(text[i + 1]) || !is_hex_digit(text[i + 2]))
        return false;
      i += 2;
    } else if (!is_alphanumeric(text[i]) &&
               std::string_view("-._~!$&'()*+,;=").find(text[i]) == std::string_view::npos) {
      return false;
    }
  }
  return !text.empty();
}

// The inside of [...]: the characters of an IPv6 address.
bool is_ipv6_text(std::string_view text) {
  for (const char c : text) {
    if (!is_hex_digit(c) && c != ':' && c != '.') return false;
  }
  return text.find(':') != std::string_view::npos;
}

bool is_port(std::string_view text) {
  for (const char c : text) {
    if (!is_digit(c)) return false;
  }
  return text.size() <= kPortDigitsMax;
}

}  // namespace

Target split_target(std::string_view target) {
  Target split{TargetForm::kAuthority, {}, {}, {}};
  if (target == "*") {
    split.form = TargetForm::kAsterisk;
  } else if (target.starts_with('/')) {
    split.form = TargetForm::kOrigin;
    split_path(target, split);
  } else if (starts_with_ignoring_case(target, "http://") ||
             starts_with_ignoring_case(target, "https://")) {
    split.form = TargetForm::kAbsolute;
    const std::string_view rest = target.substr(target.find("//") + 2);
    split.authority = rest.substr(0, rest.find_first_of("/?"));
    split_path(rest.substr(split.authority.size()), split);
  } else {
    split.authority = target;
  }
  return split;
}

bool is_authority(std::string_view text, Port port) {
  size_t host_size = 0;
  if (text.starts_with('[')) {
    const size_t bracket = text.find(']');
    if (bracket == std::string_view::npos || !is_ipv6_text(text.substr(1, bracket - 1)))
      return false;
    host_size = bracket + 1;
  } else {
    host_size = text.substr(0, text.find(':')).size();
    if (!is_registered_name(text.substr(0, host_size))) return false;
  }
  const std::string_view rest = text.substr(host_size);
  if (rest.empty()) return port == Port::kOptional;
  const std::string_view digits = rest.substr(1);
  if (rest.front() != ':' || !is_port(digits)) return false;
  return port == Port::kOptional || !digits.empty();
}

std::string_view target_path(std::string_view target) {
  const Target split = split_target(target);
  switch (split.form) {
    case TargetForm::kOrigin:
      return split.path;
    case TargetForm::kAbsolute:
      return split.path.empty() ? "/" : split.path;
    case TargetForm::kAsterisk:
    case TargetForm::kAuthority:
      return target;
  }
  return target;
}

}  // namespace sluice

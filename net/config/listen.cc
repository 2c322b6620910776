// What --listen names: an address, the scheme before it, and options behind it.
#include <optional>

#include "net/config/values.h"

namespace sluice {

namespace {

constexpr uint16_t kHttpsPort = 443;
constexpr std::string_view kProxyProtocol = "proxy-protocol";
constexpr std::string_view kRedirect = "redirect=";
constexpr std::string_view kRedirectTo = "https";

// "https" or "https:8443".
std::string parse_redirect(std::string_view text, ListenOptions& options) {
  if (options.tls) return "an https listener has no redirect to https";
  uint64_t port = kHttpsPort;
  std::string wrong;
  if (!text.starts_with(kRedirectTo)) return quoted(text) + " is not https or https:PORT";
  text.remove_prefix(kRedirectTo.size());
  if (text.starts_with(':'))
    wrong = parse_number(kCount, {1, UINT16_MAX}, text.substr(1), &port);
  else if (!text.empty())
    wrong = quoted(std::string(kRedirectTo) + std::string(text)) + " is not https or https:PORT";
  options.redirect_port = static_cast<uint16_t>(port);
  return wrong;
}

std::string parse_listen_option(std::string_view text, ListenOptions& options) {
  if (text == kProxyProtocol) {
    options.proxy_protocol = true;
    return "";
  }
  if (text.starts_with(kRedirect)) return parse_redirect(text.substr(kRedirect.size()), options);
  return quoted(text) + " is no option of a listener: proxy-protocol or redirect=https[:PORT]";
}

}  // namespace

std::optional<Listen> parse_listen(std::string_view text, std::string* wrong) {
  ListenOptions options;
  options.tls = take_scheme(&text, "https://");
  if (!options.tls) take_scheme(&text, "http://");
  auto address = parse_address(text.substr(0, text.find(';')), wrong);
  if (!address) return std::nullopt;
  *wrong = each_option(
      text, [&](std::string_view option) { return parse_listen_option(option, options); });
  if (!wrong->empty()) return std::nullopt;
  return Listen(*address, options);
}

std::string Listen::identity() const {
  std::string text = name();
  if (options.proxy_protocol) text += ';' + std::string(kProxyProtocol);
  if (options.redirect_port != 0)
    text += ';' + std::string(kRedirect) + std::string(kRedirectTo) + ':' +
            std::to_string(options.redirect_port);
  return text;
}

}  // namespace sluice

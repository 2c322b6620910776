#include "net/base/limits.h"
#include "net/config/setting_groups.h"

namespace sluice {

namespace {

Setting files_setting(const char* name, std::vector<std::string> Config::*files, const char* help) {
  return {.name = name,
          .form = Form::kList,
          .value_name = "FILE",
          .help = help,
          .set =
              [files](SettingTarget target, std::string_view text) {
                (target.config.*files).emplace_back(text);
                return std::string();
              },
          .clear = [files](SettingTarget target) { (target.config.*files).clear(); }};
}

}  // namespace

std::vector<Setting> tls_settings() {
  return {
      files_setting("tls-cert", &Config::tls_cert_files,
                    "Certificate for https listeners, a PEM file with its chain; repeat it with "
                    "--tls-key for more. A client gets the one for the name that it asks for, "
                    "else the first. A reload reads them again"),
      files_setting("tls-key", &Config::tls_key_files,
                    "Key of the --tls-cert at the same place, a PEM file without a passphrase"),
      number_setting("tls-handshake-timeout", &Config::tls_handshake_timeout_ms, kTime, kTimeout,
                     "A client that has not shaken hands by then is closed"),
      number_setting("tls-handshakes-max", &Config::tls_handshakes_max, kCount, {1, 100'000},
                     "Handshakes of clients under way, per worker; beyond them no client is "
                     "accepted for TLS"),
      choice_setting("tls-records", &Config::tls_lean_records,
                     Choices<bool>{{"openssl", false}, {"lean", true}},
                     "Who seals and opens records of clients with TLS 1.3: OpenSSL's connection "
                     "object, or sluice with OpenSSL's ciphers, in a fraction of the memory"),
  };
}

}  // namespace sluice

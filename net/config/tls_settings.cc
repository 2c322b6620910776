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

Setting file_setting(const char* name, std::string Config::*file, const char* help) {
  return {.name = name,
          .value_name = "FILE",
          .help = help,
          .set = [file](SettingTarget target, std::string_view text) {
            target.config.*file = text;
            return std::string(text.empty() ? "it names no file" : "");
          }};
}

}  // namespace

std::vector<Setting> tls_settings() {
  return {
      files_setting("tls-cert", &Config::tls_cert_files,
                    "Certificate for https listeners, a PEM file with its chain; repeat it with "
                    "--tls-key for more. A client gets the one for the name that it asks for, "
                    "else the first. All files of TLS towards clients are read again by a reload, "
                    "and when they change"),
      files_setting("tls-key", &Config::tls_key_files,
                    "Key of the --tls-cert at the same place, a PEM file without a passphrase"),
      files_setting(
          "tls-ocsp", &Config::tls_ocsp_files,
          "OCSP response that clients get with the certificate that it is for (stapling), a "
          "DER file; repeat it for more. One that has expired is not sent"),
      file_setting(
          "tls-ticket-keys", &Config::tls_ticket_keys_file,
          "Keys of session tickets, 80 bytes each, that several hosts share: the first one "
          "seals, all of them open. Without, each process makes its own"),
      file_setting("tls-client-ca", &Config::tls_client_ca_file,
                   "Certificates of CAs in PEM form: clients of https listeners have to show a "
                   "certificate from one of them, and its subject goes to the upstream in "
                   "X-Client-Cert-Subject"),
      choice_setting("tls-client-auth", &Config::tls_client_auth,
                     Choices<ClientAuth>{{"required", ClientAuth::kRequired},
                                         {"optional", ClientAuth::kOptional}},
                     "Whether a client without a certificate is refused, with --tls-client-ca"),
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

#include "net/tls/trust_stores.h"

#include <cstdlib>
#include <filesystem>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <sstream>
#include <system_error>
#include <utility>
#include <vector>

#include "net/tls/credentials.h"

namespace sluice {

namespace {

std::string from_environment(const char* variable, const char* otherwise) {
  const char* value = std::getenv(variable);
  return value ? value : otherwise;
}

// The folders of the system's CAs, and all that is in them: OpenSSL reads a file of those when a
// certificate first needs it.
std::vector<std::string> files_of_system_folders() {
  std::vector<std::string> files;
  std::stringstream folders(
      from_environment(X509_get_default_cert_dir_env(), X509_get_default_cert_dir()));
  for (std::string folder; std::getline(folders, folder, ':');) {
    std::error_code error;
    std::filesystem::directory_iterator file(folder, error);
    for (; !error && file != std::filesystem::directory_iterator(); file.increment(error))
      files.push_back(file->path());
  }
  return files;
}

FileStamps stamps_of_store(const std::string& file) {
  if (!file.empty()) return stamps_of({file});
  std::vector<std::string> files = files_of_system_folders();
  files.push_back(from_environment(X509_get_default_cert_file_env(), X509_get_default_cert_file()));
  return stamps_of(files);
}

// Slim images have none.
bool system_has_cas(X509_STORE* store) {
  return sk_X509_OBJECT_num(X509_STORE_get0_objects(store)) > 0 ||
         !files_of_system_folders().empty();
}

Handle<X509_STORE> read_store(const std::string& file, std::string* wrong) {
  ERR_clear_error();
  Handle<X509_STORE> made{X509_STORE_new()};
  if (!made) {
    *wrong = "TLS cannot be set up: " + openssl_error();
  } else if (file.empty()) {
    X509_STORE_set_default_paths(made.get());
    if (!system_has_cas(made.get()))
      *wrong =
          "this system has no certificates of CAs; install the package ca-certificates, or name "
          "some with ;ca=FILE";
    ERR_clear_error();
  } else if (X509_STORE_load_file(made.get(), file.c_str()) != 1) {
    *wrong = "ca=" + file + " holds no certificates that can be read (" + openssl_error() +
             "); name a PEM file";
  } else {
    // Whoever names a certificate trusts it, also where it is not the root.
    X509_STORE_set_flags(made.get(), X509_V_FLAG_PARTIAL_CHAIN);
  }
  return made;
}

}  // namespace

X509_STORE* TrustStores::find(const std::string& file, std::string* wrong) {
  auto known = stores_.find(file);
  if (known != stores_.end() && known->second.looked_at) return known->second.store.get();
  Kept now{.stamps = stamps_of_store(file), .store = nullptr, .looked_at = true};
  if (known != stores_.end() && known->second.stamps == now.stamps) {
    known->second.looked_at = true;
    return known->second.store.get();
  }
  now.store = read_store(file, wrong);
  if (!wrong->empty()) return nullptr;
  return stores_.insert_or_assign(file, std::move(now)).first->second.store.get();
}

void TrustStores::look_again() {
  for (auto& [file, kept] : stores_) kept.looked_at = false;
}

void TrustStores::drop_others(const std::set<const x509_store_st*>& used) {
  std::erase_if(stores_,
                [&used](const auto& entry) { return !used.contains(entry.second.store.get()); });
}

}  // namespace sluice

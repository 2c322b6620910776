// Certificates of CAs, as files hold them. They are large: upstreams that name the same file share
// them, and a file is not read again until it has changed. Used where the configuration is read.
#pragma once

#include <map>
#include <set>
#include <string>

#include "core/file_stamps.h"
#include "net/tls/handles.h"

namespace sluice {

class TrustStores {
 public:
  // Of the system where `file` is empty: the same object as long as no file of it has changed.
  // Null, and *wrong says why.
  x509_store_st* find(const std::string& file, std::string* wrong);
  // Another reading of a configuration begins: whether files have changed is looked at again.
  void look_again();
  // What is not among these goes.
  void drop_others(const std::set<const x509_store_st*>& used);

 private:
  struct Kept {
    FileStamps stamps;  // from before they were read
    Handle<x509_store_st> store;
    bool looked_at;
  };

  std::map<std::string, Kept> stores_;
};

}  // namespace sluice

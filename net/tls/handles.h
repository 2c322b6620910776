// Owners of OpenSSL's objects, for headers that need no more of OpenSSL than their names. Each is
// used by one thread at a time, but for contexts, certificates and keys, which are shared once they
// are complete.
#pragma once

#include <memory>

struct ssl_st;
struct ssl_ctx_st;
struct ssl_session_st;
struct x509_st;
struct x509_store_st;
struct evp_pkey_st;

namespace sluice {

struct FreeHandle {
  void operator()(ssl_st* ssl) const;
  void operator()(ssl_ctx_st* context) const;
  void operator()(ssl_session_st* session) const;
  void operator()(x509_st* certificate) const;
  void operator()(x509_store_st* store) const;
  void operator()(evp_pkey_st* key) const;
};

template <typename T>
using Handle = std::unique_ptr<T, FreeHandle>;

}  // namespace sluice

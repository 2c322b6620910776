// A certificate with its chain and its key, as read from PEM files: at the start and at each
// reload, on no thread that serves. Immutable from then on, and shared by all workers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "net/tls/handles.h"

struct asn1_string_st;  // a time, too

namespace sluice {

struct Credentials {
  Handle<x509_st> certificate;
  std::vector<Handle<x509_st>> chain;  // those between it and the CA's
  Handle<evp_pkey_st> key;
  std::vector<std::string> names;  // of the DNS, in small letters; "*.example.com" among them
  int64_t expires_s = 0;           // by the clock of the world, since 1970
  std::string ocsp = {};           // a response for it, in DER; empty: none
  int64_t ocsp_expires_s = 0;
};

// "" or, in a line, what is wrong with which file and what would be right.
std::string read_credentials(const std::string& certificate_file, const std::string& key_file,
                             Credentials* into);

// Seconds since 1970; 0 where it cannot be told.
int64_t seconds_since_1970(const asn1_string_st* time);

// The newest error of OpenSSL's on this thread, in a few words; all are forgotten.
std::string openssl_error();

}  // namespace sluice

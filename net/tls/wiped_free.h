// Wipes the memory that OpenSSL frees while it lets go of a connection's object. SSL_free() leaves
// the traffic secrets and IVs of TLS 1.3 in the block that it gives back (seen with 3.0.22), and
// all later keys follow from a secret. That matters where the keys live on without the object. The
// hooks are the process's; whether they wipe is the thread's, and costs a branch elsewhere.
#pragma once

namespace sluice {

// Before OpenSSL's first allocation, so at the start of main(). False: it is too late.
bool install_wiping_free();
bool wiping_free_installed();

// While it lives, what this thread has OpenSSL free is wiped.
class WipesWhatIsFreed {
 public:
  explicit WipesWhatIsFreed(bool wipes = true);
  ~WipesWhatIsFreed();
  WipesWhatIsFreed(const WipesWhatIsFreed&) = delete;
  WipesWhatIsFreed& operator=(const WipesWhatIsFreed&) = delete;

 private:
  const bool before_;
};

}  // namespace sluice

// A worker's subscribers that are members of groups, and those that wait to be. It tells the home
// what members were passed and when they have gone, and hears from it whose lease is over and where
// a member is free. Nothing of that is lost when the home cannot be asked at once: it is told
// later. Owned by the worker's part of a hub, used on its thread.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "net/hub/groups.h"

namespace sluice {

class HubRequest;
class LocalHub;
struct HomeCall;
struct MemberLease;

class LeaseHolders {
 public:
  explicit LeaseHolders(LocalHub& hub) : hub_(hub) {}

  // It has a lease.
  void hold(HubRequest& request);
  // It waits for one, or goes on to wait in the place that it has. `soon`: the home could not say
  // whether one is free.
  void stand_by(HubRequest& request, bool soon);
  // It ends, or waits no more.
  void forget(HubRequest& request);
  // An answer whose asker has gone.
  void on_unwanted(const HomeCall& call);
  void on_news(const Groups::News& news);
  // Once a second.
  void tick();

 private:
  struct Standby {
    HubRequest* request;
    bool asks;  // the home, and has no answer yet
  };

  bool send(GroupCall call);
  void release_rest();

  LocalHub& hub_;
  std::unordered_map<uint64_t, HubRequest*> holders_;  // by token
  std::vector<Standby> standbys_;                      // those who came first, first
  std::vector<GroupCall> releases_;                    // that the home has not been told of
  bool ask_again_ = false;
};

}  // namespace sluice

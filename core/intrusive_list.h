// Lists whose members carry their own link: nothing is allocated, and a member leaves without a
// search. A member is in at most one list by one link. The list owns no member; each leaves before
// it is deleted. A list never moves, since members point into it. Used on one thread.
#pragma once

namespace sluice {

template <typename T>
struct ListLink {
  T* next = nullptr;
  T** from = nullptr;  // what points at the member; null: in no list

  bool linked() const { return from != nullptr; }
};

// Members join and leave at any place but the end: one word.
template <typename T, ListLink<T> T::*kLink>
class IntrusiveList {
 public:
  IntrusiveList() = default;
  IntrusiveList(const IntrusiveList&) = delete;
  IntrusiveList& operator=(const IntrusiveList&) = delete;

  bool empty() const { return head_ == nullptr; }
  T* front() const { return head_; }
  static T* next(const T& member) { return (member.*kLink).next; }

  void push_front(T& member) { link_at(&head_, member); }
  static void remove(T& member) {
    ListLink<T>& link = member.*kLink;
    *link.from = link.next;
    if (link.next) (link.next->*kLink).from = link.from;
    link = {};
  }

 private:
  template <typename U, ListLink<U> U::*kOther>
  friend class IntrusiveQueue;

  static void link_at(T** place, T& member) {
    member.*kLink = {*place, place};
    if (*place) ((*place)->*kLink).from = &(member.*kLink).next;
    *place = &member;
  }

  T* head_ = nullptr;
};

// The same with an end to join at.
template <typename T, ListLink<T> T::*kLink>
class IntrusiveQueue {
  using List = IntrusiveList<T, kLink>;

 public:
  bool empty() const { return list_.empty(); }
  T* front() const { return list_.front(); }
  static T* next(const T& member) { return List::next(member); }

  void push_front(T& member) {
    bool first = empty();
    list_.push_front(member);
    if (first) tail_ = &(member.*kLink).next;
  }
  void push_back(T& member) {
    List::link_at(tail_, member);
    tail_ = &(member.*kLink).next;
  }
  void remove(T& member) {
    if (!(member.*kLink).next) tail_ = (member.*kLink).from;
    List::remove(member);
  }

 private:
  List list_;
  T** tail_ = &list_.head_;
};

}  // namespace sluice

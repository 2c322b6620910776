// Forms of an event in gzip, made by whichever worker first has a subscriber that wants
// one, and shared by all workers from then on. They belong to the event's block, and last as long
// as it does. Any thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "net/coding/text_coder.h"

namespace sluice {

// The forms of an event in a block, in their order there.
enum class BlockForm : uint8_t { kEvent, kPoke, kEnvelope, kEnvelopePoke, kMessage };

class CodedForm {
 public:
  struct Name {
    BlockForm form = BlockForm::kEvent;
    // The global position of the event that its readers have right before, in the same form; 0: it
    // stands alone.
    uint64_t behind = 0;

    bool operator==(const Name&) const = default;
  };

  // `account` counts the bytes that such forms occupy, and outlives them.
  static std::unique_ptr<CodedForm> make(const Name& name, const CodedText& text,
                                         std::atomic<uint64_t>& account);
  ~CodedForm();
  CodedForm(const CodedForm&) = delete;
  CodedForm& operator=(const CodedForm&) = delete;
  static void operator delete(void* memory) { ::operator delete(memory); }

  const Name& name() const { return name_; }
  const CodedText& text() const { return text_; }
  // It stands between the lines of a chunk, so that it leaves in one piece over HTTP/1.
  char* memory() { return reinterpret_cast<char*>(this + 1); }
  uint32_t memory_size() const;

 private:
  friend class CodedForms;

  CodedForm(const Name& name, const CodedText& text, std::atomic<uint64_t>& account)
      : name_(name), text_(text), account_(account) {}
  size_t bytes() const { return sizeof(CodedForm) + memory_size(); }

  CodedForm* next_ = nullptr;
  const Name name_;
  CodedText text_;
  std::atomic<uint64_t>& account_;
};

// Those of one block.
class CodedForms {
 public:
  CodedForms() = default;
  ~CodedForms();
  CodedForms(const CodedForms&) = delete;
  CodedForms& operator=(const CodedForms&) = delete;

  // Null: nobody has made it yet.
  CodedForm* find(const CodedForm::Name& name) const {
    return find(first_.load(std::memory_order_acquire), name);
  }
  // The one of that name from here on: another worker's, where that was faster.
  CodedForm& add(std::unique_ptr<CodedForm> form);
  // Those that stand behind another event.
  size_t behind_others() const;

 private:
  static CodedForm* find(CodedForm* first, const CodedForm::Name& name) {
    while (first && first->name_ != name) first = first->next_;
    return first;
  }

  std::atomic<CodedForm*> first_{nullptr};
};

}  // namespace sluice

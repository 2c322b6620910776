#include "net/hub/coded_form.h"

#include <cstring>
#include <new>

#include "net/http/chunk.h"

namespace sluice {

std::unique_ptr<CodedForm> CodedForm::make(const Name& name, const CodedText& text,
                                           std::atomic<uint64_t>& account) {
  char line[kChunkSizeLineMax];
  size_t line_size = write_chunk_size(line, text.bytes.size());
  size_t size = line_size + text.bytes.size() + kChunkEnd.size();
  std::unique_ptr<CodedForm> form(new (::operator new(sizeof(CodedForm) + size))
                                      CodedForm(name, text, account));
  char* at = form->memory();
  std::memcpy(at, line, line_size);
  at += line_size;
  form->text_.bytes = {at, text.bytes.size()};
  text.bytes.copy(at, text.bytes.size());
  kChunkEnd.copy(at + text.bytes.size(), kChunkEnd.size());
  account.fetch_add(form->bytes(), std::memory_order_relaxed);
  return form;
}

CodedForm::~CodedForm() {
  account_.fetch_sub(bytes(), std::memory_order_relaxed);
}

uint32_t CodedForm::memory_size() const {
  const char* begin = reinterpret_cast<const char*>(this + 1);
  const char* end = text_.bytes.data() + text_.bytes.size() + kChunkEnd.size();
  return static_cast<uint32_t>(end - begin);
}

CodedForms::~CodedForms() {
  CodedForm* next = first_.load(std::memory_order_relaxed);
  while (CodedForm* form = next) {
    next = form->next_;
    delete form;
  }
}

CodedForm& CodedForms::add(std::unique_ptr<CodedForm> form) {
  CodedForm* first = first_.load(std::memory_order_acquire);
  do {
    if (CodedForm* others = find(first, form->name_)) return *others;
    form->next_ = first;
  } while (!first_.compare_exchange_weak(first, form.get(), std::memory_order_release,
                                         std::memory_order_acquire));
  return *form.release();
}

size_t CodedForms::behind_others() const {
  size_t count = 0;
  for (const CodedForm* form = first_.load(std::memory_order_acquire); form; form = form->next_)
    count += form->name_.behind != 0;
  return count;
}

}  // namespace sluice

#include "mapping_texts.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <string>

namespace drover {

std::unique_ptr<MappingTexts> MappingTexts::make() {
  UniqueFd memory(memfd_create("drover-mappings", MFD_CLOEXEC));
  if (!memory.valid() || ftruncate(memory.get(), mappingTextsRoom) != 0) return nullptr;
  void* list = mmap(nullptr, mappingTextsRoom, PROT_READ | PROT_WRITE, MAP_SHARED, memory.get(), 0);
  if (list == MAP_FAILED) return nullptr;
  return std::unique_ptr<MappingTexts>(new MappingTexts(std::move(memory), static_cast<mapping_texts*>(list)));
}

MappingTexts::~MappingTexts() {
  ends_ = true;
  if (work_.valid()) work_.wait();
  munmap(list_, mappingTextsRoom);
}

void MappingTexts::begin(std::function<std::vector<pid_t>()> processes) {
  work_ = std::async(std::launch::async, [this, processes = std::move(processes)] { readAll(processes()); });
}

void MappingTexts::readAll(const std::vector<pid_t>& processes) {
  const size_t count = std::min<size_t>(processes.size(), mappingTextsMost);
  for (size_t i = 0; i < count; i++) __atomic_store_n(&list_->texts[i].pid, processes[i], __ATOMIC_RELEASE);
  uint64_t offset = sizeof *list_;
  for (mapping_text* text = list_->texts; text < list_->texts + count && !ends_; text++) {
    uint32_t state = mappingTextFree;
    if (!__atomic_compare_exchange_n(&text->state, &state, mappingTextReading, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) continue;
    text->offset = offset;
    text->length = read(text->pid, offset);
    offset += text->length;
    __atomic_store_n(&text->state, text->length > 0 ? mappingTextThere : mappingTextNone, __ATOMIC_RELEASE);
    syscall(SYS_futex, &text->state, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
  }
}

uint64_t MappingTexts::read(pid_t process, uint64_t offset) const {
  UniqueFd file(open(("/proc/" + std::to_string(process) + "/smaps").c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return 0;
  char* bytes = reinterpret_cast<char*>(list_);
  uint64_t at = offset;
  for (ssize_t count = 1; count > 0; at += static_cast<uint64_t>(count)) {
    // Full: its end is not known.
    if (at == mappingTextsRoom) return 0;
    count = ::read(file.get(), bytes + at, mappingTextsRoom - at);
    if (count < 0) return 0;
  }
  return at - offset;
}

}  // namespace drover

// /proc/PID/smaps of all processes of a container that stands still, read on a second processor while its CRIU begins, and handed to that
// (preload/mapping_texts.h). What is not read in time CRIU reads by itself.
#pragma once

#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <vector>

#include "../preload/mapping_texts.h"
#include "unique_fd.h"

namespace drover {

class MappingTexts {
 public:
  /** Null: there is no memory for it. */
  static std::unique_ptr<MappingTexts> make();
  /** Waits until the text that is being read is there. */
  ~MappingTexts();
  MappingTexts(const MappingTexts&) = delete;
  MappingTexts& operator=(const MappingTexts&) = delete;

  /** For CRIU. */
  int descriptor() const { return memory_.get(); }
  /** The container stands still: `processes` says which ones it has, by their numbers on the host. */
  void begin(std::function<std::vector<pid_t>()> processes);

 private:
  MappingTexts(UniqueFd memory, mapping_texts* list) : memory_(std::move(memory)), list_(list) {}
  void readAll(const std::vector<pid_t>& processes);
  /** The bytes at `offset`; 0: it could not be read. */
  uint64_t read(pid_t process, uint64_t offset) const;

  UniqueFd memory_;
  mapping_texts* list_;
  std::atomic<bool> ends_ = false;
  std::future<void> work_;
};

}  // namespace drover

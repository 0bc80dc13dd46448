// Memory that processes share through a file without a name: mmap(2) with MAP_SHARED and MAP_ANONYMOUS, and memfd_create(2). Whoever maps it may
// write it, and be gone or not yet there when somebody looks, so no protection of pages tells all that was written. Its content does: each
// page has a number (page_hash.h), and what has another one than when it was copied was written.
#pragma once

#include <sys/types.h>

#include <memory>

#include "copied_memory.h"
#include "page_hash.h"
#include "unique_fd.h"

namespace drover {

class SharedMemory final : public CopiedMemory {
 public:
  /** What these processes map, each once, of at least `leastPages` that are there. */
  static std::vector<std::unique_ptr<SharedMemory>> of(const std::vector<pid_t>& processes, uint64_t leastPages, size_t most);

  /** By which CRIU knows it: its inode. */
  uint64_t id() const { return id_; }
  std::string pagemapName() const override;
  const std::vector<PageRange>& ranges() const override { return ranges_; }
  Result<std::vector<PageRange>> takeWritten() override;
  Status read(uint64_t offset, void* buffer, size_t length) const override;
  void copied(uint64_t offset, const char* page) override;
  bool writtenByDevices() const override { return false; }
  /** What is now as it was copied. As fast as it can be had: for when everybody stands still. */
  Result<std::vector<PageRange>> unchanged() const;

 private:
  SharedMemory(UniqueFd file, uint64_t id, uint64_t sizeBytes);
  enum class State : uint8_t { nothing, same, different };
  Result<std::vector<State>> compare(unsigned threads) const;
  Result<std::vector<PageRange>> data() const;
  void compareRun(const PageRange& run, char* buffer, State* states) const;

  UniqueFd file_;
  uint64_t id_;
  uint64_t sizeBytes_;
  std::vector<PageRange> ranges_;
  /** Of each page, as it was copied, if it was. */
  std::vector<PageHash> hashes_;
  std::vector<uint8_t> known_;
};

}  // namespace drover

// Which pages of a process have been written since when, told by the kernel: a userfaultfd that belongs to the process write-protects
// its private anonymous memory in asynchronous mode (each first write lifts the protection by itself, nobody waits), and PAGEMAP_SCAN
// reports and protects anew. From Linux 6.7; unlike soft-dirty it needs no build option. The kernel forgets it all when the
// descriptor is closed. Memory that is mapped later, moved, or the process's after an exec or fork counts as written.
// See Documentation/admin-guide/mm/pagemap.rst and userfaultfd.rst.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

#include "copied_memory.h"
#include "unique_fd.h"

namespace drover {

class PageTracking final : public CopiedMemory {
 public:
  /** Whether this kernel does all of it; tried once, on the engine itself. */
  static bool supported();
  /** Looks at what could be tracked. */
  static Result<PageTracking> look(pid_t pid);
  /** That is there. */
  uint64_t pages() const { return pages_; }
  /** Nothing counts as unwritten until the first `takeWritten`. Ranges are empty when nothing can be tracked. */
  Status begin();

  pid_t pid() const { return pid_; }
  /** The pid that it has inside the container. */
  pid_t innerPid() const { return innerPid_; }
  std::string pagemapName() const override { return "pagemap-" + std::to_string(innerPid_) + ".img"; }
  const std::vector<PageRange>& ranges() const override { return ranges_; }
  Result<std::vector<PageRange>> takeWritten() override;
  Status read(uint64_t address, void* buffer, size_t length) const override;
  /** The kernel knows. */
  void copied(uint64_t, const char*) override {}
  /** Past the protection: it has a file open with O_DIRECT, or asynchronous reads. */
  bool writtenByDevices() const override;

 private:
  pid_t pid_ = 0;
  pid_t innerPid_ = 0;
  uint64_t pages_ = 0;
  std::vector<PageRange> worth_;
  UniqueFd userfault_, pagemap_, memory_;
  std::vector<PageRange> ranges_;
  PageRange unchanging_;
  bool toldOnce_ = false;
};

}  // namespace drover

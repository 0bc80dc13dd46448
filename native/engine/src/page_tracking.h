// Which pages of a process have been written since when, told by the kernel: a userfaultfd that belongs to the process write-protects
// its private anonymous memory in asynchronous mode (each first write lifts the protection by itself, nobody waits), and PAGEMAP_SCAN
// reports and protects anew. From Linux 6.7; unlike soft-dirty it needs no build option. The kernel forgets it all when the
// descriptor is closed. Memory that is mapped later, moved, or the process's after an exec or fork counts as written.
// See Documentation/admin-guide/mm/pagemap.rst and userfaultfd.rst.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

#include "error.h"
#include "unique_fd.h"

namespace drover {

constexpr uint64_t pageBytes = 4096;

struct PageRange {
  uint64_t start = 0;
  uint64_t end = 0;
  /** Of a mapping: flags that it was made with and that its pages' next home has to have, too (MAP_NORESERVE). */
  int flags = 0;
  uint64_t pages() const { return (end - start) / pageBytes; }
};

class PageTracking {
 public:
  /** Whether this kernel does all of it; tried once, on the engine itself. */
  static bool supported();
  /** Begins to track; nothing counts as unwritten until the first `takeWritten`. Ranges are empty when it is not worth it. */
  static Result<PageTracking> begin(pid_t pid, uint64_t leastPages);

  pid_t pid() const { return pid_; }
  /** The pid that it has inside the container. */
  pid_t innerPid() const { return innerPid_; }
  /** What is tracked, in ascending order; fixed from the beginning. */
  const std::vector<PageRange>& ranges() const { return ranges_; }
  /** What was written since the last call (at first: all that is there), which from now on counts as unwritten. */
  Result<std::vector<PageRange>> takeWritten();
  /** Reads its memory, as it is now. */
  Status read(uint64_t address, void* buffer, size_t length) const;
  /** Devices may write into its memory past the protection: it has a file open with O_DIRECT, or asynchronous reads. */
  bool writtenByDevices() const;

 private:
  pid_t pid_ = 0;
  pid_t innerPid_ = 0;
  UniqueFd userfault_, pagemap_, memory_;
  std::vector<PageRange> ranges_;
  PageRange unchanging_;
  bool toldOnce_ = false;
};

}  // namespace drover

// Memory that is copied while its processes go on writing it (memory_copy.h): a process's own (page_tracking.h), or what several share
// (shared_memory.h). Both say what was written since when, each in its way.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "error.h"

namespace drover {

constexpr uint64_t pageBytes = 4096;

struct PageRange {
  uint64_t start = 0;
  uint64_t end = 0;
  /** Of a mapping: flags that it was made with and that its pages' next home has to have, too (MAP_NORESERVE). */
  int flags = 0;
  /** Of a mapping: it is of a file, and what is copied of it are pages that were written to and are the process's own since. */
  bool ofFile = false;
  uint64_t pages() const { return (end - start) / pageBytes; }
};

class CopiedMemory {
 public:
  CopiedMemory() = default;
  virtual ~CopiedMemory() = default;
  CopiedMemory(const CopiedMemory&) = delete;
  CopiedMemory& operator=(const CopiedMemory&) = delete;
  CopiedMemory(CopiedMemory&&) = default;
  CopiedMemory& operator=(CopiedMemory&&) = default;

  /** The name that CRIU gives to the image that lists its pages. */
  virtual std::string pagemapName() const = 0;
  /** What is copied, in ascending order; fixed from the beginning. */
  virtual const std::vector<PageRange>& ranges() const = 0;
  /** What was written since the last call (at first: all that is there), which from now on counts as unwritten. */
  virtual Result<std::vector<PageRange>> takeWritten() = 0;
  /** Reads it, as it is now. */
  virtual Status read(uint64_t address, void* buffer, size_t length) const = 0;
  /** This is what the destination has of a page from now on. */
  virtual void copied(uint64_t address, const char* page) = 0;
  /** Devices may write into it without being noticed. */
  virtual bool writtenByDevices() const = 0;
};

}  // namespace drover

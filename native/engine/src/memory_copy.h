// Memory on its way to another host while the container runs (engine method `copyMemory`). The pages of processes with more than a few (page_tracking.h)
// and of what processes share (shared_memory.h) are written out in rounds, the first all of them, each later one what was written
// since. The destination lays them into the image files of a CRIU dump that never was: the parent of the one that follows. That one
// then holds only what is not unwritten since the last round, and CRIU finds the rest in the parent, as with its own incremental dumps.
//
// A part is a file: u32 count; count times {u32 image, u32 pages, u64 offset in pages}; then the pages. Numbers are little-endian.
// `image` is the number of a file pages-<image>.img, which has a place for every page of every tracked mapping
// or memory and is mostly holes.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "container.h"
#include "engine.h"
#include "error.h"
#include "page_tracking.h"
#include "shared_comparison.h"

namespace drover {

class MemoryCopy {
 public:
  /** Begins to track; writes the parent's image files, without the pages, into `directory`. */
  static Result<std::unique_ptr<MemoryCopy>> begin(Engine& engine, const Container& container, const std::string& directory);

  struct Part {
    /** File name in the directory; empty: nothing was left to write, all is unwritten. */
    std::string file;
    int64_t bytes = 0;
    int64_t round = 0;
    /** Of this round, still to come. */
    int64_t leftBytes = 0;
  };
  /** The next part of this round, at most `mostBytes` of pages; when the last one was complete, of a new round. */
  Result<Part> next(int64_t mostBytes);

  const std::string& directory() const { return directory_; }
  bool anything() const { return !tasks_.empty(); }
  /** For the frozen container: whether the dump may rely on what was copied. */
  bool reliable() const;
  /** Before CRIU is asked for such a dump: what decides over the memory that is shared. Null: none was copied. Must not outlive this. */
  Result<std::unique_ptr<SharedComparison>> announceComparison() const;

 private:
  struct Pending {
    size_t task;
    PageRange range;
  };
  explicit MemoryCopy(std::string directory) : directory_(std::move(directory)) {}
  Status add(std::unique_ptr<CopiedMemory> memory);
  Status writeImages(size_t task) const;
  Status beginRound();
  /** Place of a page in the file of its task's pages. */
  uint64_t placeOf(const CopiedMemory& task, uint64_t address) const;

  const std::string directory_;
  std::vector<std::unique_ptr<CopiedMemory>> tasks_;
  std::vector<const SharedMemory*> shared_;
  std::vector<Pending> pending_;
  int64_t round_ = 0;
  int64_t parts_ = 0;
};

/** The engine method: {file, bytes, round, leftBytes, tracked}. `mostBytes` 0: forgets what was begun. */
Result<nlohmann::json> copyMemory(Engine& engine, const std::shared_ptr<Container>& container, const std::string& directory, int64_t mostBytes);
/** Takes out what was begun for this container; null if nothing was. */
std::unique_ptr<MemoryCopy> takeMemoryCopy(const std::string& container);

}  // namespace drover

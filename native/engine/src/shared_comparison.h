// What of the memory that processes share need not be dumped, since it is as it was when it went ahead. It is looked at when the container stands
// still, on a second processor while CRIU begins; CRIU, when it comes to such memory, waits for the list (preload/shared_dump.h) and
// passes over what is in it. A list that never comes is an empty one.
//
// The list is the file `unchanged` beside the parent images, held locked (flock(2)) until it is whole: entries of {u64 memory, u64 start, u64 end}.
#pragma once

#include <future>
#include <map>

#include "shared_memory.h"

namespace drover {

class SharedComparison {
 public:
  /** Before CRIU is asked for a dump that knows `directory` as its parent. */
  static Result<std::unique_ptr<SharedComparison>> announce(std::vector<const SharedMemory*> all, const std::string& directory);
  /** The container stands still. */
  void begin();
  /** What is as it was, by memory. Waits for the end. */
  const std::map<uint64_t, std::vector<PageRange>>& unchanged();

 private:
  SharedComparison(std::vector<const SharedMemory*> all, UniqueFd list) : all_(std::move(all)), list_(std::move(list)) {}
  void compare();

  const std::vector<const SharedMemory*> all_;
  UniqueFd list_;
  std::map<uint64_t, std::vector<PageRange>> unchanged_;
  /** Last: its destructor waits. */
  std::future<void> work_;
};

}  // namespace drover

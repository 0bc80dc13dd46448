// The lines of /proc/PID/maps (proc(5)). A process chooses the names of files and of its anonymous memory, which are in there: what the
// kernel made is known by the whole name alone. No effects; fuzzed as `memory-map`.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace drover {

struct Mapping {
  uint64_t start = 0, end = 0;
  bool readable = false, writable = false, isPrivate = false;
  /** 0: no file. */
  uint64_t inode = 0;
  /** Of the file, or as `[heap]`; a part of the line. Empty: none. */
  std::string_view name;
};

std::optional<Mapping> parseMapping(std::string_view line);
/** Where the kernel has put the vDSO. */
std::optional<Mapping> vdsoIn(std::string_view maps);

}  // namespace drover

// Paths of a container, resolved within its root whatever links are there. Fuzzed as `paths`.
#pragma once

#include <string>

#include "error.h"
#include "unique_fd.h"

namespace drover {

/** As openat(2), but within the root; errno tells why not. */
UniqueFd openWithin(int root, const std::string& path, int flags);
/**
 * Whether the descriptor is on a file system that holds files, and not a window to the kernel: the engine is root, and a link
 * in a container to /proc/sys/kernel/core_pattern must not make it do what the container may not.
 */
bool holdsFiles(int descriptor);
/** A regular file of at most `limit` bytes; an error of code FILE_NOT_FOUND when there is none. */
Result<std::string> readWithin(int root, const std::string& path, size_t limit);

}  // namespace drover

// Names of the files that processes of a container watch by inotify or fanotify. CRIU carries a watch over by the file's path, and asks the
// kernel for it by the file's handle; overlayfs knows the path of a file (not of a directory) only as long as its name is cached.
// Without a path CRIU keeps the bare handle, which names nothing, or something else, on another host: the watch is lost there, or
// the restore fails. So the names are looked up before the freeze, and held, which keeps them cached, until the dump is over.
#pragma once

#include <sys/types.h>

#include <vector>

#include "error.h"
#include "unique_fd.h"

namespace drover {

/**
 * Open descriptors (O_PATH) of the watched files of the container's root file system; they hold the names. An error: a watched
 * file has no name there, or no name was found in time. */
Result<std::vector<UniqueFd>> holdWatchedNames(pid_t init, const std::vector<pid_t>& processes);

}  // namespace drover

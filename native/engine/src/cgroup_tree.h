// The cgroups that a container made inside its own (systemd makes a slice or scope for each service). CRIU carries over only those
// that hold processes; the empty ones are missed by whoever watches their cgroup.events (systemd does, by inotify), and the
// settings of inner nodes by whatever is below. So the engine writes the tree down beside CRIU's images and makes it again
// before the restore.
#pragma once

#include <string>

#include "error.h"

namespace drover {

/** Writes the cgroup2 tree below `cgroup` (itself left out) to `cgroups.json` in the directory. */
Status saveCgroupTree(const std::string& cgroup, int directory);
/** Makes what the file says below `cgroup`. No file: nothing to make. Names that lead out of it are refused. */
Status restoreCgroupTree(const std::string& cgroup, int directory);

}  // namespace drover

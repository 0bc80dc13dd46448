// A short-lived child of the engine inside the mount namespace of a process: for mounts that must be made there. It keeps the engine's
// privileges, so it must not look up any path there: all it uses was opened before.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>

#include "error.h"

namespace drover {

/**
 * Runs `work` (0 or an errno; only system calls, nothing allocated) there. `asItsRoot`: in its user namespace as well, with that
 * one's privileges only, so that paths may be looked up. A process that has ended meanwhile is no error.
 */
Status runInMountNamespace(pid_t process, bool asItsRoot, const std::string& doing, const std::function<int()>& work);

}  // namespace drover

// A mount namespace with nothing in it but an empty, read-only directory: the spawners of inits are in it, so that a container's begins as a
// copy of that. Its root is then mounted over the empty one, as that of every Linux is over the kernel's own, and nothing of the host
// lies below. No init has to change its root by pivot_root, for which the kernel looks at every thread of the host: 1 ms with a
// thousand containers, in which none of them can fork or end.
#pragma once

#include "error.h"
#include "unique_fd.h"

namespace drover {

/** The only directory in it: where an init has for a moment what it needs of the host. */
constexpr const char* hostDirectory = "/host";
/** Directories in that one, each for a mount: the host's proc and sysfs, and lxcfs. */
constexpr const char* hostMounts[] = {"/host/proc", "/host/sys", "/host/view"};

/** A descriptor to enter it by; it goes with the last one. Forks: only while the engine has no threads. */
Result<UniqueFd> makeEmptyNamespace();

}  // namespace drover

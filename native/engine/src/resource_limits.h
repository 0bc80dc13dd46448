// How far each process of a container may go: setrlimit(2), inherited from its init. Between fork and execve it is done in two steps: what
// is above the host's own limits while the child still may, and all of it at the very end, since a child of the engine has more files open
// than a container may be given.
#pragma once

#include <sys/types.h>

#include <span>
#include <vector>

#include "error.h"
#include "kernel_settings.h"

namespace drover {

/** The hard limits alone, and upwards only. More than the host lets the engine give is an error that names it. */
Status raiseResourceLimits(pid_t process, const ResourceLimits& limits);
/** The same of the calling process: 0 or an errno. */
int raiseOwnResourceLimits(const ResourceLimits& limits);
/** Of the calling process, whose hard limits are as high: 0 or an errno. */
int setOwnResourceLimits(std::span<const ResourceLimit> limits);
/** Of a container that runs. A refusal leaves all as it was; processes that end meanwhile are no error. */
Status changeResourceLimits(pid_t init, const std::vector<pid_t>& processes, const ResourceLimits& limits);

}  // namespace drover

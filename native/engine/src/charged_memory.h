// Memory is counted to the cgroup that a process sits in when it gets it, and stays so wherever the process goes afterwards.
#pragma once

#include <string>
#include <sys/types.h>

#include "cgroup.h"
#include "error.h"
#include "unique_fd.h"

namespace drover {

/**
 * What `pid` comes to have in memory from now on is the container's (on v2 it sits in the container's cgroup for all purposes).
 * Written its pid to, the descriptor takes it back to where it was; invalid: there is no memory controller, and nothing was done.
 */
Result<UniqueFd> chargeMemory(const Cgroups& cgroups, const std::string& container, pid_t pid);

}  // namespace drover

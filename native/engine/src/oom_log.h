// Whom the kernel killed for want of memory: only its log says so (mm/oom_kill.c, the line that begins with `oom-kill:`).
#pragma once

#include <string>

namespace drover {

/** Name of the last process that was killed at the limit of this cgroup (a path such as /drover/c7); empty: the log doesn't say. */
std::string lastOomVictim(const std::string& cgroup);

}  // namespace drover

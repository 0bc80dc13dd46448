// Which CPUs threads are bound to (sched_setaffinity(2)), which CRIU (4.2) leaves behind: written beside its images, and given back to the
// restored threads while the freezer holds them. A thread that may run wherever its container may is not bound.
#pragma once

#include <sched.h>
#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cgroup.h"
#include "error.h"

namespace drover {

struct BoundThread {
  /** As the container sees them. */
  pid_t process = 0, thread = 0;
  /** Of the process. */
  std::string name;
  cpu_set_t cpus{};
};

/** `0-2,5`, as cpuset(7) has it; none: it is not a list, or has a CPU beyond what cpu_set_t holds. */
std::optional<cpu_set_t> parseCpuList(std::string_view text);
std::string formatCpuList(const cpu_set_t& cpus);

/** Those of these processes; the container's cgroup says where it may run at all. */
std::vector<BoundThread> boundThreads(const Cgroups& cgroups, const std::string& container, const std::vector<pid_t>& processes);

/** Of the frozen container, into the directory of the images; no file: no thread is bound. */
Status saveAffinities(const Cgroups& cgroups, const std::string& container, int directory);
/** Binds the restored threads. One whose CPUs this host hasn't got may run anywhere. */
Status restoreAffinities(const Cgroups& cgroups, const std::string& container, int directory);

}  // namespace drover

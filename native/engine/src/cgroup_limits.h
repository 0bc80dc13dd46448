// The limits of a container as the kernel takes them, on cgroup v2 and on v1's controllers. A hierarchy gets what its controllers
// know and no more. What a kernel has no file for is passed over when a container is made (it must run on any host), and refused by
// name when somebody asks for it on a running one. See Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/.
#pragma once

#include <set>
#include <string>

#include "cgroup.h"
#include "error.h"
#include "spec.h"

namespace drover {

/** Whether v1's cpuset is asked for anything: lxcfs looks for a limit of processor time at the path that cpuset has, too. */
inline bool needsCpuset(const Limits& limits) { return !limits.cpus.empty() || limits.cpuMilli > 0; }

/**
 * `before`: the limits so far, or the same again where nothing is asked for. `live`: the cgroup has processes and other limits before; else it is new, and what nobody limits is left as the kernel made it. Memory is then never lowered below what is in use and can't be given
 * back: nothing is killed by a change.
 */
Status applyLimits(const Hierarchy& hierarchy, const std::string& parent, const std::string& directory, const Limits& before,
                   const Limits& limits, const std::string& ioDevice, bool live);

/** Refuses a change that asks for a limit of which none of these controllers knows, by the limit's name. */
Status refuseUnknownLimits(const std::set<std::string>& controllers, const Limits& from, const Limits& to);

/** Only those of processor time, its weight among them, and of the number of processes; of a cgroup that has some. */
Status applyRunLimits(const Hierarchy& hierarchy, const std::string& directory, const Limits& limits);

/** None of these, and processor time before everybody else. */
Limits noRunLimits();

/**
 * cgroup v2 has no way to wait at the limit instead of killing, so that under the policy `freeze` the limit is memory.high, where processes are
 * slowed down ever more, and memory.max lies so far behind it: the way to a stand.
 */
int64_t brakingBytes(int64_t limit);

/** major:minor of the whole disk below the path's file system; empty when that has none (tmpfs, btrfs). */
std::string blockDeviceOf(const std::string& path);

}  // namespace drover

// The list of devices that a container may use, on cgroup v2: an eBPF program on its cgroup, as v1's devices controller is on v1. See
// cgroup-v2.rst, “Device controller”. Replacing the program changes the list of a container that runs, at once.
#pragma once

#include <string>
#include <vector>

#include "error.h"

namespace drover {

/** From now on the processes in and below the cgroup use these devices and no others. */
Status filterDevices(const std::string& cgroup, const std::vector<std::string>& rules);

/** Whether the kernel takes such programs from us. */
bool mayFilterDevices(const std::vector<std::string>& rules);

}  // namespace drover

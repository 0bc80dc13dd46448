// Writes variables of the namespaces of a process into /proc/sys: by root of the host or of the container, as the kernel will have it.
#pragma once

#include <sys/types.h>

#include "error.h"
#include "kernel_settings.h"

namespace drover {

enum class SysctlScope {
  all,
  /** Only those of the network: CRIU carries the others. */
  network,
};
/** In the network, IPC and UTS namespaces of `process`. The error names the first variable that the kernel refuses; the others are then as they were. */
Status setSysctls(pid_t process, const Sysctls& sysctls, SysctlScope scope = SysctlScope::all);

}  // namespace drover

// What is configured inside a container's network namespace, which CRIU is told to leave alone: one file beside its images. At the destination the engine
// makes the network as for a start, and then gives it what is in the file; an untouched network has none. See network_links.h, network_routes.h,
// network_sysctls.h, x_tables_state.h, nf_tables_state.h, conntrack_state.h.
#pragma once

#include <string>

#include "error.h"
#include "spec.h"

namespace drover {

/** Of the frozen container, into the directory of the images. `process` is one of its processes; without sysctls when it has written none. */
Status saveNetwork(pid_t process, const Spec& spec, bool withSysctls, int directory);
/** Into a network as createVeth and the devices make it, while no process looks at it; true: sysctls were among it. */
Result<bool> restoreNetwork(int networkNamespace, int directory);

}  // namespace drover

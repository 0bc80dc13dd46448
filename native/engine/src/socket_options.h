// Options of sockets, and memberships in multicast groups, which CRIU (4.2) leaves behind: written beside its images, and given back to the restored sockets
// while the freezer holds the processes. Only what isn't as in a new socket of that kind.
#pragma once

#include <sys/types.h>

#include <vector>

#include "error.h"

namespace drover {

/** Of these processes of the frozen container, into the directory of the images; no file: nothing. */
Status saveSocketOptions(const std::vector<pid_t>& processes, int directory);
/** What this host's kernel doesn't take is passed over. */
Status restoreSocketOptions(const std::vector<pid_t>& processes, int directory);

}  // namespace drover

// Nodes of devices in the /dev of a container, and what things are mounted on: made through a descriptor of its root, whose owner
// names everything in it.
#pragma once

#include <sys/types.h>

#include <string>

#include "device_plan.h"
#include "error.h"
#include "unique_fd.h"

namespace drover {

/** The directory, or the file that something is mounted on; made, with its parents, for the container's root. */
Result<UniqueFd> makeWithin(int root, const std::string& path, uid_t owner, bool directory);
/** Nodes work only on the container's disk: what its own user namespace has mounted lets none be opened. */
Status makeNode(int root, const DeviceNode& node, uid_t owner);
void removeNode(int root, const std::string& path);

}  // namespace drover

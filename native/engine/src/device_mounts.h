// Directories, files and memory that are mounted in a container as it runs.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "device.h"
#include "error.h"
#include "spec.h"
#include "unique_fd.h"

namespace drover {

/**
 * A file system of the host as a detached mount on which the container's users own what the same users of the host own; with what is
 * mounted below it, if the device says so.
 */
Result<UniqueFd> idmappedTree(const Device& device, int userNamespace);
bool mountedAt(pid_t pid, const std::string& path);
/** A bind or a tmpfs, at its path in the container whose init is `pid`, unless something is mounted there. */
Status mountDevice(const Spec& spec, pid_t pid, int root, const Device& device);
/** Whatever still uses it keeps it. Nothing mounted there is no error. */
Status unmountDevice(pid_t pid, const std::string& path);
/** In each mount namespace of the container's processes, which are asked for again until none has it; BUSY, as long as one of them uses it. */
Status unmountEverywhere(const std::function<std::vector<pid_t>()>& processes, const std::string& path);

}  // namespace drover

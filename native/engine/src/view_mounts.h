// The mounts through which a container sees its own numbers: how a move names them, and how a running container gets them (again).
// A start makes them in its child (init_child).
#pragma once

#include <string>
#include <vector>

#include "container.h"
#include "error.h"

namespace drover {

/** CRIU's `external` options: the mounts are not part of the dump … */
std::vector<std::string> viewMountsForDump();
/** … and are of this host's lxcfs after the restore, or, with an empty `root`, of its plain /proc and /sys. */
std::vector<std::string> viewMountsForRestore(const std::string& root);
/**
 * Has the kernel look up what a restore is about to mount, beside it: lxcfs answers a question per folder, which CRIU would wait for; the
 * kernel remembers the answers for a second.
 */
void warmViewMounts(const std::string& root);
/**
 * Gives every mount namespace of a running container mounts of the lxcfs at `root`, where it has none or those of one that has ended.
 * `processes`: all of the container's. Touches nothing when all is well; leaves alone what the container has mounted there itself.
 */
Status mountView(const std::string& root, const std::vector<pid_t>& processes);

}  // namespace drover

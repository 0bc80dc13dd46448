// Files that the engine writes below a container's root before its init runs: mount points, device nodes, hostname,
// machine-id, hosts, resolv.conf. Images are not trusted: every path is resolved inside the root (openat2), no link of the
// image leads out of it, and what the container's own writable layer has already is kept.
#pragma once

#include "container.h"
#include "error.h"

namespace drover {

/** What the child mounts on. `root` is the root of the mounted overlay (openRootfs). Idempotent. */
Status makeMountPoints(const Container& container, const Spec& spec, int root);
/** All else, also while the child mounts. Idempotent. */
Status writeRootFiles(const Container& container, const Spec& spec, int root);

}  // namespace drover

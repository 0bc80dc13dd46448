// Files that the engine writes below a container's root before its init runs: mount points, device nodes, hostname,
// machine-id, hosts, resolv.conf. Images are not trusted: every path is resolved inside the root (openat2), no link of the
// image leads out of it, and what the container's own writable layer has already is kept.
#pragma once

#include "container.h"
#include "error.h"
#include "mounts.h"

namespace drover {

/**
 * The layer below all images: the usual devices and mount points, made once per host instead of in each writable layer, where they would
 * be inodes of each container's own. Whatever is missing; nothing that is there changes, as containers may be using it. When a container
 * has its own of them in image or writable layer, those are seen. They are made there, too, where the layer can't be used (mounts).
 */
Status makeBottomLayer(const std::string& directory);
/** What the child mounts on. `root` is of the container. Idempotent. */
Status makeMountPoints(const Container& container, const Spec& spec, int root);
/** The devices, where they are not those of the layer below. Idempotent. */
Status makeDevices(const Container& container, const Spec& spec, const Rootfs& rootfs);
/** All else, also while the child mounts. Idempotent. */
Status writeRootFiles(const Container& container, const Spec& spec, int root);

}  // namespace drover

// How much a container's writable layer may hold. The file system of the engine's state does it, by project quotas (ext4 and XFS): all that
// is made in the layer belongs to the container's project, whose number is the first of its uids. Then `df` inside shows the limit as well.
// A file system that has none (mounted without prjquota, or btrfs, tmpfs) holds no limit: a container must start on any host, so that it
// is passed over there, and refused only when somebody changes it. See quotactl(2), Documentation/filesystems/ext4/super.rst.
#pragma once

#include <cstdint>
#include <string>

#include "container.h"
#include "error.h"

namespace drover {

/** Whether the file system there enforces project quotas. */
bool limitsDisks(const std::string& directory);
/**
 * The layer belongs to its project, which has the limit of the spec. Before its processes are there: files of a layer that came from
 * elsewhere are told one by one. Where there are no quotas, nothing.
 */
Status holdDisk(const Container& container, const Spec& spec);
/** 0: none. Refused where there are no quotas, and below what is in use. `live`: it has processes. */
Status changeDiskLimit(const Container& container, const Spec& spec, int64_t bytes, bool live);
/** The container is gone: so is what the file system kept of its project. */
void forgetDiskLimit(const std::string& stateDirectory, const Spec& spec);

}  // namespace drover

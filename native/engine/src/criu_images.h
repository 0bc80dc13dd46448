// What the engine reads of CRIU's image files, and mends (criu_images.proto). No effects; fuzzed as `criu-images`.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "copied_memory.h"
#include "error.h"

namespace drover {

/** Paths of the open regular files in a files.img. */
Result<std::vector<std::string>> regularFilesIn(std::string_view image);

/**
 * A files.img whose periodic timers go on. One that has expired and was not read yet stands still in the kernel until it is read
 * (fs/timerfd.c), so CRIU (4.2) finds no time left and restores it disarmed, for ever. It begins its next period when it is restored. None:
 * nothing is to be mended.
 */
Result<std::optional<std::string>> withTimersArmed(std::string_view image);

/**
 * Of a cgroup.img: which sets of cgroups are another one's equal, by their ids. CRIU (4.2) makes a set for each process but the first, for it
 * compares before it knows where a cgroup namespace begins. What has its parent's set needs not be moved at a restore.
 */
Result<std::map<uint32_t, uint32_t>> equalCgroupSets(std::string_view image);
/** A core-*.img with the sets that are named instead of its own; none: nothing is to be changed. */
Result<std::optional<std::string>> withCgroupSets(std::string_view image, const std::map<uint32_t, uint32_t>& instead);

/** A pagemap-*.img with what of these ranges it has no pages of: that is in the parent images. None: nothing is. The ranges are in ascending order. */
Result<std::optional<std::string>> withPagesOfParent(std::string_view image, const std::vector<PageRange>& ranges);

}  // namespace drover

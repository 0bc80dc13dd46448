// The cgroups that a container made inside its own (systemd makes a slice or scope for each service). CRIU carries over only those
// that hold processes; the empty ones are missed by whoever watches their cgroup.events (systemd does, by inotify), and the
// settings of inner nodes by whatever is below. So the engine writes the tree down beside CRIU's images and makes it again
// before the restore.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "error.h"

namespace drover {

/** Writes the cgroup2 tree below `cgroup` (itself left out) to `cgroups.json` in the directory. */
Status saveCgroupTree(const std::string& cgroup, int directory);
/** Makes what the file says below `cgroup`. No file: nothing to make. Names that lead out of it are refused. */
Status restoreCgroupTree(const std::string& cgroup, int directory);


/** The cgroup itself and the files in it that belong to whoever manages it. */
constexpr size_t delegatedFiles = 4;

struct CgroupOwner {
  uint32_t uid = 0, gid = 0;
};

/** One cgroup of the file. `path` is relative and leads to nowhere else. */
struct SavedCgroup {
  std::string path;
  std::vector<std::pair<std::string, std::string>> settings;
  std::array<std::optional<CgroupOwner>, delegatedFiles> owners;
};

/** The text of `cgroups.json`. No effects; fuzzed as `cgroup-tree`. */
Result<std::vector<SavedCgroup>> parseCgroupTree(std::string_view text);

}  // namespace drover

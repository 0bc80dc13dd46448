// Finds the cgroup hierarchies that this process sees, and makes the engine's own cgroup in each. See cgroup.h.
#include <fcntl.h>
#include <sys/stat.h>

#include <map>
#include <sstream>

#include "cgroup.h"
#include "file_io.h"
#include "mountinfo.h"

// In sys/stat.h since glibc 2.28, but the mount id only since Linux 5.8's headers.
#ifndef STATX_MNT_ID
#define STATX_MNT_ID 0x00001000U
#endif

namespace drover {

namespace {

constexpr size_t mostMounts = 100'000;

/** Whether a path leads to this mount, and not to one that was mounted over it later. */
bool visible(const MountLine& mount) {
  struct statx info;
  if (statx(AT_FDCWD, mount.path.c_str(), AT_NO_AUTOMOUNT, STATX_MNT_ID, &info) != 0) return false;
  return !(info.stx_mask & STATX_MNT_ID) || info.stx_mnt_id == mount.id;
}

std::set<std::string> words(const std::string& text, char separator) {
  std::set<std::string> result;
  std::istringstream stream(text);
  for (std::string word; std::getline(stream, word, separator);)
    if (!word.empty()) result.insert(word);
  return result;
}

std::string firstLine(const Result<std::string>& content) {
  return content.ok() ? content.value().substr(0, content.value().find('\n')) : "";
}

std::set<std::string> v1Controllers(const std::string& superOptions) {
  std::set<std::string> controllers;
  for (const auto& word : words(superOptions, ',')) {
    if (word == "rw" || word == "ro" || word == "none" || word == "xattr" || word == "clone_children" || word == "cpuset_v2_mode" ||
        word == "seclabel" || word.starts_with("release_agent"))
      continue;
    controllers.insert(word.starts_with("name=") ? word.substr(5) : word);
  }
  return controllers;
}

/** v1 cpuset: nothing can join a cgroup without cpus and mems. */
void inheritCpuset(const std::string& parent, const std::string& directory) {
  for (const char* file : {"/cpuset.cpus", "/cpuset.mems"}) {
    if (!firstLine(readFile(directory + file)).empty()) continue;
    std::string inherited = firstLine(readFile(parent + file));
    if (auto status = writeKernelFile(directory + file, inherited); !status.ok()) continue;
  }
}

}  // namespace

Result<bool> makeCgroup(const Hierarchy& hierarchy, const std::string& parent, const std::string& directory) {
  const bool made = mkdir(directory.c_str(), 0755) == 0;
  if (!made && errno != EEXIST) return errnoError("make cgroup " + directory);
  if (hierarchy.controllers.contains("cpuset") && !hierarchy.unified) inheritCpuset(parent, directory);
  return made;
}

namespace {

/** v2: lets the children of `directory` have every controller that it has itself. A refusal only means no limits there. */
void delegateControllers(const std::string& directory) {
  for (const auto& controller : words(firstLine(readFile(directory + "/cgroup.controllers")), ' '))
    if (auto status = writeKernelFile(directory + "/cgroup.subtree_control", "+" + controller); !status.ok()) continue;
}

Status makeParent(const Hierarchy& hierarchy, const std::string& parent) {
  std::string above = hierarchy.mountPoint;
  for (const auto& name : [&] {
         std::vector<std::string> parts;
         std::istringstream stream(parent);
         for (std::string part; std::getline(stream, part, '/');)
           if (!part.empty()) parts.push_back(part);
         return parts;
       }()) {
    if (hierarchy.unified) delegateControllers(above);
    std::string directory = above + "/" + name;
    if (auto made = makeCgroup(hierarchy, above, directory); !made.ok()) return made.error();
    above = directory;
  }
  if (hierarchy.unified) delegateControllers(above);
  // Then what is made below has cpus and memory nodes from the beginning. Setting them, the kernel looks at all siblings for each.
  else if (hierarchy.controllers.contains("cpuset")) (void)writeKernelFile(above + "/cgroup.clone_children", "1").ok();
  return {};
}

}  // namespace

Result<Cgroups> Cgroups::discover(const std::string& parent) {
  DROVER_TRY_ASSIGN(mountinfo, readFile("/proc/self/mountinfo", 16 << 20));
  std::map<std::string, Hierarchy> found;
  for (const auto& mount : parseMountinfo(mountinfo, mostMounts)) {
    if ((mount.type != "cgroup" && mount.type != "cgroup2") || mount.root != "/" || !visible(mount)) continue;
    Hierarchy hierarchy;
    hierarchy.mountPoint = mount.path;
    hierarchy.unified = mount.type == "cgroup2";
    hierarchy.controllers = hierarchy.unified ? words(firstLine(readFile(mount.path + "/cgroup.controllers")), ' ')
                                              : v1Controllers(mount.superOptions);
    // The same hierarchy may be mounted in several places: the shortest path serves.
    std::string key = hierarchy.unified ? "cgroup2" : "";
    if (!hierarchy.unified)
      for (const auto& controller : hierarchy.controllers) key += "," + controller;
    auto known = found.find(key);
    if (known == found.end() || known->second.mountPoint.size() > hierarchy.mountPoint.size()) found[key] = hierarchy;
  }
  Cgroups cgroups;
  cgroups.parent_ = parent;
  for (auto& [key, hierarchy] : found) {
    DROVER_TRY(makeParent(hierarchy, parent));
    if (hierarchy.unified) {
      auto kernel = readFile(hierarchy.mountPoint + parent + "/cgroup.freeze");
      if (kernel.ok()) cgroups.unified_ = cgroups.hierarchies_.size();
    }
    cgroups.hierarchies_.push_back(hierarchy);
  }
  if (cgroups.unified_ != none)
    if (auto watch = SysctlWatch::begin(cgroups.hierarchies_[cgroups.unified_].mountPoint + parent); watch.ok())
      cgroups.sysctls_ = std::make_shared<const SysctlWatch>(std::move(watch.value()));
  cgroups.devicesByProgram_ = cgroups.canFilterDevices();
  for (const auto& hierarchy : cgroups.hierarchies_) {
    if (cgroups.owners(hierarchy) != Owners::nobody) continue;
    if (auto made = makeCgroup(hierarchy, hierarchy.mountPoint + parent, cgroups.sharedDirectory(hierarchy)); !made.ok()) return made.error();
  }
  if (cgroups.hierarchies_.empty()) return engineError("find cgroups: no cgroup file system is mounted");
  if (cgroups.unified_ == none && cgroups.withController("freezer") == nullptr)
    return engineError("find cgroups: neither a cgroup2 with a freezer nor the v1 freezer is mounted");
  cgroups.pureV2_ = cgroups.hierarchies_.size() == 1 && cgroups.hierarchies_[0].unified;
  return cgroups;
}

}  // namespace drover

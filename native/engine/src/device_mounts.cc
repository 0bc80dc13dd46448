// See device_mounts.h; open_tree(2), mount_setattr(2), move_mount(2), tmpfs(5).
#include "device_mounts.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <set>

#include "device_nodes.h"
#include "file_io.h"
#include "idmap.h"
#include "inside_fork.h"
#include "mountinfo.h"
#include "mounts.h"

namespace drover {

namespace {

/** What is mounted on, looked up as the container's root would. A move and the way back name a mount by its path, so that must be the one that the kernel knows. */
Result<UniqueFd> openTarget(const Spec& spec, int root, const Device& device, bool directory) {
  DROVER_TRY_ASSIGN(target, makeWithin(root, device.path, spec.owner(), directory));
  char real[4096];
  ssize_t length = readlink(("/proc/self/fd/" + std::to_string(target.get())).c_str(), real, sizeof real);
  std::string there(real, length > 0 ? static_cast<size_t>(length) : 0);
  if (there != device.path) return Error{"BAD_REQUEST", device.path + " is a link in the container: write " + there};
  return target;
}

Status mountBind(const Spec& spec, pid_t pid, int root, const Device& device) {
  struct stat info;
  if (stat(device.source.c_str(), &info) != 0) return errnoError("look at " + device.source);
  DROVER_TRY_ASSIGN(target, openTarget(spec, root, device, S_ISDIR(info.st_mode)));
  DROVER_TRY_ASSIGN(userNamespace, ownersOf(spec, pid));
  DROVER_TRY_ASSIGN(tree, idmappedTree(device, userNamespace.get()));
  return runInMountNamespace(pid, false, "mount " + device.source + " at " + device.path, [&] {
    return move_mount(tree.get(), "", target.get(), "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) == 0 ? 0 : errno;
  });
}

/** Of the container's own user namespace, as its /run is: CRIU carries such over with what is in it. */
Status mountTmpfs(const Spec& spec, pid_t pid, int root, const Device& device) {
  DROVER_TRY_ASSIGN(target, openTarget(spec, root, device, true));
  char options[96];
  snprintf(options, sizeof options, "mode=%o,uid=%u,gid=%u,size=%lld", device.mode, device.uid, device.gid, static_cast<long long>(device.sizeBytes));
  return runInMountNamespace(pid, true, "mount a tmpfs at " + device.path, [&] {
    return mount("tmpfs", device.path.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options) == 0 ? 0 : errno;
  });
}

constexpr int mostLooks = 10;

/** Empty: it has ended. */
std::string mountNamespaceOf(pid_t pid) {
  char name[64];
  ssize_t length = readlink(("/proc/" + std::to_string(pid) + "/ns/mnt").c_str(), name, sizeof name);
  return length > 0 ? std::string(name, static_cast<size_t>(length)) : "";
}

}  // namespace

Result<UniqueFd> idmappedTree(const Device& device, int userNamespace) {
  const unsigned below = device.recursive ? AT_RECURSIVE : 0;
  UniqueFd tree(open_tree(AT_FDCWD, device.source.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | below));
  if (!tree.valid()) return errnoError("open " + device.source);
  mount_attr attributes = {};
  attributes.attr_set = MOUNT_ATTR_IDMAP | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | (device.readOnly ? MOUNT_ATTR_RDONLY : 0);
  attributes.userns_fd = static_cast<uint64_t>(userNamespace);
  attributes.propagation = MS_PRIVATE;
  if (mount_setattr(tree.get(), "", AT_EMPTY_PATH | below, &attributes, sizeof attributes) != 0)
    return errnoError("map the owners of " + device.source + (errno == EINVAL ? device.recursive ? " (its file system can't, or one that is mounted below it)" : " (its file system can't)" : ""));
  return tree;
}

bool mountedAt(pid_t pid, const std::string& path) {
  auto table = readFile("/proc/" + std::to_string(pid) + "/mountinfo");
  return table.ok() && unescapeMountinfo(table.value()).find(" " + path + " ") != std::string::npos;
}

Status mountDevice(const Spec& spec, pid_t pid, int root, const Device& device) {
  if (mountedAt(pid, device.path)) return {};
  return device.type == Device::Type::tmpfs ? mountTmpfs(spec, pid, root, device) : mountBind(spec, pid, root, device);
}

Status unmountDevice(pid_t pid, const std::string& path) {
  if (!mountedAt(pid, path)) return {};
  return runInMountNamespace(pid, true, "unmount " + path, [&] {
    return umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0 || errno == EINVAL || errno == ENOENT ? 0 : errno;
  });
}

Status unmountEverywhere(const std::function<std::vector<pid_t>()>& processes, const std::string& path) {
  // A namespace that is made meanwhile takes a copy along, which the next look finds.
  for (int looks = 0; looks < mostLooks; looks++) {
    bool found = false;
    std::set<std::string> seen;
    for (pid_t pid : processes()) {
      const std::string space = mountNamespaceOf(pid);
      if (space.empty() || seen.contains(space)) continue;
      bool mounted = mountedAt(pid, path);
      found = found || mounted;
      Status done;
      if (mounted) {
        done = runInMountNamespace(pid, true, "unmount " + path, [&] { return umount2(path.c_str(), UMOUNT_NOFOLLOW) == 0 ? 0 : errno; });
        mounted = mountedAt(pid, path);
      }
      // One that has ended has told nothing of its namespace: another one may.
      if (mountNamespaceOf(pid) != space) continue;
      // In a namespace that a user namespace inside has copied nobody can unmount it.
      if (mounted) return Error{"BUSY", path + " is in use in the container, by process " + std::to_string(pid) + " of the host or one beside it" + (done.ok() ? "" : ": " + done.error().message)};
      seen.insert(space);
    }
    if (!found) return {};
  }
  return Error{"BUSY", path + " is in use in the container: it makes new mount namespaces all the time"};
}

}  // namespace drover

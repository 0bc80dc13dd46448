// See device_nodes.h; mknodat(2).
#include "device_nodes.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "inside_root.h"

namespace drover {

Result<UniqueFd> makeWithin(int root, const std::string& path, uid_t owner, bool directory) {
  UniqueFd there = openWithin(root, path, O_PATH);
  if (there.valid()) return there;
  if (errno != ENOENT) return errnoError("look up " + path + " in the container");
  size_t slash = path.rfind('/');
  UniqueFd parent;
  if (slash == 0) {
    parent = openWithin(root, "/", O_PATH | O_DIRECTORY);
    if (!parent.valid()) return errnoError("open the root of the container");
  } else {
    DROVER_TRY_ASSIGN(made, makeWithin(root, path.substr(0, slash), owner, true));
    parent = std::move(made);
  }
  const char* name = path.c_str() + slash + 1;
  if (!holdsFiles(parent.get())) return engineError("make " + path + " in the container: what it would be in holds no files");
  if (directory ? mkdirat(parent.get(), name, 0755) != 0 : mknodat(parent.get(), name, S_IFREG | 0644, 0) != 0)
    return errnoError("make " + path + " in the container");
  if (fchownat(parent.get(), name, owner, owner, AT_SYMLINK_NOFOLLOW) != 0) return errnoError("give " + path + " to the container");
  there = openWithin(root, path, O_PATH);
  if (!there.valid()) return errnoError("open " + path + " in the container");
  return there;
}

Status makeNode(int root, const DeviceNode& node, uid_t owner) {
  size_t slash = node.path.rfind('/');
  DROVER_TRY_ASSIGN(parent, makeWithin(root, slash == 0 ? "/." : node.path.substr(0, slash), owner, true));
  struct statfs system;
  if (fstatfs(parent.get(), &system) != 0 || system.f_type != OVERLAYFS_SUPER_MAGIC)
    return engineError("make " + node.path + ": that directory is not on the container's disk");
  const char* name = node.path.c_str() + slash + 1;
  struct stat info;
  if (fstatat(parent.get(), name, &info, AT_SYMLINK_NOFOLLOW) == 0) {
    bool device = S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode);
    if (!device) return engineError("make " + node.path + ": the container has something else there");
    // Left alone when it is right: to who has it open a new one would be another.
    if (info.st_mode == node.mode && info.st_rdev == node.number && info.st_uid == owner + node.uid && info.st_gid == owner + node.gid) return {};
    if (unlinkat(parent.get(), name, 0) != 0) return errnoError("replace " + node.path);
  }
  if (mknodat(parent.get(), name, node.mode, node.number) != 0 || fchmodat(parent.get(), name, node.mode & 07777, 0) != 0 ||
      fchownat(parent.get(), name, owner + node.uid, owner + node.gid, AT_SYMLINK_NOFOLLOW) != 0)
    return errnoError("make " + node.path);
  return {};
}

void removeNode(int root, const std::string& path) {
  size_t slash = path.rfind('/');
  UniqueFd parent = openWithin(root, slash == 0 ? "/" : path.substr(0, slash), O_PATH | O_DIRECTORY);
  struct stat info;
  const char* name = path.c_str() + slash + 1;
  if (parent.valid() && fstatat(parent.get(), name, &info, AT_SYMLINK_NOFOLLOW) == 0 && (S_ISCHR(info.st_mode) || S_ISBLK(info.st_mode)))
    (void)unlinkat(parent.get(), name, 0);
}

}  // namespace drover

// See disk_limit.h.
#include "disk_limit.h"

#include <fcntl.h>
#include <ftw.h>
#include <linux/dqblk_xfs.h>
#include <linux/fs.h>
#include <linux/quota.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "unique_fd.h"

namespace drover {
namespace {

/** Not in every libc's headers: quotactl_fd(2) is of Linux 5.14, file_setattr(2) of 6.17. */
constexpr long quotactlFd = 443, fileSetAttributes = 469;
constexpr int64_t blockBytes = 1024;
constexpr int maximumOpenDirectories = 32;

/** struct file_attr of linux/fs.h, Linux 6.17. */
struct FileAttributes {
  uint64_t flags;
  uint32_t extentSize, extents, project, copyExtentSize;
};

UniqueFd openDirectory(const std::string& path) { return UniqueFd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)); }

bool quota(int fd, int command, uint32_t project, void* argument) { return syscall(quotactlFd, fd, QCMD(command, PRJQUOTA), project, argument) == 0; }

bool enforced(int fd) {
  fs_quota_statv state = {};
  state.qs_version = FS_QSTATV_VERSION1;
  return quota(fd, Q_XGETQSTATV, 0, &state) && (state.qs_flags & FS_QUOTA_PDQ_ENFD) != 0;
}

Status setLimit(int fd, const Spec& spec, int64_t bytes) {
  if_dqblk limit = {};
  limit.dqb_bhardlimit = static_cast<uint64_t>((bytes + blockBytes - 1) / blockBytes);
  limit.dqb_valid = QIF_BLIMITS;
  if (!quota(fd, Q_SETQUOTA, spec.identity.uidBase, &limit)) return errnoError("limit the disk of " + spec.container);
  return {};
}

/** All in it, and what is made in it later. 0 or −1 with errno. */
int assign(int fd, uint32_t project, bool directory) {
  fsxattr attributes = {};
  if (ioctl(fd, FS_IOC_FSGETXATTR, &attributes) != 0) return -1;
  if (attributes.fsx_projid == project && (!directory || (attributes.fsx_xflags & FS_XFLAG_PROJINHERIT))) return 0;
  attributes.fsx_projid = project;
  if (directory) attributes.fsx_xflags |= FS_XFLAG_PROJINHERIT;
  return ioctl(fd, FS_IOC_FSSETXATTR, &attributes);
}

/** nftw takes no argument: the project of the walk of this thread. */
thread_local uint32_t walked;

int assignOne(const char* path, const struct stat* status, int, FTW*) {
  const bool directory = S_ISDIR(status->st_mode);
  if (!directory && !S_ISREG(status->st_mode)) {
    // They hold no blocks worth counting, and can't be opened; older kernels have no other way, and then renaming one copies it.
    FileAttributes attributes = {.project = walked};
    (void)syscall(fileSetAttributes, AT_FDCWD, path, &attributes, sizeof attributes, AT_SYMLINK_NOFOLLOW);
    return 0;
  }
  UniqueFd fd(open(path, O_RDONLY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC));
  return fd.valid() ? assign(fd.get(), walked, directory) : -1;
}

bool belongs(int fd, uint32_t project) {
  fsxattr attributes = {};
  return ioctl(fd, FS_IOC_FSGETXATTR, &attributes) == 0 && attributes.fsx_projid == project && (attributes.fsx_xflags & FS_XFLAG_PROJINHERIT);
}

/** The root of a tree says for all of it: it is told last. */
Status give(const std::string& tree, uint32_t project) {
  UniqueFd fd = openDirectory(tree);
  if (!fd.valid()) return errnoError("open " + tree);
  if (belongs(fd.get(), project)) return {};
  walked = project;
  errno = 0;
  if (nftw(tree.c_str(), assignOne, maximumOpenDirectories, FTW_PHYS | FTW_MOUNT | FTW_DEPTH) != 0)
    return errnoError("count what is in " + tree + " for its container");
  return {};
}

}  // namespace

bool limitsDisks(const std::string& directory) {
  UniqueFd fd = openDirectory(directory);
  return fd.valid() && enforced(fd.get());
}

Status holdDisk(const Container& container, const Spec& spec) {
  UniqueFd fd = openDirectory(container.directory);
  if (!fd.valid() || !enforced(fd.get())) return {};
  // Overlay moves files from one to the other: the same project, or the file system refuses.
  DROVER_TRY(give(container.upper(), spec.identity.uidBase));
  DROVER_TRY(give(container.work(), spec.identity.uidBase));
  return setLimit(fd.get(), spec, spec.limits.diskBytes);
}

Status changeDiskLimit(const Container& container, const Spec& spec, int64_t bytes, bool live) {
  UniqueFd fd = openDirectory(container.directory);
  if (!fd.valid()) return errnoError("open " + container.directory);
  if (!enforced(fd.get())) {
    if (bytes == 0) return {};
    return engineError("set disk: the file system of " + container.directory + " on this host has no project quotas: mount ext4 or XFS with prjquota there");
  }
  if (UniqueFd upper = openDirectory(container.upper()); live && (!upper.valid() || !belongs(upper.get(), spec.identity.uidBase)))
    return bytes == 0 ? Status() : engineError("set disk: it has run since before its file system had quotas: stop and start it once");
  DROVER_TRY(holdDisk(container, spec));
  if_dqblk now = {};
  const bool known = quota(fd.get(), Q_GETQUOTA, spec.identity.uidBase, &now);
  if (known && bytes > 0 && static_cast<int64_t>(now.dqb_curspace) > bytes)
    return engineError("set disk=" + std::to_string(bytes) + ": " + std::to_string(now.dqb_curspace) + " bytes are in use");
  return setLimit(fd.get(), spec, bytes);
}

void forgetDiskLimit(const std::string& stateDirectory, const Spec& spec) {
  UniqueFd fd = openDirectory(stateDirectory);
  if (fd.valid() && enforced(fd.get())) (void)setLimit(fd.get(), spec, 0).ok();
}

}  // namespace drover

// The overlay root of a container. See mounts.h and mount_setattr(2), overlayfs.rst.
#include "mounts.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>

#include "file_io.h"
#include "pidfd.h"

namespace drover {

namespace {

/** With index=on the last mount of the upper must be gone; a dying container's mounts go with its last process. */
constexpr int upperInUseMs = 3000;

/** Kernels before 6.11 take a lower layer only from a mount in this mount namespace; learned at the first start. */
std::atomic<bool> lowerMustBeAttached = false;

std::string throughFd(const UniqueFd& fd) { return "/proc/self/fd/" + std::to_string(fd.get()); }

Result<UniqueFd> openDirectory(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid()) return errnoError("open directory " + path);
  return fd;
}

/** A layer as a detached mount that shows its files with the container's owners. */
Result<UniqueFd> idmapped(const std::string& layer, int userNamespace) {
  UniqueFd tree(open_tree(AT_FDCWD, layer.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  if (!tree.valid()) return errnoError("open image " + layer);
  mount_attr attributes = {};
  attributes.attr_set = MOUNT_ATTR_IDMAP | MOUNT_ATTR_RDONLY;
  attributes.userns_fd = static_cast<uint64_t>(userNamespace);
  if (mount_setattr(tree.get(), "", AT_EMPTY_PATH, &attributes, sizeof attributes) != 0) return errnoError("map owners of image " + layer);
  return tree;
}

struct OverlayAttempt {
  UniqueFd mount;
  int number = 0;
};

/** fsconfig strings are limited to 255 bytes: directories are named through descriptors. */
OverlayAttempt mountOverlay(const std::string& lower, const std::string& upper, const std::string& work) {
  OverlayAttempt attempt;
  UniqueFd context(fsopen("overlay", FSOPEN_CLOEXEC));
  auto set = [&](const char* key, const std::string& value) {
    return fsconfig(context.get(), FSCONFIG_SET_STRING, key, value.c_str(), 0) == 0;
  };
  if (!context.valid() || !set("source", "overlay") || !set("lowerdir", lower) || !set("upperdir", upper) || !set("workdir", work) ||
      !set("index", "on") || !set("nfs_export", "on") || fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    attempt.number = errno;
    return attempt;
  }
  attempt.mount.reset(fsmount(context.get(), FSMOUNT_CLOEXEC, 0));
  if (!attempt.mount.valid()) attempt.number = errno;
  return attempt;
}

/**
 * The layer below the image, or none: on kernels that want lower layers attached, and where the image is on another file system, as
 * overlayfs then numbers inodes otherwise.
 */
UniqueFd bottomFor(const Container& container, const std::string& image, int userNamespace) {
  struct stat below, above;
  if (lowerMustBeAttached || stat(container.bottom().c_str(), &below) != 0 || stat(image.c_str(), &above) != 0 || below.st_dev != above.st_dev) return {};
  auto mapped = idmapped(container.bottom(), userNamespace);
  return mapped.ok() ? std::move(mapped.value()) : UniqueFd();
}

}  // namespace

Result<Rootfs> openRootfs(const Container& container, int userNamespace) {
  std::string image = container.snapshot().spec.rootfs;
  DROVER_TRY_ASSIGN(lower, idmapped(image, userNamespace));
  UniqueFd bottom = bottomFor(container, image, userNamespace);
  DROVER_TRY_ASSIGN(upper, openDirectory(container.upper()));
  DROVER_TRY_ASSIGN(work, openDirectory(container.work()));
  int64_t end = nowMs() + upperInUseMs;
  bool attached = false;
  OverlayAttempt attempt;
  for (;;) {
    if (lowerMustBeAttached && !attached) {
      DROVER_TRY(makeDirectory(container.lower(), 0700));
      DROVER_TRY(attachMount(lower.get(), container.lower()));
      attached = true;
      bottom.reset();
    }
    // Named by its descriptor also when it is attached: the container reads the name in its mountinfo.
    attempt = mountOverlay(throughFd(lower) + (bottom.valid() ? ":" + throughFd(bottom) : ""), throughFd(upper), throughFd(work));
    if (attempt.mount.valid()) break;
    if (attempt.number == EINVAL && !attached) {
      lowerMustBeAttached = true;
      continue;
    }
    if (attempt.number != EBUSY || nowMs() > end) break;
    poll(nullptr, 0, 1);
  }
  if (attached) DROVER_TRY(detachMount(container.lower()));
  if (!attempt.mount.valid()) return errnoError("mount overlay of " + container.id + " on image " + image, attempt.number);
  const bool hasBottom = bottom.valid();
  return Rootfs{std::move(attempt.mount), std::move(lower), std::move(bottom), hasBottom};
}

Status attachMount(int mountFd, const std::string& path) {
  if (move_mount(mountFd, "", AT_FDCWD, path.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0) return errnoError("attach mount at " + path);
  if (mount(nullptr, path.c_str(), nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return errnoError("make mount private at " + path);
  return {};
}

void detachThis(int mount) { (void)umount2(("/proc/self/fd/" + std::to_string(mount)).c_str(), MNT_DETACH); }

Status detachMount(const std::string& path) {
  while (umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) {
  }
  if (errno != EINVAL && errno != ENOENT) return errnoError("unmount " + path);
  return {};
}

}  // namespace drover

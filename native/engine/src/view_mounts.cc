// See view_mounts.h; open_tree(2), move_mount(2), setns(2).
#include "view_mounts.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <thread>

#include "file_io.h"
#include "inside_fork.h"
#include "own_view.h"
#include "unique_fd.h"

namespace drover {

namespace {

constexpr size_t largestMountTable = 1 << 20;

/** What CRIU calls the mount in its images. */
std::string keyOf(std::string_view file) {
  std::string key = "view-" + std::string(file);
  std::replace(key.begin(), key.end(), '/', '-');
  return key;
}

struct MountPoint {
  const char* path;
  UniqueFd mount;
  /** Something of ours, dead or of the host's /proc, is there and comes off first. */
  bool covered;
};

/** What is mounted last at a path of the namespace: its type, empty when nothing is. */
std::string typeOfMount(const std::string& table, const std::string& path) {
  std::string type;
  for (size_t at = table.find(" " + path + " "); at != std::string::npos; at = table.find(" " + path + " ", at + 1)) {
    size_t dash = table.find(" - ", at);
    if (dash == std::string::npos) break;
    size_t start = dash + 3;
    type = table.substr(start, table.find(' ', start) - start);
  }
  return type;
}

/** In the child: 0 or an errno. */
int mountAll(const std::vector<MountPoint>& points) {
  for (const auto& point : points) {
    if (point.covered) umount2(point.path, MNT_DETACH | UMOUNT_NOFOLLOW);
    // A namespace without /proc has no use for them.
    if (move_mount(point.mount.get(), "", AT_FDCWD, point.path, MOVE_MOUNT_F_EMPTY_PATH) != 0 && errno != ENOENT && errno != ENOTDIR) return errno;
  }
  return 0;
}

Status mountIn(const std::string& root, pid_t pid, const std::string& device) {
  auto table = readFile("/proc/" + std::to_string(pid) + "/mountinfo", largestMountTable);
  // It has ended.
  if (!table.ok()) return {};
  static const std::vector<std::string> paths = [] {
    std::vector<std::string> list;
    for (auto file : viewFiles) list.push_back("/" + std::string(file));
    return list;
  }();
  std::vector<MountPoint> points;
  for (const auto& path : paths) {
    std::string type = typeOfMount(table.value(), path);
    bool ours = type == "fuse.lxcfs";
    if (ours && table.value().find(" " + device + " " + path + " " + path + " ") != std::string::npos) continue;
    if (!type.empty() && !ours && type != "proc" && type != "sysfs") continue;
    UniqueFd mount(open_tree(AT_FDCWD, (root + path).c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
    if (!mount.valid()) return errnoError("open " + root + path);
    points.push_back({path.c_str(), std::move(mount), !type.empty()});
  }
  if (points.empty()) return {};
  return runInMountNamespace(pid, true, "mount the view into process " + std::to_string(pid), [&] { return mountAll(points); });
}

}  // namespace

std::vector<std::string> viewMountsForDump() {
  std::vector<std::string> list;
  for (auto file : viewFiles) list.push_back("mnt[/" + std::string(file) + "]:" + keyOf(file));
  return list;
}

std::vector<std::string> viewMountsForRestore(const std::string& root) {
  std::vector<std::string> list;
  for (auto file : viewFiles) list.push_back("mnt[" + keyOf(file) + "]:" + root + "/" + std::string(file));
  return list;
}

void warmViewMounts(const std::string& root) {
  if (root.empty()) return;
  std::thread([root] {
    struct stat ignored;
    for (auto file : viewFiles) (void)stat((root + "/" + std::string(file)).c_str(), &ignored);
  }).detach();
}

Status mountView(const std::string& root, const std::vector<pid_t>& processes) {
  struct stat info;
  if (stat(root.c_str(), &info) != 0) return errnoError("look at " + root);
  const std::string device = std::to_string(major(info.st_dev)) + ":" + std::to_string(minor(info.st_dev));
  std::set<std::string> seen;
  Status first;
  for (pid_t pid : processes) {
    char name[64];
    ssize_t length = readlink(("/proc/" + std::to_string(pid) + "/ns/mnt").c_str(), name, sizeof name);
    if (length <= 0 || !seen.emplace(name, static_cast<size_t>(length)).second) continue;
    if (Status mounted = mountIn(root, pid, device); !mounted.ok() && first.ok()) first = mounted;
  }
  return first;
}

}  // namespace drover

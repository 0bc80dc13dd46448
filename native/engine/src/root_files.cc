// What a container finds below its root before its init runs. See root_files.h; openat2(2) for the path resolution.
#include "root_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <string_view>

#include "file_io.h"
#include "open_beneath.h"
#include "unique_fd.h"

namespace drover {

namespace {

/** Those that are mounted on. */
constexpr const char* bottomDirectories[] = {"proc", "sys", "dev", "dev/pts", "dev/shm", "dev/mqueue", "run"};
constexpr const char* directories[] = {"proc", "sys", "dev", "dev/pts", "dev/shm", "dev/mqueue", "run", "etc", "root", "var", "var/log", "tmp"};

struct DeviceNode {
  const char* name;
  mode_t mode;
  unsigned major, minor;
};
/** The console is the null device: an external terminal could not be checkpointed. */
constexpr DeviceNode nodes[] = {
    {"null", 0666, 1, 3}, {"zero", 0666, 1, 5}, {"full", 0666, 1, 7},    {"random", 0666, 1, 8},
    {"urandom", 0666, 1, 9}, {"tty", 0666, 5, 0}, {"console", 0600, 1, 3},
};

/** Of an image's /dev: nothing but these lets the layer below be seen. */
constexpr std::string_view plainDirectories[] = {".", "..", "pts", "shm", "mqueue"};

/** For containers inside: see init_child.cc; and what rootless runtimes make their disks and networks of. */
constexpr const char* nestingDirectories[] = {"dev/.drover", "dev/.drover/proc", "dev/.drover/sys", "dev/net"};
constexpr DeviceNode fuse[] = {{"fuse", 0666, 10, 229}};
constexpr DeviceNode tunnel[] = {{"tun", 0666, 10, 200}};

struct Link {
  const char* name;
  const char* target;
};
constexpr Link links[] = {
    {"ptmx", "pts/ptmx"}, {"fd", "/proc/self/fd"}, {"stdin", "/proc/self/fd/0"}, {"stdout", "/proc/self/fd/1"}, {"stderr", "/proc/self/fd/2"},
};

UniqueFd openInside(int root, const std::string& path, int flags) {
  return UniqueFd(openBeneath(root, path.c_str(), static_cast<uint64_t>(flags | O_CLOEXEC), RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS));
}

bool exists(int directory, const char* name) {
  struct stat info;
  return fstatat(directory, name, &info, AT_SYMLINK_NOFOLLOW) == 0;
}

class RootWriter {
 public:
  RootWriter(std::string whose, uid_t owner, int root) : whose_(std::move(whose)), root_(root), owner_(owner) {}

  template <size_t count>
  Status makeDirectories(const char* const (&paths)[count]) {
    for (const char* path : paths) DROVER_TRY(makeInside(path));
    return {};
  }

  Status makeUsualDevices() {
    DROVER_TRY(makeNodes("dev", nodes));
    return makeLinks();
  }

  Status makeNestingDevices() {
    DROVER_TRY(makeNodes("dev", fuse));
    return makeNodes("dev/net", tunnel);
  }

  Status writeEtc(const Spec& spec, const std::string& upperPath) {
    UniqueFd upper(open(upperPath.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!upper.valid()) return errnoError("open " + upperPath);
    UniqueFd etc = openInside(root_, "etc", O_PATH | O_DIRECTORY);
    if (!etc.valid()) return fail("/etc");
    // What the writable layer has is the container's own (or was written here before): it stays.
    UniqueFd own = openInside(upper.get(), "etc", O_PATH | O_DIRECTORY);
    auto kept = [&](const char* name) { return own.valid() && exists(own.get(), name); };
    if (!kept("hostname")) DROVER_TRY(replaceInside(etc.get(), "hostname", spec.name + "\n", 0644));
    if (!kept("machine-id")) DROVER_TRY(replaceInside(etc.get(), "machine-id", spec.identity.machineId + "\n", 0444));
    if (!kept("hosts"))
      DROVER_TRY(replaceInside(etc.get(), "hosts",
                               "127.0.0.1 localhost\n127.0.1.1 " + spec.name + "\n::1 localhost ip6-localhost ip6-loopback\n", 0644));
    if (!exists(etc.get(), "resolv.conf")) {
      auto host = readFile("/etc/resolv.conf", 64 << 10);
      DROVER_TRY(replaceInside(etc.get(), "resolv.conf", host.ok() ? host.value() : "", 0644));
    }
    return {};
  }

 private:
  Error fail(const std::string& what) const { return errnoError("prepare " + what + " in the root of " + whose_); }

  Status give(int directory, const char* name) {
    if (fchownat(directory, name, owner_, owner_, AT_SYMLINK_NOFOLLOW) != 0) return fail(name);
    return {};
  }

  Status makeInside(const std::string& path) {
    UniqueFd there = openInside(root_, path, O_PATH | O_DIRECTORY);
    if (there.valid()) return {};
    if (errno != ENOENT) return fail("/" + path);
    size_t slash = path.rfind('/');
    UniqueFd parent = openInside(root_, slash == std::string::npos ? "." : path.substr(0, slash), O_PATH | O_DIRECTORY);
    if (!parent.valid()) return fail("/" + path);
    std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
    if (mkdirat(parent.get(), name.c_str(), 0755) != 0) return fail("/" + path);
    DROVER_TRY(give(parent.get(), name.c_str()));
    if (path == "tmp" && fchmodat(parent.get(), name.c_str(), 01777, 0) != 0) return fail("/tmp");
    return {};
  }

  template <size_t count>
  Status makeNodes(const char* directory, const DeviceNode (&wantedNodes)[count]) {
    UniqueFd dev = openInside(root_, directory, O_PATH | O_DIRECTORY);
    if (!dev.valid()) return fail(std::string("/") + directory);
    for (const auto& node : wantedNodes) {
      struct stat info;
      dev_t wanted = makedev(node.major, node.minor);
      if (fstatat(dev.get(), node.name, &info, AT_SYMLINK_NOFOLLOW) == 0) {
        if (S_ISCHR(info.st_mode) && info.st_rdev == wanted) continue;
        if (unlinkat(dev.get(), node.name, 0) != 0) return fail(std::string("/dev/") + node.name);
      }
      if (mknodat(dev.get(), node.name, S_IFCHR | node.mode, wanted) != 0) return fail(std::string("/dev/") + node.name);
      if (fchmodat(dev.get(), node.name, node.mode, 0) != 0) return fail(std::string("/dev/") + node.name);
      DROVER_TRY(give(dev.get(), node.name));
    }
    return {};
  }

  Status makeLinks() {
    UniqueFd dev = openInside(root_, "dev", O_PATH | O_DIRECTORY);
    if (!dev.valid()) return fail("/dev");
    for (const auto& link : links) {
      if (exists(dev.get(), link.name)) continue;
      if (symlinkat(link.target, dev.get(), link.name) != 0) return fail(std::string("/dev/") + link.name);
      DROVER_TRY(give(dev.get(), link.name));
    }
    return {};
  }

  Status replaceInside(int directory, const char* name, const std::string& content, mode_t mode) {
    if (unlinkat(directory, name, 0) != 0 && errno != ENOENT) return fail(std::string("/etc/") + name);
    UniqueFd file(openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
    if (!file.valid()) return fail(std::string("/etc/") + name);
    if (write(file.get(), content.data(), content.size()) != static_cast<ssize_t>(content.size())) return fail(std::string("/etc/") + name);
    if (fchmod(file.get(), mode) != 0 || fchown(file.get(), owner_, owner_) != 0) return fail(std::string("/etc/") + name);
    return {};
  }

  const std::string whose_;
  const int root_;
  const uid_t owner_;
};

/** Whether all of /dev comes from the layer below, as far as one sees without looking up each name in it (an inode each). */
bool devicesAreBelow(const Container& container, const Spec& spec) {
  struct stat info;
  if (lstat((container.upper() + "/dev").c_str(), &info) == 0 || errno != ENOENT) return false;
  DIR* stream = opendir((spec.rootfs + "/dev").c_str());
  if (!stream) return errno == ENOENT && lstat((spec.rootfs + "/dev").c_str(), &info) != 0;
  bool plain = fstatat(AT_FDCWD, (spec.rootfs + "/dev").c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(info.st_mode);
  while (const dirent* entry = plain ? readdir(stream) : nullptr)
    plain = entry->d_type == DT_DIR && std::ranges::find(plainDirectories, std::string_view(entry->d_name)) != std::end(plainDirectories);
  closedir(stream);
  return plain;
}

}  // namespace

Status makeBottomLayer(const std::string& directory) {
  DROVER_TRY(makeDirectory(directory, 0755));
  UniqueFd root(open(directory.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!root.valid()) return errnoError("open " + directory);
  RootWriter writer("every container", 0, root.get());
  DROVER_TRY(writer.makeDirectories(bottomDirectories));
  return writer.makeUsualDevices();
}

Status makeMountPoints(const Container& container, const Spec& spec, int root) {
  RootWriter writer(container.id, spec.owner(), root);
  DROVER_TRY(writer.makeDirectories(directories));
  return spec.security.nesting ? writer.makeDirectories(nestingDirectories) : Status();
}

Status makeDevices(const Container& container, const Spec& spec, const Rootfs& rootfs) {
  // Mode bits of what is made here are meant literally.
  RootWriter writer(container.id, spec.owner(), rootfs.root.get());
  if (!rootfs.hasBottom || !devicesAreBelow(container, spec)) DROVER_TRY(writer.makeUsualDevices());
  return spec.security.nesting ? writer.makeNestingDevices() : Status();
}

Status writeRootFiles(const Container& container, const Spec& spec, int root) {
  return RootWriter(container.id, spec.owner(), root).writeEtc(spec, container.upper());
}

}  // namespace drover

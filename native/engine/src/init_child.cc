// A container's init before it is one. See init_child.h. The layout is one that CRIU can dump: every mount private, /dev a
// directory bound on itself, no host file and no external terminal as standard file.
#include "init_child.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iterator>

#include "capabilities.h"
#include "child_setup.h"
#include "empty_namespace.h"
#include "open_beneath.h"
#include "own_view.h"
#include "resource_limits.h"

namespace drover {

const char* const initStages[] = {"join its cgroups",   "attach its root file system", "become root of its user namespace",
                                  "make its namespaces", "change its root",             "mount its file systems",
                                  "prepare /run",        "open its console",            "drop privileges",
                                  "limit its resources",                                   "run its init"};

namespace {

enum Stage { joinCgroups, attachRoot, becomeRoot, makeNamespaces, changeRoot, mountAll, prepareRun, openConsole, dropPrivileges, limitResources, execute };

struct Mount {
  const char* source;
  const char* target;
  const char* type;
  unsigned long flags;
  const char* options;
};

constexpr Mount mounts[] = {
    {"proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr},
    {"sysfs", "sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RELATIME, nullptr},
    {nullptr, "dev", nullptr, MS_BIND, nullptr},
    {"devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"},
    {"mqueue", "dev/mqueue", "mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr},
    {"tmpfs", "run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755"},
};

constexpr Mount cgroups = {"cgroup2", "sys/fs/cgroup", "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr};

/**
 * A directory of /run's tmpfs, mounted as /dev/shm: a file system of its own would cost each container 5 kB of the kernel's, every other
 * container 16 bytes (each memory cgroup has a slot for each file system of the host that can be shrunk), and each move a dump of one more.
 */
constexpr const char* sharedMemory = ".shm";

/** Beside the usual ones, for `nesting`: nothing is ever mounted over what is in these. */
constexpr Mount uncovered[] = {
    {"proc", "dev/.drover/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr},
    {"sysfs", "dev/.drover/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RELATIME, nullptr},
};

constexpr const char* hostProc = hostMounts[0];
constexpr const char* hostView = hostMounts[2];

/** "/proc/self/fd/<number>": a mount point named by a descriptor, by the host's proc until its own is the one. */
struct DescriptorPath {
  char text[40];
  explicit DescriptorPath(int descriptor, const char* proc = hostProc) {
    strcat(strcpy(text, proc), "/self/fd/");
    char digits[12];
    int count = 0;
    do digits[count++] = static_cast<char>('0' + descriptor % 10);
    while ((descriptor /= 10) > 0);
    char* end = text + strlen(text);
    while (count > 0) *end++ = digits[--count];
    *end = 0;
  }
};

/** Mount points are looked up inside the new root, whatever links the image has there. */
int openTarget(int rootfs, const Mount& entry) {
  return openBeneath(rootfs, entry.target, O_PATH | O_DIRECTORY | O_CLOEXEC, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

/** Closes the target. */
int mountOn(int target, const Mount& entry) {
  if (target < 0) return errno;
  DescriptorPath path(target);
  int result = mount(entry.type ? entry.source : path.text, path.text, entry.type, entry.flags, entry.options);
  int number = result != 0 ? errno : 0;
  close(target);
  return number;
}

int mountAt(int rootfs, const Mount& entry) { return mountOn(openTarget(rootfs, entry), entry); }

int mountSharedMemory(int rootfs) {
  int run = openBeneath(rootfs, "run", O_PATH | O_DIRECTORY | O_CLOEXEC, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
  if (run < 0) return errno;
  int number = mkdirat(run, sharedMemory, 01777) == 0 && fchmodat(run, sharedMemory, 01777, 0) == 0 ? 0 : errno;
  int source = number == 0 ? openat(run, sharedMemory, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) : -1;
  int target = source < 0 ? -1 : openBeneath(rootfs, "dev/shm", O_PATH | O_DIRECTORY | O_CLOEXEC, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
  if (number == 0 && (target < 0 || mount(DescriptorPath(source).text, DescriptorPath(target).text, nullptr, MS_BIND, nullptr) != 0)) number = errno;
  for (int descriptor : {run, source, target})
    if (descriptor >= 0) close(descriptor);
  return number;
}

int mountFileSystems(int rootfs, bool nesting) {
  for (const auto& entry : mounts)
    if (int number = mountAt(rootfs, entry); number != 0) return number;
  if (int number = mountSharedMemory(rootfs); number != 0) return number;
  for (const auto& entry : uncovered)
    if (int number = nesting ? mountAt(rootfs, entry) : 0; number != 0) return number;
  return 0;
}

/**
 * The files that lxcfs answers, over the kernel's. They are a service: where one is missing, or lxcfs has just ended, the host's numbers
 * are seen until the engine has mended it. Without lxcfs they are the kernel's own: covered all the same, so that no user namespace
 * inside gets a proc or sysfs of its own (mount_too_revealing of the kernel) but with `nesting`.
 */
void mountView(int rootfs, int view) {
  for (std::string_view file : viewFiles) {
    int target = openBeneath(rootfs, file.data(), O_PATH | O_CLOEXEC, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
    int source = view >= 0 ? openat(view, file.data(), O_PATH | O_CLOEXEC) : dup(target);
    if (target >= 0 && source >= 0) mount(DescriptorPath(source).text, DescriptorPath(target).text, nullptr, MS_BIND, nullptr);
    if (target >= 0) close(target);
    if (source >= 0) close(source);
  }
}

/**
 * A time namespace in which the machine has just been switched on. Before a process is in it, and only then, its clocks can be set.
 * Kernels without (5.6 has them) show the host's uptime.
 */
int startClocks() {
  if (unshare(CLONE_NEWTIME) != 0) return errno == EINVAL || errno == ENOSYS ? 0 : errno;
  timespec monotonic, boot;
  clock_gettime(CLOCK_MONOTONIC, &monotonic);
  clock_gettime(CLOCK_BOOTTIME, &boot);
  char offsets[96];
  int length = snprintf(offsets, sizeof offsets, "monotonic -%lld 0\nboottime -%lld 0\n", static_cast<long long>(monotonic.tv_sec), static_cast<long long>(boot.tv_sec));
  int file = open("/host/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
  if (file < 0 || write(file, offsets, static_cast<size_t>(length)) != length) return errno;
  close(file);
  int clocks = open("/host/proc/self/ns/time_for_children", O_RDONLY | O_CLOEXEC);
  if (clocks < 0 || setns(clocks, CLONE_NEWTIME) != 0) return errno;
  close(clocks);
  return 0;
}

/**
 * The first of `received` over the empty root, where paths begin all the same until changeToRoot; the others below one mount, so that they
 * go together. The kernel wants to see a proc and a sysfs before it allows new ones.
 */
int attachAll(std::span<const int> received) {
  if (mount(hostDirectory, hostDirectory, nullptr, MS_BIND, nullptr) != 0) return errno;
  for (size_t at = 1; at < received.size(); ++at)
    if (move_mount(received[at], "", AT_FDCWD, hostMounts[at - 1], MOVE_MOUNT_F_EMPTY_PATH) != 0) return errno;
  return move_mount(received[0], "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) == 0 ? 0 : errno;
}

/** Nothing of the host is there any more. */
int changeToRoot(int rootfs) {
  if (umount2(hostDirectory, MNT_DETACH) != 0 || fchdir(rootfs) != 0 || chroot(".") != 0) return errno;
  return 0;
}

/**
 * systemd's own sandboxing makes nested uts and user namespaces, which CRIU refuses, and these units fail or hang in an
 * unprivileged container. Set in /run, so that images stay as they are; a unit's own drop-ins in /etc still win.
 */
int writeSystemdRun() {
  for (const char* path : {"/run/systemd", "/run/systemd/system", "/run/systemd/system/service.d"})
    if (mkdir(path, 0755) != 0 && errno != EEXIST) return errno;
  int file = open("/run/systemd/system/service.d/50-drover.conf", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (file < 0) return errno;
  constexpr char content[] = "[Service]\nProtectHostname=no\nPrivateUsers=no\n";
  if (write(file, content, sizeof content - 1) != static_cast<ssize_t>(sizeof content - 1)) return errno;
  close(file);
  for (const char* unit : {"/run/systemd/system/sys-kernel-debug.mount", "/run/systemd/system/sys-kernel-tracing.mount",
                           "/run/systemd/system/sys-kernel-config.mount", "/run/systemd/system/console-getty.service",
                           "/run/systemd/system/systemd-udevd.service", "/run/systemd/system/systemd-udev-trigger.service"})
    if (symlink("/dev/null", unit) != 0 && errno != EEXIST) return errno;
  return 0;
}

/** Of a privileged container: its root is the host's, and these would be the host's to change. It may undo that: it is no bar, only a rail. */
int guardHost() {
  // What is its network's own stays writable.
  int network = open_tree(AT_FDCWD, "/proc/sys/net", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
  if (network < 0) return errno;
  for (const char* path : {"/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus", "/sys"}) {
    // A mount of its own already; its cgroup2 is another, and stays writable.
    const bool mounted = strcmp(path, "/sys") == 0;
    if (!mounted && mount(path, path, nullptr, MS_BIND, nullptr) != 0) {
      // A kernel built without it.
      if (errno == ENOENT) continue;
      return errno;
    }
    if (mount(nullptr, path, nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0) return errno;
  }
  return move_mount(network, "", AT_FDCWD, "/proc/sys/net", MOVE_MOUNT_F_EMPTY_PATH) == 0 ? 0 : errno;
}

/** What runs as init is known only in the root as it is now, not in the image: its owner may have installed another. */
bool isSystemd(const char* init) {
  int file = open(init, O_PATH | O_CLOEXEC);
  if (file < 0) return false;
  char target[4096];
  ssize_t count = readlink(DescriptorPath(file, "/proc").text, target, sizeof target);
  close(file);
  constexpr std::string_view name = "/systemd";
  return count > 0 && std::string_view(target, static_cast<size_t>(count)).ends_with(name);
}

/** A file of the container itself: a host's file as standard output could not be dumped. */
int openStandardFiles() {
  int input = open("/dev/null", O_RDONLY | O_NOFOLLOW);
  if (input < 0) return errno;
  // O_NONBLOCK only so that a fifo that somebody put there does not hold us; it means nothing for a file.
  int output = open("/var/log/console.log", O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0640);
  struct stat info;
  if (output >= 0 && (fstat(output, &info) != 0 || !S_ISREG(info.st_mode))) {
    close(output);
    output = -1;
  }
  if (output < 0) output = open("/dev/null", O_WRONLY | O_NOFOLLOW);
  if (output < 0) return errno;
  fcntl(output, F_SETFL, O_APPEND);
  if (dup2(input, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0) return errno;
  if (input > 2) close(input);
  if (output > 2) close(output);
  return 0;
}

void check(const InitPlan& plan, Stage stage, int number) {
  if (number != 0) reportFailure(plan.sync, stage, number);
}

}  // namespace

void runInit(const InitPlan& plan) {
  becomePlainProcess();
  int received[1 + std::size(hostMounts)];
  const int count = receiveDescriptors(plan.sync, received);
  // End of file: the engine gave up or died.
  if (count < 1) _exit(127);
  const int rootfs = received[0];
  const int earlyTaskFiles = plan.taskFileCount - plan.lateTaskFileCount;
  check(plan, joinCgroups, joinTasks(plan.taskFiles, earlyTaskFiles));

  check(plan, attachRoot, attachAll(std::span(received, static_cast<size_t>(count))));
  check(plan, makeNamespaces, startClocks());
  const int view = static_cast<size_t>(count) == std::size(received) ? open(hostView, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
  check(plan, becomeRoot, becomeUser(0, 0));

  if (setsid() < 0) check(plan, makeNamespaces, errno);
  if (sethostname(plan.hostname, strlen(plan.hostname)) != 0) check(plan, makeNamespaces, errno);
  syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr, 0, 0, 0);

  check(plan, mountAll, mountFileSystems(rootfs, plan.nesting));
  mountView(rootfs, view);
  // Each memory cgroup keeps lists of its own, some 4 kB, for each file system of which it has an object (list_lru). Those that every
  // container gets are not its own, then; most are never looked into.
  int cgroupTarget = plan.showCgroups ? openTarget(rootfs, cgroups) : -1;
  check(plan, joinCgroups, joinTasks(plan.taskFiles + earlyTaskFiles, plan.lateTaskFileCount));
  if (unshare(CLONE_NEWCGROUP) != 0) check(plan, makeNamespaces, errno);
  if (plan.showCgroups) check(plan, mountAll, mountOn(cgroupTarget, cgroups));
  check(plan, changeRoot, changeToRoot(rootfs));
  if (plan.privileged) check(plan, mountAll, guardHost());

  char word = 0;
  if (plan.awaitsDevices && send(plan.sync, &word, 1, MSG_NOSIGNAL) != 1) _exit(127);
  // Its files, its network and its record are made by then. End of file: the engine gave up or died.
  if (recv(plan.sync, &word, 1, 0) != 1) _exit(127);
  umask(022);
  if (isSystemd(plan.arguments[0])) check(plan, prepareRun, writeSystemdRun());
  check(plan, openConsole, openStandardFiles());
  check(plan, dropPrivileges, dropCapabilities(plan.lackingCapabilities));
  check(plan, dropPrivileges, installSeccomp(plan.seccomp));
  // Also what the engine itself was started with: a descriptor of the host would be a way out, and CRIU could not dump it.
  if (syscall(SYS_close_range, 3, ~0U, CLOSE_RANGE_CLOEXEC) != 0) check(plan, dropPrivileges, errno);
  check(plan, limitResources, setOwnResourceLimits(plan.rlimits));
  execve(plan.arguments[0], plan.arguments, plan.environment);
  reportFailure(plan.sync, execute, errno);
}

}  // namespace drover

// Loaded into CRIU (LD_PRELOAD) by the engine; takes costs out of the time in which a container stands still, and traps:
//
// 1. With an empty network namespace CRIU still dumps its connection tracking, and for that the kernel walks the whole machine's
//    table, twice (2 × 11 ms at the usual 262,144 buckets). The destination makes the network anew without any rules, so the
//    entries would be of no use: CRIU is told that there are none.
// 2. CRIU packs each tmpfs by `tar --gzip`, three processes and a compression that costs more than the copying it saves (a systemd
//    container's volatile journal alone is 8 MB). The archive is left uncompressed; a compressed one can still be read. And tar's work
//    is done without tar (quick_tar.h), and without the process that was to become it, where it can (forks.h).
// 3. CRIU insists that an open file is as long as it was. lxcfs says for /proc/stat and its like how long the host's are just now, which
//    is never the same twice; so a `top` in a container would hinder its move. Files on FUSE are said to be empty, as /proc's are.
// 4. CRIU leaves out of a dump what its parent images have, if the kernel has soft-dirty. The engine has the kernel track writes by
//    userfaultfd instead (page_tracking.h): CRIU is told that there is soft-dirty, and gets for it whether a page was written (written_pages.c). What is
//    not tracked counts as written. CRIU keeps what it knows of the kernel in a file, which therefore gets a name of its own: another
//    CRIU must not believe it.
// 5. CRIU notes the path of what is watched (inotify) if it finds the same file there, and follows a symbolic link as it looks. A
//    watch on the link itself, as systemd has on /etc/localtime, was carried without a path, as a handle that means nothing on another
//    host. CRIU asks for a path relative to a container's root alone when it wants what has that name: it gets the link.
// 6. A dump waits, made ready, until the engine has frozen the container, and a restore until its images are there (gate.h).
// 7. What a dump would save of the container's own cgroups, no restore uses; and to find the cgroups below, it asks for the facts of nine
//    hundred files that are none (own_cgroup.h).
// 8. The directory in which the mounts are put together is in /run, a tmpfs, rather than in /tmp, where to remove it has to wait for a disk's journal;
//    and has CRIU's pid for a name.
// 9. An eventfd that is a semaphore became an ordinary one (semaphores.h).
// 10. Of an empty network namespace CRIU mounts a sysfs, in which it then looks for nothing, and to close it waits for a grace period of the kernel.
// 11. CRIU is loaded and linked once, and copied for each move (nursery.h), without libraries that no move uses (unused/), and each copy of it has a
//     fourth of the mappings (few_mappings.h).
// 12. Memory that was sent ahead is in pages before the container stands still, and these become the restored processes' (staged_pages.h, premap.h).
// 13. Memory that processes share and that is as it was sent ahead is passed over by the dump (shared_dump.h); and a restore that can't read
//     such memory fails, which CRIU would not notice.
// 14. Messages to CRIU's daemon outside the container's user namespace that need none (asked_outside.h), and waits for the end of its daemons
//     (daemons.h), and steps of a restore that the engine has no use for (unheard_news.h): each is two or more changes of process, and on
//     a busy machine each of those waits for a processor.
// 15. The place on the container's disk in which CRIU looks at a tmpfs that others lie on (covered_mount.h).
// 16. Of each program and library that is mapped or open CRIU reads the build id, to know it again. That the files are the same is proven
//     by the hash of the disk: their size will do.
// 17. The copies of CRIU that look into each namespace (in_place.h).
// 18. Grace periods of the kernel for which CRIU waits as it builds mounts, and an exchange of roots (own_mounts.h).
// 19. Files of /proc of which a dump reads hundreds (proc_files.h), and its mappings (smaps.h).
//
// Nothing of this reaches the restored processes. Without it all works as well, only slower, but for the moves with such an open file.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/netlink.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "asked_outside.h"
#include "covered_mount.h"
#include "daemons.h"
#include "forks.h"
#include "gate.h"
#include "next.h"
#include "nursery.h"
#include "own_cgroup.h"
#include "own_mounts.h"
#include "premap.h"
#include "proc_files.h"
#include "quick_tar.h"
#include "semaphores.h"
#include "shared_dump.h"
#include "staged_pages.h"
#include "thread_files.h"
#include "unheard_news.h"

/** The sequence number that CRIU's requests carry and its receiver insists on is copied from the request. */
static int emptyTable = -1;
static int emptyTableAnswer = -1;

/** What the engine says in the environment. */
static void learn(void) {
  findGate();
  findOwnCgroup();
  findOwner();
}

/** CRIU reads options from the file that this names, before it begins. */
static const char optionsVariable[] = "CRIU_CONFIG_FILE";
static int options = -1;

static void giveOptions(void) {
  static const char text[] = "file-validation filesize\n";
  char path[64];
  options = memfd_create("criu-options", MFD_CLOEXEC);
  snprintf(path, sizeof path, "/proc/self/fd/%d", options);
  if (options >= 0 && write(options, text, sizeof text - 1) == (ssize_t)sizeof text - 1) setenv(optionsVariable, path, 1);
}

static void takeOptionsBack(void) {
  unsetenv(optionsVariable);
  if (options >= 0) close(options);
  options = -1;
}

__attribute__((constructor)) static void begin(void) {
  // CRIU's children are left alone.
  unsetenv("LD_PRELOAD");
  unsetenv("LD_BIND_NOW");
  giveOptions();
  findNursery();
  learn();
}

/** CRIU ignores this signal as it begins: its options are read, and what tells it from other CRIUs (its run's name, its request) is not there yet. */
sighandler_t signal(int number, sighandler_t handler) {
  sighandler_t (*real)(int, sighandler_t) = NEXT("signal");
  sighandler_t before = real(number, handler);
  if (number != SIGPIPE || handler != SIG_IGN) return before;
  takeOptionsBack();
  if (waitInNursery()) learn();
  return before;
}

int socket(int domain, int type, int protocol) {
  int (*real)(int, int, int) = NEXT("socket");
  if (domain != AF_NETLINK || protocol != NETLINK_NETFILTER || emptyTable >= 0) return real(domain, type, protocol);
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) != 0) return -1;
  emptyTable = pair[0];
  emptyTableAnswer = pair[1];
  return emptyTable;
}

/** A request for a table gets the answer `end of table`. */
ssize_t sendmsg(int fd, const struct msghdr* message, int flags) {
  ssize_t (*real)(int, const struct msghdr*, int) = NEXT("sendmsg");
  if (needsNoDaemon(fd, message)) return 1;
  if (fd < 0 || fd != emptyTable || message->msg_iovlen < 1 || message->msg_iov[0].iov_len < sizeof(struct nlmsghdr))
    return real(fd, message, flags);
  const struct nlmsghdr* request = message->msg_iov[0].iov_base;
  struct {
    struct nlmsghdr header;
    int error;
  } done;
  memset(&done, 0, sizeof done);
  done.header.nlmsg_len = sizeof done;
  done.header.nlmsg_type = NLMSG_DONE;
  done.header.nlmsg_flags = NLM_F_MULTI;
  done.header.nlmsg_seq = request->nlmsg_seq;
  if (send(emptyTableAnswer, &done, sizeof done, 0) != (ssize_t)sizeof done) return -1;
  return (ssize_t)message->msg_iov[0].iov_len;
}

ssize_t recvmsg(int fd, struct msghdr* message, int flags) {
  ssize_t (*real)(int, struct msghdr*, int) = NEXT("recvmsg");
  const ssize_t answer = takeAnswer(fd, message);
  return answer > 0 ? answer : real(fd, message, flags);
}

/** fsopen(2), fsconfig(2) and fsmount(2), as far as they are for that sysfs: what comes of them is not looked into. */
static int sysfs = -1;

long syscall(long number, ...) {
  long (*real)(long, ...) = NEXT("syscall");
  long arguments[6];
  va_list more;
  va_start(more, number);
  for (int i = 0; i < 6; i++) arguments[i] = va_arg(more, long);
  va_end(more);
  if (sysfs >= 0 && number == SYS_fsconfig && (int)arguments[0] == sysfs) return 0;
  if (sysfs >= 0 && number == SYS_fsmount && (int)arguments[0] == sysfs) {
    sysfs = -1;
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
  }
  if (number == SYS_clone3) return makeProcess(real, (const void*)arguments[0], arguments[1]);
  long result = real(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
  if (number == SYS_fsopen && arguments[0] != 0 && strcmp((const char*)arguments[0], "sysfs") == 0) sysfs = (int)result;
  return result;
}

int close(int fd) {
  int (*real)(int) = NEXT("close");
  if (fd >= 0 && fd == emptyTable) {
    real(emptyTableAnswer);
    emptyTable = emptyTableAnswer = -1;
  }
  if (closeInProc(fd) || closeHierarchy(fd)) return 0;
  return real(fd);
}

int fclose(FILE* file) {
  int (*real)(FILE*) = NEXT("fclose");
  closeInProc(fileno(file));
  return real(file);
}

/** CRIU is built for large files. */
int fstat64(int fd, struct stat64* info) {
  int (*real)(int, struct stat64*) = NEXT("fstat64");
  int result = real(fd, info);
  struct statfs where;
  if (result == 0 && S_ISREG(info->st_mode) && info->st_size > 0 && fstatfs(fd, &where) == 0 && where.f_type == FUSE_SUPER_MAGIC) info->st_size = 0;
  return result;
}

static int compressedInput(void) {
  unsigned char magic[2] = {0, 0};
  off_t at = lseek(STDIN_FILENO, 0, SEEK_CUR);
  return at < 0 || pread(STDIN_FILENO, magic, sizeof magic, at) != (ssize_t)sizeof magic || (magic[0] == 0x1f && magic[1] == 0x8b);
}

int execvp(const char* file, char* const arguments[]) {
  int (*real)(const char*, char* const[]) = NEXT("execvp");
  if (strcmp(file, "tar") != 0) return real(file, arguments);
  char* kept[64];
  size_t count = 0;
  int extract = 0, gzip = 0;
  for (size_t i = 0; arguments[i]; i++) {
    if (count + 2 > sizeof kept / sizeof *kept) return real(file, arguments);
    if (strcmp(arguments[i], "--extract") == 0) extract = 1;
    if (strcmp(arguments[i], "--gzip") == 0) gzip = 1;
    else kept[count++] = arguments[i];
  }
  kept[count] = NULL;
  if (!gzip || (extract && compressedInput())) return real(file, arguments);
  int status = quickTar(kept);
  if (status >= 0) _exit(status);
  return real(file, kept);
}

/** CRIU's probe for soft-dirty reads one entry of its own pagemap. Bit 55 of Documentation/admin-guide/mm/pagemap.rst. */
ssize_t read(int fd, void* buffer, size_t length) {
  ssize_t (*real)(int, void*, size_t) = NEXT("read");
  const ssize_t described = readDescription(fd, buffer, length);
  if (described >= 0) return described;
  ssize_t got = real(fd, buffer, length);
  noteReadInProc(fd, got, length);
  got = markSemaphore(fd, buffer, got, length);
  if (length != sizeof(uint64_t) || got != (ssize_t)length) return got;
  char link[64], path[128];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t end = readlink(link, path, sizeof path - 1);
  if (end <= 0) return got;
  path[end] = '\0';
  const char* name = strrchr(path, '/');
  if (name && strcmp(name, "/pagemap") == 0) *(uint64_t*)buffer |= 1ULL << 55;
  return got;
}

ssize_t write(int fd, const void* bytes, size_t length) {
  ssize_t (*real)(int, const void*, size_t) = NEXT("write");
  return needsNoEngine(fd, bytes, length) ? (ssize_t)length : real(fd, bytes, length);
}

static const char newCache[] = "/run/drover-criu.kdat.tmp";

static const char* ownCache(const char* path) {
  if (strcmp(path, "/run/criu.kdat") == 0) return "/run/drover-criu.kdat";
  if (strcmp(path, "/run/criu.kdat.tmp") == 0) return newCache;
  return path;
}

/** Left by a CRIU that was killed as it wrote it, which takes less than a millisecond: no other one could ever write it again. */
static void removeLeftCache(void) {
  const time_t leftAfterS = 60;
  struct stat info;
  if (lstat(newCache, &info) == 0 && info.st_mtime + leftAfterS < time(NULL)) unlinkat(AT_FDCWD, newCache, 0);
}

static int endsWith(const char* text, const char* end) {
  size_t length = strlen(text), endLength = strlen(end);
  return length >= endLength && strcmp(text + length - endLength, end) == 0;
}

int open64(const char* path, int flags, ...) {
  int (*real)(const char*, int, mode_t) = NEXT("open64");
  va_list more;
  va_start(more, flags);
  mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;
  va_end(more);
  noteOpened(path, flags, -1);
  if (endsWith(path, "/freezer.state") || endsWith(path, "/cgroup.freeze")) waitAtGate(-1);
  if (isCoveredMount(path)) return openCovered(path, flags);
  const char* own = ownCache(path);
  if (own == newCache) removeLeftCache();
  int fd = openHierarchyAgain(path, flags);
  if (fd < 0) fd = real(own, flags, mode);
  noteHierarchy(path, flags, fd);
  noteOpenedInProc(-1, path, fd);
  // For want of the lock of iptables, which is never run, CRIU would make a mount namespace to have one.
  if (fd < 0 && flags == O_RDONLY && strcmp(path, "/run/xtables.lock") == 0) fd = real("/", flags, 0);
  return fd;
}

enum { tryNext = -2 };

/** What has this name, be it a link; tryNext: one of /proc's, which are meant to be followed. */
static int openNotFollowing(int (*real)(int, const char*, int, mode_t), int folder, const char* path) {
  const int fd = real(folder, path, O_PATH | O_NOFOLLOW, 0);
  struct stat info;
  struct statfs where;
  if (fd < 0 || (fstat(fd, &info) == 0 && (!S_ISLNK(info.st_mode) || (fstatfs(fd, &where) == 0 && where.f_type != PROC_SUPER_MAGIC)))) return fd;
  const int error = errno;
  close(fd);
  errno = error;
  return tryNext;
}

int openat64(int folder, const char* path, int flags, ...) {
  int (*real)(int, const char*, int, mode_t) = NEXT("openat64");
  va_list more;
  va_start(more, flags);
  mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;
  va_end(more);
  // The first image that a restore reads.
  if (strcmp(path, "inventory.img") == 0) waitAtGate(folder);
  noteMountImage(path);
  noteImageOfNews(path);
  noteMemoryImage(folder, path, flags);
  noteSharedImage(folder, path, flags);
  noteOpenedFor(folder, path, flags);
  noteThreads(folder, path);
  noteOpened(path, flags, -1);
  int fd = openDescription(folder, path);
  if (fd >= 0) return fd;
  fd = flags == O_PATH && path[0] != '/' && strcmp(path, ".") != 0 && !isProcFolder(folder) ? openNotFollowing(real, folder, path) : tryNext;
  if (fd == tryNext) {
    fd = real(folder, path, flags, mode);
    if (fd < 0 && errno == ENOENT) fd = openOfFirstThread((OpenAt)real, folder, path, flags);
    noteOpened(path, flags, fd);
  }
  noteOpenedInProc(folder, path, fd);
  return fd;
}

int access(const char* path, int mode) {
  int (*real)(const char*, int) = NEXT("access");
  if (mode != F_OK || !isOwnCgroupProperty(path)) return real(path, mode);
  errno = ENOENT;
  return -1;
}

char* mkdtemp(char* pattern) {
  char* (*real)(char*) = NEXT("mkdtemp");
  static const char mounts[] = "/tmp/.criu.mntns.";
  if (nameCoveredMount(pattern)) return pattern;
  if (strncmp(pattern, mounts, sizeof mounts - 1) != 0) return real(pattern);
  // By its number, so that the engine finds what one that was killed has left.
  char own[sizeof "/run/.criu.mntns.123456" + 8];
  const int length = snprintf(own, sizeof own, "/run/.criu.mntns.%06x", (unsigned)getpid());
  if (length == (int)strlen(pattern) && mkdir(own, 0700) == 0) return memcpy(pattern, own, (size_t)length);
  memcpy(pattern, "/run", 4);
  if (real(pattern)) return pattern;
  memcpy(pattern, "/tmp", 4);
  return real(pattern);
}

int rename(const char* from, const char* to) {
  int (*real)(const char*, const char*) = NEXT("rename");
  return real(ownCache(from), ownCache(to));
}

int unlink(const char* path) {
  int (*real)(const char*) = NEXT("unlink");
  return real(ownCache(path));
}

int umount2(const char* path, int flags) {
  int (*real)(const char*, int) = NEXT("umount2");
  if (needsNoUnmount(path, flags)) return 0;
  return isCoveredMount(path) ? 0 : real(path, flags);
}

int rmdir(const char* path) {
  int (*real)(const char*) = NEXT("rmdir");
  if (staysForNow(path)) return 0;
  return isCoveredMount(path) ? 0 : real(path);
}

// See asked_outside.h. A request is CRIU's (userns_call of criu/namespaces.c): the function, its flags, and what that is given; the answer has the
// function again, and what it returned. That a file of cgroups, once opened, moves whoever writes to it: since Linux 5.16, which
// looks at who has opened it (Documentation/admin-guide/cgroup-v2.rst, Delegation).

#define _GNU_SOURCE
#include "asked_outside.h"

#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "image_reader.h"
#include "next.h"

enum { mostHierarchies = 16, mostWays = 64, longestName = 64, longestPath = 512, partsOfRequest = 3, partsOfAnswer = 2 };

static struct hierarchy {
  char name[longestName];
  /** The cgroup that this process, or the one it was forked from, is in by the last request; empty: none was made. */
  char joined[longestPath];
} hierarchies[mostHierarchies];
static int hierarchyCount;

/** The cgroups that CRIU has looked at, and the file of each that moves whoever writes to it, opened. */
static struct way {
  const struct hierarchy* hierarchy;
  char path[longestPath];
  int file;
  dev_t device;
  ino_t inode;
} ways[mostWays];
static int wayCount;

/** From the image of the host's names; the length of the first is 0: there is none. */
static char names[2][65];

static struct {
  int socket;
  uint64_t function;
} due = {.socket = -1};

/** `NAME/PATH` of a cgroup: the hierarchy of that name, made if there is none; null: none. `path` begins with the slash. */
static struct hierarchy* hierarchyOf(const char* cgroup, const char** path) {
  const char* slash = strchr(cgroup, '/');
  size_t length = slash ? (size_t)(slash - cgroup) : 0;
  if (length == 0 || length >= longestName) return NULL;
  *path = slash + strspn(slash, "/") - 1;
  for (int i = 0; i < hierarchyCount; i++)
    if (strlen(hierarchies[i].name) == length && memcmp(hierarchies[i].name, cgroup, length) == 0) return &hierarchies[i];
  if (hierarchyCount == mostHierarchies) return NULL;
  struct hierarchy* added = &hierarchies[hierarchyCount++];
  memcpy(added->name, cgroup, length);
  return added;
}

/** Version 1 has a file for single threads: to move oneself by it takes no lock that all forks of the host take as well. */
static int openWay(int folder, const char* cgroup) {
  static const char* const files[] = {"tasks", "cgroup.procs"};
  char name[longestName + longestPath];
  for (int i = 0; i < 2; i++) {
    if (snprintf(name, sizeof name, "%s/%s", cgroup, files[i]) >= (int)sizeof name) return -1;
    int fd = openat(folder, name, O_WRONLY | O_CLOEXEC);
    if (fd >= 0) return fd;
  }
  return -1;
}

static void keepWayIn(int folder, const char* cgroup) {
  const char* path;
  struct hierarchy* hierarchy = hierarchyOf(cgroup, &path);
  struct stat info;
  if (!hierarchy || wayCount == mostWays || strlen(path) >= longestPath) return;
  int fd = openWay(folder, cgroup);
  if (fd < 0 || fstat(fd, &info) != 0) return;
  struct way* way = &ways[wayCount++];
  way->hierarchy = hierarchy;
  strcpy(way->path, path);
  way->file = fd;
  way->device = info.st_dev;
  way->inode = info.st_ino;
}

/** images/utsns.proto: node name, domain name. */
static void keepNames(int folder, const char* path) {
  struct image image, message, bytes;
  unsigned field;
  uint64_t value;
  names[0][0] = '\0';
  if (openImage(folder, path, &image) != 0) return;
  int count = 0;
  if (nextMessage(&image, &message) == 1)
    while (nextField(&message, &field, &value, &bytes) == 1) {
      if (field < 1 || field > 2 || bytes.length >= sizeof names[0]) continue;
      memcpy(names[field - 1], bytes.bytes, bytes.length);
      names[field - 1][bytes.length] = '\0';
      count++;
    }
  closeImage(&image);
  if (count != 2) names[0][0] = '\0';
}

void noteOpenedFor(int folder, const char* path, int flags) {
  static int restores;
  if (path[0] == '/' || (flags & O_ACCMODE) != O_RDONLY) return;
  // The first that is read by a restore.
  if (strcmp(path, "inventory.img") == 0) restores = 1;
  if (!restores) return;
  if (strncmp(path, "utsns-", 6) == 0) keepNames(folder, path);
  else if (flags & O_DIRECTORY && strchr(path, '/')) keepWayIn(folder, path);
}

static int goesIn(const struct hierarchy* hierarchy, const char* path) {
  struct stat info;
  for (int i = 0; i < wayCount; i++) {
    const struct way* way = &ways[i];
    if (way->hierarchy != hierarchy || strcmp(way->path, path) != 0) continue;
    // CRIU closes what it doesn't know, and another file may have that number.
    if (fstat(way->file, &info) != 0 || info.st_dev != way->device || info.st_ino != way->inode) return 0;
    return write(way->file, "0", 1) == 1;
  }
  return 0;
}

static int isInCgroup(const char* request, size_t length) {
  static const char file[] = "/cgroup.procs";
  char cgroup[longestName + longestPath];
  const char* path;
  if (length <= sizeof file || length > sizeof cgroup || memchr(request, '\0', length) != request + length - 1) return 0;
  const size_t end = length - sizeof file;
  if (strcmp(request + end, file) != 0) return 0;
  memcpy(cgroup, request, end);
  cgroup[end] = '\0';
  struct hierarchy* hierarchy = hierarchyOf(cgroup, &path);
  if (!hierarchy || strlen(path) >= longestPath) return 0;
  if (strcmp(hierarchy->joined, path) == 0) return 1;
  // If the daemon can't either, the restore ends.
  strcpy(hierarchy->joined, path);
  return goesIn(hierarchy, path);
}

/** struct sysctl_userns_req of criu/sysctl.c: to write, in a UTS namespace, two of them. */
static int areNamesSet(const void* request, size_t length) {
  struct {
    int32_t operation;
    uint32_t namespace;
    uint64_t count;
  } head;
  enum { write = 1 };
  if (names[0][0] == '\0' || length < sizeof head) return 0;
  memcpy(&head, request, sizeof head);
  if (head.operation != write || head.namespace != CLONE_NEWUTS || head.count != 2) return 0;
  int set = sethostname(names[0], strlen(names[0])) == 0 && setdomainname(names[1], strlen(names[1])) == 0;
  names[0][0] = '\0';
  return set;
}

int needsNoDaemon(int socket, const struct msghdr* message) {
  const struct iovec* parts = message->msg_iov;
  int32_t flags;
  if (message->msg_iovlen != partsOfRequest || parts[0].iov_len != sizeof due.function || parts[1].iov_len != sizeof flags) return 0;
  memcpy(&flags, parts[1].iov_base, sizeof flags);
  if (flags != 0) return 0;
  if (!isInCgroup(parts[2].iov_base, parts[2].iov_len) && !areNamesSet(parts[2].iov_base, parts[2].iov_len)) return 0;
  memcpy(&due.function, parts[0].iov_base, sizeof due.function);
  due.socket = socket;
  return 1;
}

ssize_t takeAnswer(int socket, struct msghdr* message) {
  const struct iovec* parts = message->msg_iov;
  const int32_t success = 0;
  if (socket < 0 || socket != due.socket) return 0;
  due.socket = -1;
  if (message->msg_iovlen < partsOfAnswer || parts[0].iov_len < sizeof due.function || parts[1].iov_len < sizeof success) return 0;
  memcpy(parts[0].iov_base, &due.function, sizeof due.function);
  memcpy(parts[1].iov_base, &success, sizeof success);
  message->msg_controllen = 0;
  message->msg_flags = 0;
  return (ssize_t)(sizeof due.function + sizeof success);
}

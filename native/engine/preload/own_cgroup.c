// See own_cgroup.h. The container is frozen, and its processes make no cgroups: what was walked through is the same later.

#define _GNU_SOURCE
#include "own_cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "next.h"
#include "proc_files.h"

static char own[4096];
static size_t ownLength;
/** Beside it, of all containers: `sharedName` of src/cgroup_places.cc. */
static const char shared[] = "/.shared";

void findOwnCgroup(void) {
  const char* path = getenv("DROVER_CRIU_CGROUP");
  if (path && strlen(path) < sizeof own) ownLength = strlen(strcpy(own, path));
  unsetenv("DROVER_CRIU_CGROUP");
}

/** What of a path is below a hierarchy, which CRIU reaches through its descriptor; NULL: nothing is. */
static const char* belowHierarchy(const char* path) {
  static const char prefix[] = "/proc/self/fd/";
  if (ownLength == 0 || strncmp(path, prefix, sizeof prefix - 1) != 0) return NULL;
  const char* below = path + sizeof prefix - 1;
  return below + strspn(below, "0123456789");
}

/** How much of it leads to a cgroup of many containers, the own one's parent or `shared`; 0: none of it does. */
static size_t lengthOfShared(const char* below) {
  const char* name = strrchr(own, '/');
  const size_t parent = name ? (size_t)(name - own) : 0;
  if (parent == 0 || strncmp(below, own, parent) != 0) return 0;
  const size_t length = strncmp(below + parent, shared, sizeof shared - 1) == 0 ? parent + sizeof shared - 1 : parent;
  return below[length] == '/' || below[length] == '\0' ? length : 0;
}

int isOwnCgroupProperty(const char* path) {
  const char* below = belowHierarchy(path);
  if (!below) return 0;
  const size_t length = strncmp(below, own, ownLength) == 0 ? ownLength : lengthOfShared(below);
  return length > 0 && below[length] == '/' && strchr(below + length + 1, '/') == NULL;
}

/** Below are those of other containers. */
static int isShared(const char* path) {
  const char* below = belowHierarchy(path);
  const size_t length = below ? lengthOfShared(below) : 0;
  return length > 0 && below[length] == '\0';
}

/** Cgroups that have been walked through, with all below them. */
static struct {
  dev_t device;
  ino64_t inode;
} walked[1024];
static size_t walkedCount;

/** CRIU walks through the cgroups of each process, and keeps what it had not met before. */
static int wasWalked(const struct stat64* info) {
  for (size_t i = 0; i < walkedCount; i++)
    if (walked[i].device == info->st_dev && walked[i].inode == info->st_ino) return 1;
  return 0;
}

static int walkDirectories(const char* path, const struct stat64* info, __ftw64_func_t take);

/** A directory of a hierarchy has a link of each one below it, and two of its own. */
enum { linksWhenAlone = 2 };

static int walkBelow(const char* path, const struct stat64* info, __ftw64_func_t take) {
  if (info->st_nlink == linksWhenAlone || isShared(path)) return 0;
  int result = 0;
  DIR* stream = opendir(path);
  if (!stream) return -1;
  for (struct dirent* entry; result == 0 && (entry = readdir(stream));) {
    char below[4096];
    if (entry->d_type != DT_DIR || strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    int length = snprintf(below, sizeof below, "%s/%s", path, entry->d_name);
    struct stat64 entryInfo;
    result = length < (int)sizeof below && stat64(below, &entryInfo) == 0 ? walkDirectories(below, &entryInfo, take) : -1;
  }
  closedir(stream);
  return result;
}

/** CRIU, told of each entry, only takes directories; the files' facts, dozens in each cgroup, would be asked for in vain. */
static int walkDirectories(const char* path, const struct stat64* info, __ftw64_func_t take) {
  int result = take(path, info, FTW_D);
  if (result == 0) result = walkBelow(path, info, take);
  if (result == 0 && walkedCount < sizeof walked / sizeof *walked) {
    walked[walkedCount].device = info->st_dev;
    walked[walkedCount++].inode = info->st_ino;
  }
  return result;
}

/** Roots of hierarchies in which CRIU has walked, open: it opens each again for each process. */
static struct {
  char path[256];
  int fd;
} hierarchies[16];
static size_t hierarchyCount;
/** The one that it has opened last: -1, none since the last walk. */
static char latest[sizeof hierarchies->path];
static int latestFd = -1;
/** By the hierarchy's path and the cgroup's in it. */
static char* walkedNames[1024];
static size_t walkedNameCount;

enum { asHierarchy = O_RDONLY | O_DIRECTORY };

int openHierarchyAgain(const char* path, int flags) {
  for (size_t i = 0; flags == asHierarchy && i < hierarchyCount; i++)
    if (strcmp(hierarchies[i].path, path) == 0) return hierarchies[i].fd;
  return -1;
}

void noteHierarchy(const char* path, int flags, int fd) {
  if (ownLength == 0 || flags != asHierarchy || path[0] != '/' || strlen(path) >= sizeof latest) return;
  strcpy(latest, path);
  latestFd = fd;
}

int closeHierarchy(int fd) {
  if (fd == latestFd) latestFd = -1;
  for (size_t i = 0; i < hierarchyCount; i++)
    if (hierarchies[i].fd == fd) return 1;
  return 0;
}

static void keepHierarchy(void) {
  for (size_t i = 0; i < hierarchyCount; i++)
    if (strcmp(hierarchies[i].path, latest) == 0) return;
  if (hierarchyCount == sizeof hierarchies / sizeof *hierarchies) return;
  const int fd = fcntl(latestFd, F_DUPFD_CLOEXEC, 0);
  if (fd < 0) return;
  strcpy(hierarchies[hierarchyCount].path, latest);
  hierarchies[hierarchyCount++].fd = fd;
}

/** The name by which a walk is remembered, of `/proc/self/fd/NUMBER/CGROUP`; empty: none. */
static const char* nameOfWalk(const char* path, char* name, size_t room) {
  char* cgroup;
  const long fd = strtol(path + strlen("/proc/self/fd/"), &cgroup, 10);
  const int known = latestFd >= 0 && fd == latestFd && snprintf(name, room, "%s:%s", latest, cgroup) < (int)room;
  if (!known) name[0] = '\0';
  return name;
}

int ftw64(const char* path, __ftw64_func_t take, int descriptors) {
  int (*real)(const char*, __ftw64_func_t, int) = NEXT("ftw64");
  char name[4096];
  // Through a descriptor of a hierarchy: a walk through cgroups, whose directories are what they are called.
  if (strncmp(path, "/proc/self/fd/", 14) != 0) return real(path, take, descriptors);
  nameOfWalk(path, name, sizeof name);
  for (size_t i = 0; name[0] != '\0' && i < walkedNameCount; i++)
    if (strcmp(walkedNames[i], name) == 0) return 0;
  struct stat64 info;
  if (stat64(path, &info) != 0) return -1;
  const int result = wasWalked(&info) ? 0 : walkDirectories(path, &info, take);
  if (result != 0 || name[0] == '\0') return result;
  keepHierarchy();
  if (walkedNameCount < sizeof walkedNames / sizeof *walkedNames && (walkedNames[walkedNameCount] = strdup(name))) walkedNameCount++;
  return result;
}

/** Cgroups that CRIU is looking through for others below, with the cgroups that it is in. */
static DIR* folders[64];
static size_t folderCount;

DIR* opendir(const char* path) {
  DIR* (*real)(const char*) = NEXT("opendir");
  DIR* folder = real(path);
  struct statfs where;
  if (folder && ownLength > 0 && strstr(path, own) && folderCount < sizeof folders / sizeof *folders && fstatfs(dirfd(folder), &where) == 0 &&
      (where.f_type == CGROUP2_SUPER_MAGIC || where.f_type == CGROUP_SUPER_MAGIC))
    folders[folderCount++] = folder;
  return folder;
}

/** Dozens of files in each, of which CRIU would ask whether they are directories. */
struct dirent64* readdir64(DIR* folder) {
  struct dirent64* (*real)(DIR*) = NEXT("readdir64");
  int isCgroup = 0;
  for (size_t i = 0; i < folderCount; i++) isCgroup |= folders[i] == folder;
  struct dirent64* entry;
  do entry = real(folder);
  while (isCgroup && entry && entry->d_type == DT_REG);
  return entry;
}

int closedir(DIR* folder) {
  int (*real)(DIR*) = NEXT("closedir");
  for (size_t i = 0; i < folderCount; i++)
    if (folders[i] == folder) folders[i--] = folders[--folderCount];
  closeInProc(dirfd(folder));
  return real(folder);
}

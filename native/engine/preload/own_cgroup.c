#define _GNU_SOURCE
#include "own_cgroup.h"

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "next.h"

static char own[4096];
static size_t ownLength;

void findOwnCgroup(void) {
  const char* path = getenv("DROVER_CRIU_CGROUP");
  if (path && strlen(path) < sizeof own) ownLength = strlen(strcpy(own, path));
  unsetenv("DROVER_CRIU_CGROUP");
}

/** CRIU reaches them through a descriptor of the hierarchy. */
int isOwnCgroupProperty(const char* path) {
  static const char prefix[] = "/proc/self/fd/";
  if (ownLength == 0 || strncmp(path, prefix, sizeof prefix - 1) != 0) return 0;
  const char* below = path + sizeof prefix - 1;
  below += strspn(below, "0123456789");
  return strncmp(below, own, ownLength) == 0 && below[ownLength] == '/' && strchr(below + ownLength + 1, '/') == NULL;
}

/** Cgroups that have been walked through, with all below them. */
static struct {
  dev_t device;
  ino64_t inode;
} walked[1024];
static size_t walkedCount;

/** CRIU walks through the cgroups of each process, and keeps what it had not met before. The container is frozen: there will be no others. */
static int wasWalked(const char* path) {
  struct stat64 info;
  if (walkedCount == 0 || stat64(path, &info) != 0) return 0;
  for (size_t i = 0; i < walkedCount; i++)
    if (walked[i].device == info.st_dev && walked[i].inode == info.st_ino) return 1;
  return 0;
}

/** CRIU, told of each entry, only takes directories; the files' facts, dozens in each cgroup, would be asked for in vain. */
static int walkDirectories(const char* path, __ftw64_func_t take) {
  struct stat64 info;
  if (stat64(path, &info) != 0) return -1;
  int result = take(path, &info, FTW_D);
  DIR* stream = result == 0 ? opendir(path) : NULL;
  if (!stream) return result != 0 ? result : -1;
  for (struct dirent* entry; result == 0 && (entry = readdir(stream));) {
    char below[4096];
    if (entry->d_type != DT_DIR || strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
    int length = snprintf(below, sizeof below, "%s/%s", path, entry->d_name);
    result = length < (int)sizeof below ? walkDirectories(below, take) : -1;
  }
  closedir(stream);
  if (result == 0 && walkedCount < sizeof walked / sizeof *walked) {
    walked[walkedCount].device = info.st_dev;
    walked[walkedCount++].inode = info.st_ino;
  }
  return result;
}

int ftw64(const char* path, __ftw64_func_t take, int descriptors) {
  int (*real)(const char*, __ftw64_func_t, int) = NEXT("ftw64");
  // Through a descriptor of a hierarchy: a walk through cgroups, whose directories are what they are called.
  if (strncmp(path, "/proc/self/fd/", 14) != 0) return real(path, take, descriptors);
  if (wasWalked(path)) return 0;
  return walkDirectories(path, take);
}

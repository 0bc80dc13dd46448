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
  return result;
}

int ftw64(const char* path, __ftw64_func_t take, int descriptors) {
  int (*real)(const char*, __ftw64_func_t, int) = NEXT("ftw64");
  // Through a descriptor of a hierarchy: a walk through cgroups, whose directories are what they are called.
  if (strncmp(path, "/proc/self/fd/", 14) != 0) return real(path, take, descriptors);
  return walkDirectories(path, take);
}

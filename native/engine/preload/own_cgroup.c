#define _GNU_SOURCE
#include "own_cgroup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

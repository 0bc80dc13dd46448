// See covered_mount.h. The mount lasts as long as a descriptor of it: until CRIU, which has answered by then, ends.

#define _GNU_SOURCE
#include "covered_mount.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char prefix[] = "/tmp/cr-tmpfs.";
static char name[64];
static int tree = -1;

int nameCoveredMount(char* pattern) {
  const size_t length = strlen(pattern);
  if (strncmp(pattern, prefix, sizeof prefix - 1) != 0 || length >= sizeof name) return 0;
  memcpy(name, pattern, length + 1);
  tree = -1;
  return 1;
}

int mountCovered(const char* source, const char* target, unsigned long flags) {
  if (name[0] == '\0' || strcmp(target, name) != 0) return 0;
  if (flags == MS_BIND) tree = (int)syscall(SYS_open_tree, AT_FDCWD, source, 1 /* OPEN_TREE_CLONE */ | O_CLOEXEC);
  if (tree >= 0) return 1;
  name[0] = '\0';
  (void)!mkdir(target, 0700);
  return 0;
}

int openCovered(const char* path, int flags) {
  return isCoveredMount(path) ? openat(tree, ".", flags) : -1;
}

int isCoveredMount(const char* path) {
  return tree >= 0 && strcmp(path, name) == 0;
}
